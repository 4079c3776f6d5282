#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_signature

short_description: Verify the signature of a bundle's manifest

version_added: "0.1.0"

description:
  - Verifies that a key has signed a manifest, and returns the checksum of the manifest. With this checksum,
    M(tritonops.trtllm.bundle_info) accepts no other manifest.
  - Run it on the control node, because a bare host may not have C(gpg), and its keys cannot be trusted.
  - The manifest is not parsed. Only the key in O(keyring) is used, never the user's own keys.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module

options:
  content:
    description:
      - The signed manifest, in base64.
    type: str
    required: true
  signature:
    description:
      - The detached signature, in base64.
    type: str
    required: true
  keyring:
    description:
      - File with the public key, as written by C(gpg --export), with or without C(--armor).
    type: path
    required: true
  fingerprint:
    description:
      - Fingerprint of the key, with or without spaces.
    type: str
    required: true

requirements:
  - gpg (GnuPG 2)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle_info
"""

EXAMPLES = r"""
---
- name: Read the manifest
  ansible.builtin.slurp:
    src: /srv/bundle/manifest.json
  register: manifest

- name: Read the signature
  ansible.builtin.slurp:
    src: /srv/bundle/manifest.json.asc
  register: signature

- name: Verify the signature
  tritonops.trtllm.bundle_signature:
    content: "{{ manifest.content }}"
    signature: "{{ signature.content }}"
    keyring: files/bundle.gpg
    fingerprint: 0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567
  register: signed
  delegate_to: localhost

- name: Verify the files of the bundle
  tritonops.trtllm.bundle_info:
    path: /srv/bundle
    checksum: "{{ signed.checksum }}"
"""

RETURN = r"""
checksum:
  description: The sha256 of the manifest.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._command import runner
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._signature import verified_checksum


def verify(module: AnsibleModule) -> dict[str, t.Any]:
    return {"changed": False, "checksum": verified_checksum(**module.params, run=runner(module))}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True},
            "signature": {"type": "str", "required": True},
            "keyring": {"type": "path", "required": True, "no_log": False},
            "fingerprint": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    # It runs on the control node, which is not the host of the lease.
    run_module(module, verify, "cannot verify the signature", errors=(OSError, ValueError), renews_lease=False)


if __name__ == "__main__":
    main()
