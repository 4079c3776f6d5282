# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The CA certificates that the system trusts."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

PREFIX = "trtllm-"
SUFFIX = ".crt"


class TrustError(ModuleFailure):
    """The system's trust store could not be updated."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"The system's trust was not updated: {cause}.")


def read_text(path: str) -> str:
    """The text of the file; empty if it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def own_files(folder: str) -> dict[str, str]:
    """Names and contents of the collection's files."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    ours = [name for name in names if name.startswith(PREFIX) and name.endswith(SUFFIX)]
    return {name: read_text(os.path.join(folder, name)) for name in sorted(ours)}


def write(module: AnsibleModule, path: str, content: str) -> None:
    handle, candidate = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(content)
    module.atomic_move(candidate, path)


def update(module: AnsibleModule, command: t.Sequence[str]) -> None:
    if module.get_bin_path(command[0], opt_dirs=["/usr/sbin", "/usr/bin"]) is None:
        raise TrustError(f"there is no {command[0]} on this host: install its package ca-certificates")
    rc, out, err = module.run_command(list(command))
    if rc != 0:
        raise TrustError(f"{' '.join(command)} failed with exit code {rc}: {err.strip() or out.strip()}")


def check_bundle(bundle: str, wanted: t.Mapping[str, str]) -> None:
    trusted = "".join(read_text(bundle).split())
    missing = [name for name, content in wanted.items() if "".join(content.split()) not in trusted]
    if missing:
        raise TrustError(
            f"{bundle} does not have {', '.join(missing)} although it was updated:"
            " check whether the host's policy rejects these certificates (a blocklist, or an entry with '!')"
        )


@readable_by_everybody()
def ensure_certificates(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    folder, bundle = params["folder"], params["bundle"]
    wanted = {PREFIX + item["name"] + SUFFIX: item["content"].strip() + "\n" for item in params["certificates"]}
    present = own_files(folder)
    added = [name for name, content in wanted.items() if present.get(name) != content]
    removed = [name for name in present if name not in wanted]
    # This file exists until the bundle is up to date with the folder, even if this run is killed.
    pending = bundle + ".trtllm-pending"
    changed = bool(added or removed) or os.path.exists(pending)
    if changed and not module.check_mode:
        os.makedirs(folder, exist_ok=True)
        os.makedirs(os.path.dirname(pending), exist_ok=True)
        with open(pending, "w", encoding="utf-8"):
            pass
        for name in added:
            write(module, os.path.join(folder, name), wanted[name])
        for name in removed:
            os.unlink(os.path.join(folder, name))
        update(
            module, params["update"] if added and not removed else params["update_after_removal"] or params["update"]
        )
        check_bundle(bundle, wanted)
        os.unlink(pending)
    result: dict[str, t.Any] = {"changed": changed, "added": added, "removed": removed}
    if module._diff:
        result["diff"] = {"before": "\n".join([*present, ""]), "after": "\n".join([*sorted(wanted), ""])}
    return result
