# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edits the file of API keys on the control node.

Its documentation is in the module of the same name.
"""

from __future__ import annotations

import fcntl
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._files import replace_file
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import (
    KEY_OPTIONS,
    ApiKey,
    as_content,
    ensure_key,
    read_keys,
)

SETTINGS = ("models", "requests_per_minute", "tokens_per_minute", "at_once", "expires")
HEAD = "# API keys of the gateway. They are edited by ansible-playbook tritonops.trtllm.keys.\n"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "show": {"type": "bool", "default": False},
                **KEY_OPTIONS,
            },
        )
        path = Path(arguments["path"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path.with_name(f".{path.name}.lock"), "w", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                return {**result, **self._edit(path, arguments)}
        except OSError as exc:
            raise AnsibleActionFail(f"cannot change the API keys in {path}: {exc}") from exc

    def _edit(self, path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        before = _read(path)
        if arguments["state"] == "absent":
            after, secret = [key for key in before if key.name != arguments["name"]], ""
        else:
            given = {name: arguments[name] for name in SETTINGS if arguments[name] is not None}
            if "models" in given:
                given["models"] = tuple(given["models"])
            now = datetime.now(timezone.utc)
            after, secret = ensure_key(before, arguments["name"], given, arguments["rotate"], arguments["overlap"], now)
        # Ansible's strings have tags, which YAML cannot represent.
        content = json.loads(json.dumps(as_content(after)))
        _checked(content, path)
        if after != before and not self._task.check_mode:
            replace_file(path, (HEAD + yaml.safe_dump(content, sort_keys=False)).encode(), 0o600)
        entries = [entry for entry in content if entry["name"] == arguments["name"]]
        result: dict[str, Any] = {"changed": after != before}
        if entries:
            result["entry"] = entries[-1]
        if secret and not self._task.check_mode:
            if arguments["show"]:
                # Not to the log (log_path).
                Display().display(f"API key {arguments['name']}: {secret}", screen_only=True)
            else:
                result["key"] = secret
        return result


def _read(path: Path) -> list[ApiKey]:
    try:
        return _checked(yaml.safe_load(path.read_text(encoding="utf-8")), path)
    except FileNotFoundError:
        return []
    except yaml.YAMLError as exc:
        raise AnsibleActionFail(f"{path} is not valid YAML: {exc}") from exc


def _checked(content: Any, path: Path) -> list[ApiKey]:
    keys, problems = read_keys(content)
    if problems:
        raise AnsibleActionFail(f"{path}: " + "\n".join(problems))
    return keys
