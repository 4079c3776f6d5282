# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""preflight.yml as a user runs it; it leaves nothing on the host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

PROJECT = Path(__file__).parents[3]
# This host is neither large nor connected to the internet.
HERE = {
    "trtllm_model": "mixtral-8x7b-instruct",
    "trtllm_weights": {"offline": True},
    "trtllm_waive": ["disk_space", "memory", "registry_unreachable", "unreachable", "registry_certificate", "shm"],
    "trtllm_preflight_gpus": {"count": 8, "name": "NVIDIA A100-SXM4-40GB"},
}
FOLDERS = {"healthy": "/etc/rehearsal/gpu", "broken": "/etc/rehearsal/gpu-broken"}


class Run:
    """A run of preflight.yml on the scenario's host, under two names with different GPUs."""

    def __init__(self, folder: Path, **hosts: str) -> None:
        container = os.environ.get("MOLECULE_SCENARIO_NAME", "preflight_gpu")
        shared = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": f"trtllm-molecule-{container}",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        names = {name: {**shared, "gpu_folder": FOLDERS[kind]} for name, kind in hosts.items()}
        inventory = folder / "hosts.json"
        inventory.write_text(json.dumps({"trtllm": {"hosts": names}}))
        self.file = folder / "report.json"
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            str(PROJECT / "playbooks/preflight.yml"),
            f"--inventory={inventory}",
            "--extra-vars",
            json.dumps({**HERE, "trtllm_preflight_report": str(self.file)}),
            # The play's environment is the egress role's.
            "--extra-vars",
            '{"egress_environment": {"REHEARSAL_GPU": "{{ gpu_folder }}"}}',
        ]
        # Molecule enables colours, whose escape sequences would break the comparisons.
        plain = {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
        environment = {**os.environ, **plain, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
        done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment, cwd=folder)
        self.rc, self.output = done.returncode, done.stdout + done.stderr

    def ids(self, host: str) -> list[str]:
        report: dict[str, Any] = json.loads(self.file.read_text())["hosts"][host]
        return [
            finding["id"] for finding in report["findings"] if finding["severity"] == "error" and not finding["waived"]
        ]


@pytest.fixture(name="fleet", scope="module")
def fixture_fleet(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("fleet"), healthy="healthy", broken="broken")


def test_one_bad_host_fails_the_run_and_all_are_reported(fleet: Run) -> None:
    assert fleet.rc == 2, fleet.output
    assert re.search(r"^healthy +: .*failed=0", fleet.output, re.MULTILINE), "the run must only fail for the other host"
    assert fleet.ids("healthy") == []
    assert {"driver_too_old", "gpu_lost", "gpu_count", "mig_mode", "ecc_uncorrected", "row_remapping_failed"} <= set(
        fleet.ids("broken")
    )
    # The check of the host and the plan report the same problem as one finding.
    assert "plan" not in fleet.ids("broken")
    assert "the driver is 570.124.06, but the image's CUDA needs 580 or later" in fleet.output
    assert "trtllm_release: update the driver, or use trtllm_release 1.0.0" in fleet.output
    assert sorted(re.findall(r"^(\w+: \d) x NVIDIA", fleet.output, re.MULTILINE)) == ["broken: 7", "healthy: 8"]


def test_nothing_was_changed(host: Host, fleet: Run) -> None:
    # The only change is the report, on this machine.
    assert sorted(re.findall(r"changed=(\d+)", fleet.output)) == ["0", "1"]
    listing = (Path(__file__).parents[1] / "files/listing.sh").read_text()
    host.check_output("sh -c %s listing /run/listing.after", listing)
    assert host.check_output("diff /run/listing.before /run/listing.after || true") == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--reset-everything", "ERROR: Option --reset-everything is not recognized."),
        ("-q --loop=1", "Invalid combination of input arguments."),
        ("--query-gpu=uuid,frobs --format=csv", 'Field "frobs" is not a valid field to query.'),
        ("--query-gpu=uuid --format=xml", "is not a valid format"),
    ],
)
def test_the_stand_in_refuses_what_the_real_one_does(host: Host, arguments: str, said: str) -> None:
    refused = host.run(f"nvidia-smi {arguments}")
    assert refused.rc == 2 and said in refused.stdout
