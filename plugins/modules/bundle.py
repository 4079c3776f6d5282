#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle

short_description: Put finished parts together to a bundle with a manifest

version_added: "0.1.0"

description:
  - Makes one folder of finished parts (folders with C(artifact.json)) by hard links, which take no room, and writes a
    manifest with size and sha256 of every file. It can be signed.
  - The folder is made aside and has its name only when it is complete.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows what goes into it.
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
      - What the bundle is for. Its keys are in the manifest.
    type: dict
    default: {}
  parts:
    description:
      - What it has.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Folder in the bundle.
        type: str
        required: true
      src:
        description:
          - Folder of the finished part.
        type: path
        required: true
  gpg_key:
    description:
      - The key to sign with, as C(gpg --local-user) takes it. Its secret part is in the keyring of the user that the
        module runs as, or of its agent. Not signed when it is not given.
    type: str

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle_info
  - module: tritonops.trtllm.bundle_packages
"""

EXAMPLES = r"""
---
- name: Put the bundle together
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
  description: How many files it has. Zero in check mode before the first run.
  returned: success
  type: int
  sample: 187
size:
  description: Bytes of all its files.
  returned: success
  type: int
  sample: 118472105984
reason:
  description: Why it was put together; null when it was there already.
  returned: success
  type: str
  sample: no bundle at /srv/bundle
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import (
    MANIFEST,
    Bundle,
    Part,
    read_manifest,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import runner


def manifest_of(dest: str) -> dict[str, t.Any]:
    return read_manifest(dest) if os.path.exists(os.path.join(dest, MANIFEST)) else {}


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
    dest, key = module.params["dest"], module.params["gpg_key"]
    bundle = Bundle(dest, module.params["about"], [Part(**part) for part in module.params["parts"]], bool(key))
    run = runner(module)

    def sign(manifest: str) -> None:
        command = ["gpg", "--batch", "--yes", "--armor", "--detach-sign", "--local-user", key]
        run([*command, "--output", f"{manifest}.asc", manifest], f"cannot sign by the key {key}")

    try:
        before = manifest_of(dest)
        reason = bundle.stale()
        after = before if reason is None or module.check_mode else bundle.assemble(sign)
    except ArtifactError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"cannot make {dest}: {exc}")
    module.exit_json(
        changed=reason is not None,
        reason=reason,
        files=len(after.get("files", {})),
        size=after.get("size", 0),
        diff={"before": _shown(before.get("inputs", {})), "after": _shown(bundle.inputs())},
    )


def _shown(inputs: t.Mapping[str, t.Any]) -> str:
    return json.dumps(inputs, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
