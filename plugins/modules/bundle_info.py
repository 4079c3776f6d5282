#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_info

short_description: Check a bundle file by file, and say what it has

version_added: "0.1.0"

description:
  - Compares every file of a bundle of M(tritonops.trtllm.bundle) with its manifest. Missing, changed and additional
    files are one failure that names them all.
  - Needs nothing but Python's standard library.

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
      - The sha256 that the manifest must have, such as that of a manifest whose signature was checked.
    type: str
  record:
    description:
      - File to note in what was read. A file of the bundle that was not written to since is not read again.
      - It belongs where nobody but root can write. Every file is read each time when it is not given.
    type: path

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle
"""

EXAMPLES = r"""
---
- name: Check what was carried here
  tritonops.trtllm.bundle_info:
    path: /srv/bundle
  register: bundle

- name: Say which systems it has packages for
  ansible.builtin.debug:
    msg: "{{ bundle.manifest.systems.keys() }}"
"""

RETURN = r"""
manifest:
  description: The bundle's manifest, without the list of its files.
  returned: success
  type: dict
  sample: {"format": 1, "made": "2026-11-23T04:10:00+00:00", "model": {"name": "mixtral-8x7b-instruct"}}
files:
  description: How many files it has.
  returned: success
  type: int
  sample: 187
size:
  description: Bytes of all its files.
  returned: success
  type: int
  sample: 118472105984
hashed:
  description: Bytes that had to be read.
  returned: success
  type: int
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError, check


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "checksum": {"type": "str"},
            "record": {"type": "path"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        found = check(path, module.params["checksum"], module.params["record"])
    except BundleError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"the bundle {path} cannot be read: {exc}")
    about = {name: value for name, value in found.manifest.items() if name not in ("files", "inputs")}
    module.exit_json(
        changed=False,
        manifest=about,
        files=len(found.manifest["files"]),
        size=found.manifest["size"],
        hashed=found.hashed,
    )


if __name__ == "__main__":
    main()
