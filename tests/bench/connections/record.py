# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to a host that writes down what it is asked and says. The connection replay says the same later."""

from __future__ import annotations

import json
import subprocess

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase
from ansible_collections.tritonops.trtllm.tests.bench.calls import asked

DOCUMENTATION = r"""
name: record
short_description: Records the results of modules
description:
  - For benchmarks; it is not part of the collection. It needs pipelining.
options:
  file:
    description: A line of JSON is added to it for each call.
    type: path
    required: true
    vars:
      - name: record_file
  command:
    description: What runs a shell on the host, such as C(docker exec --interactive host).
    type: list
    elements: str
    default: []
    vars:
      - name: record_command
"""


class Connection(ConnectionBase):
    transport = "record"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        command = [*self.get_option("command"), "/bin/sh", "-c", cmd]
        done = subprocess.run(command, input=in_data or b"", capture_output=True, check=False)
        call = asked(cmd, in_data)
        line = {
            "module": call.module,
            "arguments": call.identity,
            "rc": done.returncode,
            "stdout": done.stdout.decode(),
            "stderr": done.stderr.decode(),
        }
        with open(self.get_option("file"), "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("record: files are only transferred without pipelining")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("record: files are not fetched")

    def close(self) -> None:
        self._connected = False
