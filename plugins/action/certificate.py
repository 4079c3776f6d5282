# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issues a certificate on the control node, where the authority's key is, and writes it to the host.

Its documentation is in the module of the same name.
"""

from __future__ import annotations

import base64
import fcntl
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._files import replace_file
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import (
    MISSING,
    PURPOSES,
    Authority,
    Wanted,
    certificate_pem,
    issue,
    new_authority,
    outdated,
    read_authority,
)

FILE_OPTIONS = ("owner", "group", "mode")


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "authority": {"type": "path"},
                "name": {"type": "str", "required": True},
                "purpose": {"type": "str", "choices": list(PURPOSES), "required": True},
                "names": {"type": "list", "elements": "str", "default": []},
                "dest": {"type": "path", "required": True},
                "days": {"type": "int", "default": 730},
                "renew_days": {"type": "int", "default": 60},
                "owner": {"type": "str"},
                "group": {"type": "str"},
                "mode": {"type": "raw", "default": "0600"},
            },
        )
        if MISSING:
            raise AnsibleActionFail(f"Certificates cannot be issued: {MISSING}. Install it on the control node.")
        wanted = Wanted(
            arguments["name"],
            arguments["purpose"],
            tuple(arguments["names"]) or (arguments["name"],),
            arguments["days"],
            arguments["renew_days"],
        )
        now = datetime.now(timezone.utc)
        # The folder of this run of Ansible, which all its workers share, and which is removed at the end.
        folder = Path(arguments["authority"] or Path(constants.DEFAULT_LOCAL_TMP, "authority"))
        authority = self._authority(folder.expanduser(), now)
        if authority is None:
            return {**result, "changed": True, "reason": "the authority does not exist yet"}
        current = self._read(arguments["dest"], task_vars)
        reason = outdated(current, authority, wanted, now) if current else "does not exist"
        result.update(reason=reason, authority_certificate=certificate_pem(authority.certificate).decode("ascii"))
        content = issue(authority, wanted, now) if reason and not self._task.check_mode else None
        if reason and content is None:
            return {**result, "changed": True}
        written = self._write(content, arguments, task_vars)
        return {**result, **written, "changed": bool(reason) or written.get("changed", False)}

    def _authority(self, folder: Path, now: datetime) -> Authority | None:
        """The authority in the folder, which is created if it does not exist; None in check mode if it does not."""
        key, certificate = folder / "ca.key", folder / "ca.pem"
        try:
            if not key.exists() and self._task.check_mode:
                return None
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Tasks of several hosts run at the same time.
            with open(folder / ".lock", "w", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not key.exists():
                    made = new_authority(f"tritonops.trtllm {now:%Y-%m-%d}", now)
                    replace_file(certificate, made[1], 0o644)
                    replace_file(key, made[0], 0o600)
            # The key may be encrypted with Ansible Vault.
            plain = Path(self._loader.get_real_file(str(key)))
            return read_authority(plain.read_bytes(), certificate.read_bytes())
        except (OSError, ValueError) as exc:
            raise AnsibleActionFail(
                f"cannot use the authority in {folder}: {exc}. It needs ca.key and ca.pem, which belong together; copy"
                f" them from the control node that created them"
            ) from exc
        finally:
            self._loader.cleanup_all_tmp_files()

    def _read(self, path: str, task_vars: Any) -> bytes:
        """The certificate and key on the host; empty if there are none."""
        found = self._execute_module("ansible.legacy.slurp", {"src": path}, task_vars=task_vars)
        if found.get("failed"):
            return b""
        return base64.b64decode(found["content"])

    def _write(self, content: bytes | None, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Write the certificate, or only ensure the file's owner and mode."""
        given = {name: arguments[name] for name in FILE_OPTIONS if arguments[name] is not None}
        if content is None:
            given["path"] = arguments["dest"]
            done = self._execute_module("ansible.legacy.file", {**given, "state": "file"}, task_vars=task_vars)
        else:
            if self._connection._shell.tmpdir is None:
                self._make_tmp_path()
            source = self._connection._shell.join_path(self._connection._shell.tmpdir, "certificate.pem")
            self._transfer_data(source, content)
            copied = {**given, "src": source, "dest": arguments["dest"], "remote_src": True}
            done = self._execute_module("ansible.legacy.copy", copied, task_vars=task_vars)
        # Neither the task's arguments nor a diff may contain the key.
        keep = ("failed", "msg", "changed", "owner", "group", "mode")
        return {name: done[name] for name in keep if name in done}
