# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The flags that the unit starts the Docker daemon with, and the settings that they have in common with daemon.json."""

from __future__ import annotations

import os
import re
import shlex
import typing as t

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Keys of daemon.json that are no plurals of their flags, and those of the flags with one letter.
_KEYS = {"add-runtime": "runtimes", "insecure-registry": "insecure-registries"}
_LETTERS = {
    "b": "bridge",
    "D": "debug",
    "g": "graph",
    "G": "group",
    "H": "hosts",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
}
# Docker reads all other objects in daemon.json as if their keys were at the top.
_OBJECTS = ("builder", "default-network-opts", "default-ulimits", "features", "log-opts", "runtimes")


class Word(t.NamedTuple):
    """A word of the daemon's command, and the file that it is in."""

    text: str
    file: str


class Conflict(t.NamedTuple):
    """A setting that is in daemon.json and also a flag."""

    key: str
    flag: str
    file: str


def unit_flags(module: AnsibleModule, unit: str) -> list[Word]:
    """The words after `dockerd` in the unit's command; empty if they are unknown."""
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None:
        return []
    code, text, _err = module.run_command([systemctl, "cat", unit])
    return read_flags(text, _read) if code == 0 else []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def read_flags(unit: str, read: t.Callable[[str], str]) -> list[Word]:
    """The flags in the output of `systemctl cat`; `read` returns the text of an EnvironmentFile."""
    environment: dict[str, Word] = {}
    command: list[Word] = []
    for key, value, file in _service_lines(unit):
        if key == "ExecStart":
            # An empty one removes the earlier ones.
            command = [Word(word, file) for word in _split(value.lstrip("@-:+!"))]
        elif key == "Environment":
            environment.update(_assignments(_split(value), file))
        elif key == "EnvironmentFile":
            path = value.lstrip("-")
            environment.update(_assignments(_file_assignments(read(path)), path))
    if not command or os.path.basename(command[0].text) != "dockerd":
        return []
    return [word for given in command[1:] for word in _expanded(given, environment)]


def _service_lines(unit: str) -> t.Iterator[tuple[str, str, str]]:
    """Key, value and file of each line in the sections [Service]."""
    file = section = ""
    for line in re.sub(r"\\\n", " ", unit).splitlines():
        if line.startswith("# /"):
            file, section = line[2:].strip(), ""
        elif line.startswith("["):
            section = line.strip()
        elif section == "[Service]" and not line.lstrip().startswith(("#", ";")):
            key, equals, value = line.partition("=")
            if equals:
                yield key.strip(), value.strip(), file


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _file_assignments(text: str) -> list[str]:
    lines = [line.strip() for line in re.sub(r"\\\n", "", text).splitlines()]
    return [" ".join(_split(line)) for line in lines if not line.startswith(("#", ";"))]


def _assignments(words: t.Iterable[str], file: str) -> dict[str, Word]:
    pairs = (word.partition("=") for word in words)
    return {name: Word(value, file) for name, equals, value in pairs if equals}


def _expanded(word: Word, environment: t.Mapping[str, Word]) -> list[Word]:
    """systemd splits the value of `$NAME`, if that is the whole word, and keeps that of `${NAME}` together."""
    alone = re.fullmatch(r"\$(\w+)", word.text)
    if alone:
        value = environment.get(alone.group(1), Word("", word.file))
        return [Word(text, value.file) for text in _split(value.text)]
    text = re.sub(r"\$\{(\w+)\}", lambda name: environment.get(name.group(1), Word("", "")).text, word.text)
    return [Word(text, word.file)]


def conflicts(config: t.Mapping[str, t.Any], flags: t.Iterable[Word]) -> list[Conflict]:
    """The settings that have a flag, too. Docker 23 and later accept this for runtimes."""
    keys = _keys(config)
    found = []
    for text, file in flags:
        flag = text.partition("=")[0] if text.startswith("--") else text[:2]
        key = next((key for key in _keys_of(flag) if key in keys), None)
        if key and flag.startswith("-"):
            found.append(Conflict(key, flag, file))
    return found


def _keys(config: t.Mapping[str, t.Any]) -> set[str]:
    keys: set[str] = set()
    for key, value in config.items():
        keys.update(value if isinstance(value, dict) and key not in _OBJECTS else [key])
    return keys


def _keys_of(flag: str) -> list[str]:
    """The keys that a flag may have in daemon.json: `label` and `labels` for `--label`."""
    if not flag.startswith("--"):
        return [_LETTERS[flag[1:]]] if flag[1:] in _LETTERS else []
    name = flag[2:]
    return [_KEYS.get(name, name), f"{name}s"]


def described(found: t.Iterable[Conflict]) -> str:
    """What to change."""
    return "; ".join(
        f"{key} is also set by the flag {flag} in {file}: remove the flag there, or leave {key} out of the settings"
        for key, flag, file in dict.fromkeys(found)
    )
