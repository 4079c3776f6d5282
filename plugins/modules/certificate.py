#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Issue a certificate of the collection's authority
version_added: 0.1.0
description:
  - Creates a private key and its certificate, both in one file, as HAProxy reads them. They are signed with the
    authority's key on the control node. The private key is only written to the host.
  - The certificate is issued again if it has other names or another purpose, is of another authority, or expires
    soon.
  - Creates the authority if it does not exist. A second control node needs a copy of its folder.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    description: Runs on the control node, as an action plugin.
    support: full
options:
  authority:
    description:
      - Folder on the control node with the authority's C(ca.key) and C(ca.pem). C(ca.key) may be encrypted with
        Ansible Vault.
      - By default, an authority for this run of Ansible only. Its key is in the temporary folder of the run, and is
        removed with it.
    type: path
  name:
    description:
      - The common name (CN).
    type: str
    required: true
  purpose:
    description:
      - The organizational unit (OU), which host endpoints check. V(server) is for hosts, V(gateway) may send
        requests, and V(monitoring) may read metrics. V(transfer) is for M(tritonops.trtllm.artifact_transfer), with the
        name V(trtllm-artifact).
    type: str
    choices: [server, gateway, monitoring, transfer]
    required: true
  names:
    description:
      - DNS names and IP addresses that the certificate is valid for. O(name) by default.
    type: list
    elements: str
    default: []
  dest:
    description:
      - File on the host for the certificate and its key.
    type: path
    required: true
  days:
    description:
      - How long a new certificate is valid, in days.
    type: int
    default: 730
  renew_days:
    description:
      - The certificate is issued again if it is valid for fewer days than this.
    type: int
    default: 60
  owner:
    description:
      - Owner of the file.
    type: str
  group:
    description:
      - Group of the file.
    type: str
  mode:
    description:
      - Mode of the file.
    type: raw
    default: "0600"
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Issue the certificate of the endpoint
  tritonops.trtllm.certificate:
    authority: "{{ inventory_dir }}/authority"
    name: "{{ inventory_hostname }}"
    purpose: server
    dest: /etc/trtllm/endpoint/certificate.pem
    group: trtllm-haproxy
    mode: "0640"
"""

RETURN = r"""
reason:
  description: Why the certificate was issued. Empty if it was not.
  returned: success
  type: str
  sample: is valid for 12 more days
authority_certificate:
  description: The certificate of the authority, as PEM. Not in check mode if there is no authority yet.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----…"
"""
