# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Files that a module writes itself, because a task for each of them would need a connection each."""

from __future__ import annotations

import os
import stat
import tempfile
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Files:
    """Writes and removes files, and remembers what it changed."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.changed: list[str] = []
        self.diff: list[dict[str, str]] = []

    def write(
        self,
        path: str,
        content: bytes,
        mode: int = 0o644,
        check: t.Sequence[str] = (),
        readable: bool = True,
        predict: bool = False,
    ) -> None:
        """With `readable`, the difference is shown. `check` is a command that gets the new file as last argument.

        With `predict`, nothing is written, as in check mode.
        """
        keep = predict or self.module.check_mode
        before = _content(path)
        if before == content:
            self._set_mode(path, mode, keep)
            return
        self._note(path, before, content if readable else None)
        if not keep:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            # Not in the folder, where systemd could read a unit that is incomplete.
            handle, candidate = tempfile.mkstemp(dir=self.module.tmpdir)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            if check:
                self._check(path, candidate, check)
            self.module.atomic_move(candidate, path)
            # It gives the file the mode of the old one, or that of a new file.
            os.chmod(path, mode)

    def remove(self, path: str) -> None:
        before = _content(path)
        if before is not None:
            self._note(path, before, b"")
            if not self.module.check_mode:
                os.unlink(path)

    def _set_mode(self, path: str, mode: int, keep: bool) -> None:
        now = stat.S_IMODE(os.stat(path).st_mode)
        if now == mode:
            return
        self.changed.append(path)
        modes = {"before": f"mode: {now:04o}\n", "after": f"mode: {mode:04o}\n"}
        self.diff.append({**modes, "before_header": path, "after_header": path})
        if not keep:
            os.chmod(path, mode)

    def _check(self, path: str, candidate: str, command: t.Sequence[str]) -> None:
        rc, out, err = self.module.run_command([*command, candidate])
        if rc != 0:
            raise ModuleFailure(
                f"{path} was not written, because {' '.join(command)} refuses it: {(err or out).strip()}"
            )

    def _note(self, path: str, before: bytes | None, after: bytes | None) -> None:
        self.changed.append(path)
        if after is not None:
            texts = {"before": before or b"", "after": after}
            shown = {name: text.decode("utf-8", "replace") for name, text in texts.items()}
            self.diff.append({**shown, "before_header": path, "after_header": path})


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
