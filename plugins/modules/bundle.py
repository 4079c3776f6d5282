#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle

short_description: Assemble a bundle from its parts

version_added: "0.1.0"

description:
  - Assembles parts, which are folders with a record C(artifact.json), in one folder and writes a manifest with size and
    sha256 of every file. The manifest can be signed.
  - Files are hard links to those of the parts, so they need no additional disk space.
  - The folder is created under another name and renamed when it is complete.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows what identifies the contents.
  idempotent:
    support: full

options:
  dest:
    description:
      - Folder of the bundle.
    type: path
    required: true
  about:
    description:
      - What the bundle is for. Its keys are added to the manifest.
    type: dict
    default: {}
  parts:
    description:
      - The parts of the bundle.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Folder of the part in the bundle.
        type: str
        required: true
      src:
        description:
          - Folder of the part on this machine, made by M(tritonops.trtllm.bundle_part) or
            M(tritonops.trtllm.hf_snapshot).
        type: path
        required: true
  gpg_key:
    description:
      - The key to sign the manifest with, in a format that C(gpg --local-user) accepts. The module's user must have the
        secret key in their keyring or agent. If not set, the manifest is not signed.
    type: str

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle_info
  - module: tritonops.trtllm.bundle_part
"""

EXAMPLES = r"""
---
- name: Assemble the bundle
  tritonops.trtllm.bundle:
    dest: /srv/bundle
    about:
      model: {name: mixtral-8x7b-instruct}
    parts:
      - path: packages/debian-12
        src: /srv/bundle.parts/packages/debian-12
    gpg_key: 0123456789ABCDEF0123456789ABCDEF01234567
"""

RETURN = r"""
files:
  description: Number of files. Zero in check mode before the first run.
  returned: success
  type: int
  sample: 187
size:
  description: Size of all files in bytes.
  returned: success
  type: int
  sample: 118472105984
reason:
  description: Why the bundle was assembled; null if it was up to date.
  returned: success
  type: str
  sample: no bundle at /srv/bundle
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import pretty
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import (
    MANIFEST,
    Bundle,
    Part,
    read_manifest,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._command import runner


def manifest_of(dest: str) -> dict[str, t.Any]:
    return read_manifest(dest) if os.path.exists(os.path.join(dest, MANIFEST)) else {}


def make_bundle(module: AnsibleModule) -> dict[str, t.Any]:
    dest, key = module.params["dest"], module.params["gpg_key"]
    bundle = Bundle(dest, module.params["about"], [Part(**part) for part in module.params["parts"]], bool(key))
    run = runner(module)

    def sign(manifest: str) -> None:
        command = ["gpg", "--batch", "--yes", "--armor", "--detach-sign", "--local-user", key]
        run([*command, "--output", f"{manifest}.asc", manifest], f"cannot sign the manifest with the key {key}")

    before = manifest_of(dest)
    reason = bundle.stale()
    after = before if reason is None or module.check_mode else bundle.assemble(sign)
    return {
        "changed": reason is not None,
        "reason": reason,
        "files": len(after.get("files", {})),
        "size": after.get("size", 0),
        "diff": {"before": pretty(before.get("inputs", {})), "after": pretty(bundle.inputs())},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "about": {"type": "dict", "default": {}},
            "parts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {"path": {"type": "str", "required": True}, "src": {"type": "path", "required": True}},
            },
            "gpg_key": {"type": "str", "no_log": False},
        },
        supports_check_mode=True,
    )
    run_module(module, make_bundle, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
