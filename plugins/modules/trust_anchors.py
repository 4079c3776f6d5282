#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trust_anchors
short_description: Have the system trust certification authorities of ours, and no longer those that were
version_added: "0.1.0"
description:
  - Keeps one file for each certificate in the folder that the distribution has for local authorities, and runs the
    distribution's own tool, which puts them into the bundle of all that the system trusts.
  - Files in that folder are ours when their name begins with C(trtllm-); no other is touched.
  - A run that was killed before the tool had done its work is made good by the next.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the names of the files.
  idempotent:
    support: full
options:
  certificates:
    description:
      - All authorities of ours. What is not among them is taken out.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the file, without the prefix C(trtllm-) and the suffix C(.crt).
        type: str
        required: true
      content:
        description:
          - One certificate, as PEM.
        type: str
        required: true
  folder:
    description:
      - The distribution's folder for local authorities.
    type: path
    required: true
  bundle:
    description:
      - The file with everything that the system trusts, which the tool makes.
    type: path
    required: true
  update:
    description:
      - The distribution's tool, with arguments, to run when something was added.
    type: list
    elements: str
    required: true
  update_after_removal:
    description:
      - The tool with other arguments for when something was taken out, or may have been. O(update) if not given.
    type: list
    elements: str
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - plugin: tritonops.trtllm.pem_certificates
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Trust the company's authority on Debian
  tritonops.trtllm.trust_anchors:
    certificates:
      - name: company
        content: "{{ lookup('ansible.builtin.file', 'company-ca.pem') }}"
    folder: /usr/local/share/ca-certificates
    bundle: /etc/ssl/certs/ca-certificates.crt
    update: [update-ca-certificates]
    update_after_removal: [update-ca-certificates, --fresh]
"""

RETURN = r"""
added:
  description: Names of the files that are new or have changed.
  returned: success
  type: list
  elements: str
  sample: [trtllm-company.crt]
removed:
  description: Names of the files that were taken out.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody

PREFIX = "trtllm-"
SUFFIX = ".crt"


class TrustError(ModuleFailure):
    """The system does not trust what it should."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"The system's trust was not updated: {cause}.")


def read_text(path: str) -> str:
    """The file's text; nothing when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def own_files(folder: str) -> dict[str, str]:
    """Name and content of the files that are ours."""
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
            f"{bundle} does not have {', '.join(missing)} although it was made anew:"
            " see whether the host's policy forbids these authorities (a blocklist, or an entry with '!')"
        )


@readable_by_everybody()
def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    folder, bundle = params["folder"], params["bundle"]
    wanted = {PREFIX + item["name"] + SUFFIX: item["content"].strip() + "\n" for item in params["certificates"]}
    present = own_files(folder)
    added = [name for name, content in wanted.items() if present.get(name) != content]
    removed = [name for name in present if name not in wanted]
    # Stands while the bundle is behind the folder, whatever becomes of this run.
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


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "content": {"type": "str", "required": True},
                },
            },
            "folder": {"type": "path", "required": True},
            "bundle": {"type": "path", "required": True},
            "update": {"type": "list", "elements": "str", "required": True},
            "update_after_removal": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot change {module.params['folder']}")


if __name__ == "__main__":
    main()
