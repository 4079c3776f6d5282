# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify says about certificates, on a gateway, a host with an endpoint, and a host with neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT


def certificates_play() -> dict[str, Any]:
    plays: list[dict[str, Any]] = yaml.safe_load((PROJECT / "playbooks/verify.yml").read_text())
    (play,) = [play for play in plays if "certificates" in play["name"]]
    tasks = [
        {"import_tasks": str(PROJECT / "playbooks" / task["ansible.builtin.import_tasks"])} for task in play["tasks"]
    ]
    files = [str(PROJECT / "playbooks" / path) for path in play["vars_files"]]
    return {**play, "tasks": tasks, "vars_files": files}


def test_verify_reports_certificates_of_gateways_and_hosts(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    try:
        fleet.certificate(fleet.folder / "gpu1/certificate.pem", "gpu1", "server", days=20)
        fleet.endpoints["gpu1"].stop()
        fleet.endpoints["gpu1"].start()
        (tmp_path / "play.json").write_text(json.dumps([certificates_play()]))
        hosts = {name: {"of_host": name} for name in ("gpu1", "gpu3")}
        inventory = {"gateway": {"hosts": {"gateway1": {"of_host": "gateway1"}}}, "trtllm": {"hosts": hosts}}
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        variables = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "__gateway_socket": str(tmp_path / "{{ of_host if of_host is match('gateway') else 'none' }}/socket"),
            "__endpoint_socket": str(tmp_path / "{{ of_host if of_host is match('gpu') else 'none' }}/socket"),
        }
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                *("-i", tmp_path / "hosts.json", tmp_path / "play.json", "-e", json.dumps(variables)),
            ],
            text=True,
            capture_output=True,
            check=False,
            env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "COLUMNS": "400"},
        )
    finally:
        fleet.close()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"gateway1: {tmp_path}/gateway1/certificate.pem: /OU=server/CN=api: 399 days" in said
    assert f"gateway1: {tmp_path}/gateway1/ca.pem: /CN=test: 3649 days" in said
    assert f"gpu1: {tmp_path}/gpu1/certificate.pem: /OU=server/CN=gpu1: 19 days" in said
    assert "the certificate /OU=server/CN=gpu1 expires in 19 days" in " ".join(said.split())
    assert "gpu3:" not in said.split("PLAY RECAP")[0]
