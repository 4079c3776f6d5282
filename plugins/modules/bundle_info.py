#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_info

short_description: Verify the files of a bundle, and return its manifest

version_added: "0.1.0"

description:
  - Compares every file of a bundle, which M(tritonops.trtllm.bundle) assembled, with the manifest. Missing, changed and
    unexpected files are reported in one failure.
  - Nothing in a bundle is trusted before its signature and digests are verified. The manifest is only parsed if it has
    the O(checksum) that M(tritonops.trtllm.bundle_signature) returned, and only returned if all files match it.
  - A bundle that others than root, or the user of this task, can change is refused, as it could be changed after it was
    verified. This does not apply to a file system that is mounted read-only.
  - Without O(checksum), the manifest is trusted as it is. Corruption is then detected, but not tampering.
  - Only requires Python's standard library.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module

options:
  path:
    description:
      - Folder of the bundle.
    type: path
    required: true
  checksum:
    description:
      - The sha256 that the manifest must have, as returned by M(tritonops.trtllm.bundle_signature).
    type: str
  below:
    description:
      - A folder of the bundle, such as C(packages/debian-13). Other files are not verified, and may be missing.
    type: str
    default: ''
  record:
    description:
      - File for a record of verified files. These are not read again unless they have been written to since.
      - Only root must be able to write to its folder. If not set, every file is read each time.
    type: path

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle
  - module: tritonops.trtllm.bundle_signature
"""

EXAMPLES = r"""
---
- name: Verify the bundle
  tritonops.trtllm.bundle_info:
    path: /srv/bundle
  register: bundle

- name: Show the systems that it has packages for
  ansible.builtin.debug:
    msg: "{{ bundle.manifest.systems.keys() }}"
"""

RETURN = r"""
manifest:
  description: The manifest, without the list of files.
  returned: success
  type: dict
  sample: {"format": 1, "made": "2026-11-23T04:10:00+00:00", "model": {"name": "mixtral-8x7b-instruct"}}
files:
  description: Number of files.
  returned: success
  type: int
  sample: 187
size:
  description: Size of all files in bytes.
  returned: success
  type: int
  sample: 118472105984
hashed:
  description: Number of bytes that were read.
  returned: success
  type: int
  sample: 0
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import check


def verify(module: AnsibleModule) -> dict[str, t.Any]:
    found = check(*(module.params[name] for name in ("path", "checksum", "record", "below")))
    return {
        "changed": False,
        "manifest": {name: value for name, value in found.manifest.items() if name not in ("files", "inputs")},
        "files": len(found.manifest["files"]),
        "size": found.manifest["size"],
        "hashed": found.hashed,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "checksum": {"type": "str"},
            "record": {"type": "path"},
            "below": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run_module(module, verify, f"cannot read the bundle {module.params['path']}")


if __name__ == "__main__":
    main()
