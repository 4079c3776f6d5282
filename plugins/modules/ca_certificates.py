#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ca_certificates
short_description: Add CA certificates to those that the system trusts, and remove them
version_added: "0.1.0"
description:
  - Writes one file for each certificate to the distribution's folder for local CA certificates, and runs the
    distribution's tool that adds them to the bundle of trusted certificates.
  - Only files in that folder whose names begin with C(trtllm-) are changed or removed.
  - If a run was killed before the tool had finished, the next run repeats it.
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
      - All CA certificates to trust. Those of earlier runs that are not listed are removed.
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
          - One certificate in PEM format.
        type: str
        required: true
  folder:
    description:
      - The distribution's folder for local CA certificates.
    type: path
    required: true
  bundle:
    description:
      - The file with all trusted certificates, which the tool creates.
    type: path
    required: true
  update:
    description:
      - The command to run after certificates were added.
    type: list
    elements: str
    required: true
  update_after_removal:
    description:
      - The command to run after certificates were, or may have been, removed. The default is O(update).
    type: list
    elements: str
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - plugin: tritonops.trtllm.pem_certificates
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Trust the company's CA on Debian
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
  description: Names of the files that were added or changed.
  returned: success
  type: list
  elements: str
  sample: [trtllm-company.crt]
removed:
  description: Names of the files that were removed.
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
