# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to a host that does not exist. Modules do not run; their recorded results are returned."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase
from ansible_collections.tritonops.trtllm.tests.bench.calls import Recording, UnknownCall, asked

DOCUMENTATION = r"""
name: replay
short_description: Returns recorded results of modules
description:
  - For benchmarks; it is not part of the collection. It needs pipelining.
options:
  results:
    description: The recording.
    type: path
    required: true
    vars:
      - name: replay_results
  host:
    description: The name of the host.
    type: str
    required: true
    vars:
      - name: inventory_hostname
  address:
    description: The address of the host.
    type: str
    default: ""
    vars:
      - name: ansible_host
  unreachable:
    description: Whether the host cannot be reached.
    type: bool
    default: false
    vars:
      - name: replay_unreachable
"""


class Connection(ConnectionBase):
    """A module is recognised by its name in the program that Ansible sends."""

    transport = "replay"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        if self.get_option("unreachable"):
            raise AnsibleConnectionFailure("Connection timed out")
        call = asked(cmd, in_data)
        try:
            recording = Recording(Path(self.get_option("results")))
            result = recording.answer(call, self.get_option("host"), self.get_option("address"))
        except UnknownCall as exc:
            return 1, b"", f"replay: {exc}".encode()
        if call.module == "raw":
            return result["rc"], result["stdout"].encode(), result["stderr"].encode()
        # As a module does. It is part of what the control node processes.
        return 0, json.dumps({**result, "invocation": {"module_args": call.arguments}}).encode(), b""

    def put_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("replay: files are only transferred without pipelining")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("replay: there are no files")

    def close(self) -> None:
        self._connected = False
