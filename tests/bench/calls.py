# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible asks a host to do, and what hosts answered, for hosts that do not exist.

A recording is a JSON file: `host` and `address` of the host that was recorded, and `calls`, each with the short name of
a module, those of its arguments that tell its calls apart, and its result. The shell commands that Ansible sends
without a module have the name `raw`.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

# What a module works on. Other arguments may change without a new recording.
IDENTIFYING = (
    "state",
    "part",
    "path",
    "root",
    "src",
    "dest",
    "name",
    "names",
    "release",
    "unit",
    "argv",
    "_raw_params",
    "command",
)
# A name that no argument of a module has. What a module predicts is not what it says later.
CHECK_MODE = "check mode"
_MODULE = re.compile(rb"^module_fqn='([\w.]+)',$", re.MULTILINE)
_PARAMS = re.compile(rb"^params=(.+),$", re.MULTILINE)
# Digests and keys, which depend on the image, the model and the version of the collection.
_DIGEST = re.compile(r"[0-9a-f]{8,}")
# Ansible tells by it that `become` worked.
_BECOME = re.compile(r"\becho BECOME-SUCCESS-\w+ *; *")
_WORDS = {"sudo", "sh", "/bin/sh"}


# Facts about the machine that was recorded, which no task needs.
_PRIVATE = re.compile(r"ansible_(env|\w*cmdline|ssh_\w+|machine_id|dns|product_\w+|hostnqn|iscsi_iqn|lsb|user_\w+)")


class UnknownCall(Exception):
    """Nothing was recorded for it."""


class Call(NamedTuple):
    """`arguments` are all arguments of the module."""

    module: str
    arguments: dict[str, Any]
    check_mode: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        named = {name: self.arguments[name] for name in IDENTIFYING if self.arguments.get(name) is not None}
        own = {name: value for name, value in named.items() if not isinstance(value, dict)}
        return {**own, CHECK_MODE: True} if self.check_mode else own


def asked(command: str, program: bytes | None) -> Call:
    """What a connection was asked to run. `program` is the standard input of the command."""
    module, params = _MODULE.search(program or b""), _PARAMS.search(program or b"")
    if not (module and params):
        return Call("raw", {"command": unwrapped(command)})
    arguments = json.loads(ast.literal_eval(params.group(1).decode()))["ANSIBLE_MODULE_ARGS"]
    own = {key: value for key, value in arguments.items() if not key.startswith("_ansible_")}
    return Call(module.group(1).decode().rpartition(".")[2], own, arguments.get("_ansible_check_mode", False))


def unwrapped(command: str) -> str:
    """The script in the command, without sudo and shells around it."""
    words = shlex.split(command)
    while len(words) > 1 and words[0] in _WORDS and "-c" in words:
        command = _BECOME.sub("", words[words.index("-c") + 1])
        words = shlex.split(command)
    return command.strip()


def plain(value: Any) -> str:
    return _DIGEST.sub("#", json.dumps(value, sort_keys=True))


def recorded(lines: str) -> list[dict[str, Any]]:
    """The calls that the connection `record` wrote, each once. UnknownCall if one failed."""
    calls: dict[str, dict[str, Any]] = {}
    for line in map(json.loads, lines.splitlines()):
        call = {"module": line["module"], "arguments": line["arguments"], "result": _result(line)}
        calls.setdefault(plain([call["module"], call["arguments"]]), call)
    return list(calls.values())


def _result(line: Mapping[str, Any]) -> dict[str, Any]:
    if line["module"] == "raw":
        return {name: line[name] for name in ("rc", "stdout", "stderr")}
    result: dict[str, Any] = json.loads(line["stdout"][line["stdout"].index("{") :])
    if result.get("failed"):
        raise UnknownCall(f"{line['module']} failed on the host that is recorded: {result}")
    # The connection `replay` adds it.
    result.pop("invocation", None)
    if "ansible_facts" in result:
        facts = result["ansible_facts"].items()
        result["ansible_facts"] = {name: value for name, value in facts if not _PRIVATE.fullmatch(name)}
    return result


class Recording:
    """The answers of one host, given in the name of others."""

    def __init__(self, file: Path) -> None:
        content = json.loads(file.read_text(encoding="utf-8"))
        self._host, self._address = content.get("host"), content.get("address")
        self._calls = content["calls"]

    def answer(self, call: Call, host: str, address: str) -> Any:
        found = [known["result"] for known in self._calls if self._is_same(known, call, host, address)]
        if not found:
            raise UnknownCall(f"there is no recorded result for: {call.module} {json.dumps(call.identity)}")
        renamed: Any = json.loads(self._renamed(json.dumps(found[0]), host, address))
        return renamed

    def _is_same(self, known: Mapping[str, Any], call: Call, host: str, address: str) -> bool:
        if known["module"] != call.module:
            return False
        identity = {**call.arguments, CHECK_MODE: call.check_mode}
        arguments = {name: identity.get(name) for name in known["arguments"]}
        return plain(json.loads(self._renamed(json.dumps(known["arguments"]), host, address))) == plain(arguments)

    def _renamed(self, text: str, host: str, address: str) -> str:
        for before, after in ((self._host, host), (self._address, address)):
            text = text.replace(before, after) if before else text
        return text
