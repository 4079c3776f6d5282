#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_transfer_info

short_description: Get the record of an artifact, and its description for a transfer

version_added: "0.1.0"

description:
  - Returns what the record of an artifact (C(artifact.json)) says, if the artifact is complete and can be transferred
    to other hosts.
  - On the host that has the artifact, it also makes the torrent that the other hosts need, which reads all files.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module

options:
  dest:
    description:
      - Folder of the artifact.
    type: path
    required: true
  authority:
    description:
      - The certificate of the authority that signs the certificates of the hosts that take part, as PEM. The torrent
        contains it. Without it no torrent is made.
    type: str

requirements:
  - libtorrent (for the torrent)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.artifact_transfer
"""

EXAMPLES = r"""
---
- name: Describe the weights for the other hosts
  tritonops.trtllm.artifact_transfer_info:
    dest: /opt/trtllm/weights/3f2a9c0d1b7e4865
    authority: "{{ issued.authority_certificate }}"
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
  register: described
"""

RETURN = r"""
artifact:
  description:
    - Content of C(artifact.json), with size and SHA-256 of each file; V(null) if there is no complete artifact whose
      files were hashed.
  returned: success
  type: dict
  sample: {"key": "3f2a9c0d1b7e4865", "inputs": {}, "files": {"config.json": {"size": 100, "sha256": "0f1e…"}}}
size:
  description: Size of all files in bytes.
  returned: success
  type: int
  sample: 269060552
torrent:
  description: The torrent in Base64. Empty without O(authority), and if C(libtorrent) is not installed.
  returned: success
  type: str
  sample: ZDQ6aW5mb2Q=
"""

import base64
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._part import torrent_of, transferable


def look(module: AnsibleModule) -> dict[str, t.Any]:
    dest, authority = module.params["dest"], module.params["authority"]
    artifact = transferable(dest)
    torrent = torrent_of(dest, authority) if authority else b""
    return {
        "changed": False,
        "artifact": artifact,
        "size": sum(entry["size"] for entry in artifact["files"].values()) if artifact else 0,
        "torrent": base64.b64encode(torrent).decode("ascii"),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={"dest": {"type": "path", "required": True}, "authority": {"type": "str"}},
        supports_check_mode=True,
    )
    run_module(module, look, f"cannot describe {module.params['dest']}")


if __name__ == "__main__":
    main()
