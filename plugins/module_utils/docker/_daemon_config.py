# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads, merges and formats Docker's daemon.json."""

from __future__ import annotations

import copy
import json
import os
import tempfile
import time
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._flags import (
    Word,
    conflicts,
    described,
    unit_flags,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

HIDDEN = "(not shown)"


def parse(text: str, path: str) -> dict[str, t.Any]:
    """The configuration in the text. Docker treats an empty file as an empty configuration."""
    if not text.strip():
        return {}
    try:
        config = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ModuleFailure(
            f"{path} is not valid JSON: line {exc.lineno}, column {exc.colno}: {exc.msg}."
            " It was not changed: repair it, or move it away to start with an empty configuration."
        ) from exc
    if not isinstance(config, dict):
        raise ModuleFailure(
            f"{path} holds a JSON {type(config).__name__} where Docker expects an object."
            " It was not changed: repair it, or move it away."
        )
    return config


def read(path: str) -> str | None:
    """The text of the file, or None if it does not exist."""
    try:
        # Docker skips a byte order mark, too.
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise ModuleFailure(f"{path} cannot be read: {exc}") from exc


def merge(current: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Merge objects and replace all other values; a null removes its key. Other keys are kept."""
    merged = copy.deepcopy(dict(current))
    for key, value in wanted.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged_below = merge(below if isinstance(below, dict) else {}, value)
            # Removing a key must not create its parent.
            if merged_below or key in merged or not value:
                merged[key] = merged_below
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def dump(config: t.Mapping[str, t.Any]) -> str:
    """In the format of nvidia-ctk (four spaces), so that a diff only shows real changes."""
    return json.dumps(config, indent=4) + "\n"


def changes(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The keys that differ, before and after. Old values are hidden: they may be secrets of other programs."""
    old: dict[str, t.Any] = {}
    new: dict[str, t.Any] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        if key not in after:
            old[key] = HIDDEN
        elif key not in before:
            new[key] = after[key]
        elif isinstance(before[key], dict) and isinstance(after[key], dict) and before[key] != after[key]:
            old[key], new[key] = changes(before[key], after[key])
        elif before[key] != after[key]:
            old[key], new[key] = HIDDEN, after[key]
    return old, new


def docker_accepts(module: AnsibleModule, candidate: str, config: t.Mapping[str, t.Any], flags: list[Word]) -> bool:
    """Whether Docker can validate the file with the unit's flags; fails if Docker rejects it."""
    path, twice = module.params["path"], conflicts(config, flags)
    dockerd = module.get_bin_path(module.params["dockerd"], opt_dirs=["/usr/sbin", "/usr/local/sbin"])
    words = _validation(module, dockerd, candidate, flags) if dockerd else None
    if words is None and twice:
        words = "it does not start with a setting that is also a flag"
    if words:
        remedy = described(twice) if twice else "correct the option 'config'"
        raise ModuleFailure(f"Docker refuses the new {path}: {words}. The file was not changed: {remedy}.")
    return words is not None


def _validation(module: AnsibleModule, dockerd: str, candidate: str, flags: list[Word]) -> str | None:
    """What Docker says against the file: nothing if it accepts it, None if it cannot validate."""
    argv = [dockerd, *(flag.text for flag in flags), "--validate", "--config-file", candidate]
    rc, out, err = module.run_command(argv)
    if rc == 0:
        return ""
    words = (err.strip() or out.strip()).replace(candidate, module.params["path"])
    return None if "unknown flag: --validate" in words else words or f"exit code {rc}"


def write_candidate(module: AnsibleModule, text: str) -> str:
    """Write the new file to the module's temporary folder, which Ansible removes."""
    handle, candidate = tempfile.mkstemp(dir=module.tmpdir, suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return candidate


def publish(module: AnsibleModule, candidate: str, path: str, exists: bool) -> str | None:
    """Replace the file in one step; returns the name of the backup, which is empty if there was no file."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    backup = None
    if module.params["backup"]:
        backup = module.backup_local(path) if exists else _empty_backup(path)
    module.atomic_move(candidate, path)
    return backup


def _empty_backup(path: str) -> str:
    """docker_service restores it if Docker does not start with the new file."""
    backup = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~"
    with open(backup, "w", encoding="utf-8"):
        return backup


@readable_by_everybody()
def ensure_config(module: AnsibleModule) -> dict[str, t.Any]:
    path = os.path.realpath(module.params["path"])
    text = read(path)
    before = parse(text or "", path)
    after = merge(before, module.params["config"])
    changed = before != after
    old, new = changes(before, after)
    diff = {"before_header": path, "after_header": path, "before": dump(old), "after": dump(new)}
    result: dict[str, t.Any] = {"changed": changed, "validated": False, "diff": diff}
    flags = unit_flags(module, module.params["unit"]) if module.params["validate"] else []
    if not changed:
        # A flag may be newer than the file.
        if conflicts(after, flags):
            docker_accepts(module, path, after, flags)
        return result
    candidate = write_candidate(module, dump(after))
    if module.params["validate"]:
        result["validated"] = docker_accepts(module, candidate, after, flags)
    if not module.check_mode:
        backup = publish(module, candidate, path, text is not None)
        if backup:
            result["backup_file"] = backup
    return result
