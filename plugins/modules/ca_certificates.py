#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ca_certificates
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
  tritonops.trtllm.ca_certificates:
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._ca_certificates import ensure_certificates


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
    run_module(module, ensure_certificates, f"cannot change {module.params['folder']}")


if __name__ == "__main__":
    main()
