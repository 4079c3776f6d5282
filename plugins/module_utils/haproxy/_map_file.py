# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Map files of HAProxy: one entry on each line, a key and a value with a space between them."""

from __future__ import annotations

import os
import re
import tempfile
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Runtime

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# HAProxy ignores lines that begin with #. A backslash or a semicolon would end or change a command of the runtime API.
_KEY = re.compile(r"(?![#@<])[^\s;\\]+")
_VALUE = re.compile(r"[^\n\r;\\]*")


def as_text(entries: t.Mapping[str, str]) -> str:
    return "".join(f"{key} {value}".rstrip() + "\n" for key, value in sorted(entries.items()))


def read_text(text: str) -> dict[str, str]:
    entries = {}
    for line in text.splitlines():
        key, _space, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            entries[key] = value.strip()
    return entries


def entry_problems(entries: t.Mapping[str, str]) -> list[str]:
    return [
        f"{key!r}: {value!r} cannot be an entry of a map file"
        for key, value in entries.items()
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value) or value != value.strip()
    ]


def ensure_map(module: AnsibleModule) -> dict[str, t.Any]:
    """Write the file, and replace the entries in the running HAProxy. The file is what HAProxy reads when it starts."""
    path: str = module.params["path"]
    given = {str(key): str(value) for key, value in module.params["entries"].items()}
    problems = entry_problems(given)
    if problems:
        raise ModuleFailure("\n".join(problems))
    before = read_file(path)
    old = read_text(before)
    entries = given if module.params["purge"] else {**old, **given}
    entries = {key: value for key, value in entries.items() if key not in module.params["remove"]}
    text = as_text(entries)
    # HAProxy does not start without the file, so that an empty one is created as well.
    changed = text != before or not os.path.exists(path)
    if changed and not module.check_mode:
        write_file(module, path, text)
    attributes = {**module.load_file_common_arguments(module.params), "path": path}
    if os.path.exists(path):
        changed = module.set_fs_attributes_if_different(attributes, changed)
    running, applied = _apply(module, path, entries)
    return {
        "changed": changed or applied,
        "applied": applied,
        "running": running,
        "diff": {"before": before, "after": text, "before_header": path, "after_header": path},
    }


def _apply(module: AnsibleModule, path: str, entries: t.Mapping[str, str]) -> tuple[bool, bool]:
    """Whether HAProxy runs, and whether its entries are others than these and are replaced."""
    runtime = Runtime(module.params["socket"])
    if not runtime.is_running():
        return False, False
    if runtime.read_map(path) == entries:
        return True, False
    if not module.check_mode:
        runtime.replace_map(path, entries)
    return True, True


def read_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def write_file(module: AnsibleModule, path: str, text: str) -> None:
    handle, candidate = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    module.atomic_move(candidate, path)
