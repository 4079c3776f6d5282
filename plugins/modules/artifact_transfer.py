#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_transfer

short_description: Take part in the transfer of an artifact between hosts

version_added: "0.1.0"

description:
  - Runs one host's part of a transfer. A host without the artifact gets it from the others, verifies the SHA-256 of
    every file against the record of the host that made it, and puts it in place. A host that has it sends it. Hosts
    send what they have already received, so that the time hardly grows with the number of hosts.
  - The hosts are those in O(peers). Nothing looks for other ones (no DHT, LSD, PEX or tracker). They only speak TLS,
    with certificates of the authority on both sides, on one address, until all have the artifact.
  - Run it on all hosts at the same time, which is what C(async) and C(poll=0) are for, and then
    M(tritonops.trtllm.artifact_transfer_wait).
  - If a host does not reach the others' O(port), or does not have C(libtorrent), it gets the files from the host that
    made the artifact by HTTPS, with the same certificates.
  - A transfer that was killed continues in the next run.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
  idempotent:
    support: full

options:
  dest:
    description:
      - Folder of the artifact. The files are received in this path with C(.partial) appended.
    type: path
    required: true
  record:
    description:
      - RV(tritonops.trtllm.artifact_transfer_info#module:artifact) of the host that made the artifact.
    type: dict
    required: true
  torrent:
    description:
      - RV(tritonops.trtllm.artifact_transfer_info#module:torrent) of that host. Without it, HTTPS is used.
    type: str
    default: ""
  certificate:
    description:
      - File on the host with its certificate and private key, as M(tritonops.trtllm.certificate) writes it for the
        purpose V(transfer) and the name V(trtllm-artifact).
    type: path
    required: true
  authority:
    description:
      - The certificate of the authority, as PEM.
    type: str
    required: true
  address:
    description:
      - Address or name of this host, under which the others reach it. It listens on this address only.
    type: str
    required: true
  port:
    description:
      - The TCP port to listen on for the other hosts.
    type: int
    required: true
  peers:
    description:
      - The other hosts of the transfer.
    type: list
    elements: dict
    required: true
    suboptions:
      address:
        description:
          - Address or name of the host.
        type: str
        required: true
      port:
        description:
          - Its O(port).
        type: int
        required: true
  maker:
    description:
      - The host that made the artifact. If its address is O(address), this host serves the files by HTTPS.
    type: dict
    required: true
    suboptions:
      address:
        description:
          - Address or name of the host.
        type: str
        required: true
      port:
        description:
          - Its TCP port for HTTPS.
        type: int
        required: true
  rate:
    description:
      - Bound of what is sent, and of what is received, in bytes per second. V(0) for no bound.
    type: int
    default: 0
  timeout:
    description:
      - Seconds after which the transfer is given up.
    type: int
    default: 86400
  linger:
    description:
      - Seconds that a host with the artifact waits for others that do not receive anything.
    type: int
    default: 60
  patience:
    description:
      - Seconds without any host that has more of the artifact, after which a host tries to reach the O(port) of the one
        that made it, and uses HTTPS if it cannot.
    type: int
    default: 30

requirements:
  - libtorrent (without it, HTTPS is used)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.artifact_transfer_info
  - module: tritonops.trtllm.artifact_transfer_wait
"""

EXAMPLES = r"""
---
- name: Start the transfer
  tritonops.trtllm.artifact_transfer:
    dest: /opt/trtllm/weights/3f2a9c0d1b7e4865
    record: "{{ described.artifact }}"
    torrent: "{{ described.torrent }}"
    certificate: /run/trtllm-fanout/certificate.pem
    authority: "{{ issued.authority_certificate }}"
    address: 10.0.0.2
    port: 7880
    peers:
      - {address: 10.0.0.1, port: 7880}
      - {address: 10.0.0.3, port: 7880}
    maker: {address: 10.0.0.1, port: 7881}
    rate: 100000000
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
  async: 86400
  poll: 0
  register: started
"""

RETURN = r"""
method:
  description: How the files were received, V(torrent) or V(https). Empty on a host that had the artifact.
  returned: success
  type: str
  sample: torrent
received:
  description: Bytes received, without those of an earlier run.
  returned: success
  type: int
  sample: 269060552
sent:
  description: Bytes sent to other hosts.
  returned: success
  type: int
  sample: 134530276
damaged:
  description: Number of parts that were damaged when they arrived, and were received again.
  returned: success
  type: int
  sample: 0
seconds:
  description: How long it took, with waiting for the other hosts.
  returned: success
  type: float
  sample: 22.4
"""

import base64
import binascii
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._part import (
    Part,
    addresses,
    own_address,
    take_part,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import Peer


def part_of(params: t.Mapping[str, t.Any]) -> Part:
    """Names are resolved here, because torrents only know addresses."""
    maker, names = params["maker"], [peer["address"] for peer in params["peers"]]
    own = own_address(params["address"], names)
    others = [Peer(address, peer["port"]) for peer in params["peers"] for address in addresses(peer["address"])[:1]]
    is_maker = maker["address"] == params["address"]
    found = [own] if is_maker else addresses(maker["address"])
    if not others or not found:
        raise ModuleFailure(
            f"the names of the other hosts, {', '.join(names)}, are not known on this host: set trtllm_fanout.address"
            " of these hosts to addresses"
        )
    try:
        torrent = base64.b64decode(params["torrent"], validate=True)
    except binascii.Error as exc:
        raise ModuleFailure(f"torrent is not Base64: {exc}") from exc
    return Part(
        dest=params["dest"],
        record=params["record"],
        torrent=torrent,
        certificate=params["certificate"],
        authority=params["authority"],
        own=Peer(own, params["port"]),
        others=tuple(others),
        maker=Peer(found[0], maker["port"]),
        is_maker=is_maker,
        rate=params["rate"],
        deadline=params["timeout"],
        linger=params["linger"],
        patience=params["patience"],
    )


def transfer(module: AnsibleModule) -> dict[str, t.Any]:
    started = time.monotonic()
    result = take_part(part_of(module.params))
    return {**result, "seconds": round(time.monotonic() - started, 1)}


def main() -> None:
    text, number = {"type": "str", "required": True}, {"type": "int", "required": True}
    host = {"address": text, "port": number}
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "record": {"type": "dict", "required": True},
            "torrent": {"type": "str", "default": ""},
            "certificate": {"type": "path", "required": True},
            "authority": text,
            "address": text,
            "port": number,
            "peers": {"type": "list", "elements": "dict", "required": True, "options": host},
            "maker": {"type": "dict", "required": True, "options": host},
            "rate": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 86400},
            "linger": {"type": "int", "default": 60},
            "patience": {"type": "int", "default": 30},
        },
    )
    run_module(module, transfer, f"cannot transfer {module.params['dest']}")


if __name__ == "__main__":
    main()
