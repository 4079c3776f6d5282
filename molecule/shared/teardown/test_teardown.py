# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Teardown returns a host to the state that prepare.yml recorded with remember_host.yml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from host_comparison import differences, state_of
from played import Played
from testinfra.host import Host

INVENTORIES = Path(__file__).parents[2] / "inventory"


def teardown(host: Host, *options: str) -> Played:
    began = time.monotonic()
    inventory = INVENTORIES / ("machine.yml" if host.backend.NAME == "ssh" else "hosts.yml")
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "tritonops.trtllm.teardown"]
    command += ["-e", json.dumps({"trtllm_keep": []}), *options]
    played = subprocess.run(
        command,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    print(played.stdout)
    assert played.returncode == 0
    return Played(played.returncode, played.stdout, time.monotonic() - began)


@pytest.fixture
def found() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "found.json").read_text())
    return described


def test_teardown_leaves_the_host_as_it_was_found(host: Host, found: dict[str, Any]) -> None:
    served = state_of(host)
    assert teardown(host, "--check").changed > 0
    assert differences(served, state_of(host)) == {}
    assert teardown(host).changed > 0
    assert differences(found, state_of(host)) == {}
    assert teardown(host).changed == 0
