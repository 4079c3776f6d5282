# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model is served on a host without a network, and the host has never tried to use the network."""

from __future__ import annotations

import json
import shlex

from testinfra.host import Host

COUNTER = "/sys/class/net/outside/statistics/tx_packets"
ASK = """
import json, urllib.request
question = json.dumps({"text_input": "cloud", "max_tokens": 8}).encode()
print(urllib.request.urlopen("http://127.0.0.1:8000/v2/models/ensemble/generate", question, timeout=60).read().decode())
"""


def sent(host: Host) -> int:
    return int(host.file(COUNTER).content_string)


def test_nothing_left_the_host(host: Host) -> None:
    """Since before the first role; DNS queries count too."""
    assert sent(host) == 0, host.run("journalctl --unit outside.service --output cat").stdout


def test_model_answers(host: Host) -> None:
    assert host.service("trtllm@default.service").is_running
    asked = host.run(f"python3 -c {shlex.quote(ASK)}")
    assert json.loads(asked.stdout)["text_output"], asked


def test_outgoing_packets_are_counted(host: Host) -> None:
    """The last test, because it changes the count."""
    host.run("timeout 3 getent hosts registry.example.com")
    assert sent(host) > 0
