# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two deployments on one host: planned together, served at the same time, removed one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from site_under_test import MODELS, Site
from test_4_release import LARGER_QUEUE

pytestmark = pytest.mark.long

PORTS = {"http_port": 8100, "grpc_port": 8101, "metrics_port": 8102}
SECOND = {
    "model": {"preset": "smollm2-135m-instruct", "revision": "{{ rehearsal_hub.revision }}"},
    "precision": "bfloat16",
    "parallelism": {"tensor": 1},
    "server": PORTS,
}
# In addition to the deployment of earlier tests.
BOTH: dict[str, Any] = {**LARGER_QUEUE, "trtllm_deployments": {"second": SECOND}}
QUESTION = {"text_input": "What is cloud computing?", "max_tokens": 16, "bad_words": "", "stop_words": ""}
# Runs with the host's Python.
ASK = """
import json, sys, requests
answer = requests.post("http://127.0.0.1:8100/v2/models/ensemble/generate", json=json.loads(sys.argv[1]), timeout=120)
print(answer.json()["text_output"])
"""


def answers(site: Site) -> list[str]:
    """The answers of the default deployment and of the second one, which is only reachable on the host."""
    default = requests.post(f"{MODELS}/ensemble/generate", json=QUESTION, timeout=120).json()
    second = site.read(f"{site.root}/venv/bin/python", "-c", ASK, json.dumps(QUESTION))
    return [default["text_output"].strip(), second.strip()]


def test_port_conflicts_are_refused_with_free_ports(site: Site) -> None:
    clashing = {"trtllm_deployments": {"second": {**SECOND, "server": {}}}}
    played = site.play("plan", variables=clashing)
    assert played.returncode != 0
    said = " ".join(played.output.split())
    assert "trtllm_deployments.second.server: ports 8000, 8001, 8002 are used by deployment default" in said
    assert "http_port: 8010, grpc_port: 8011 and metrics_port: 8012 are free" in said


def test_they_share_artifacts_and_serve_at_the_same_time(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert site.play("plan", variables={**BOTH, "trtllm_plan_file": str(file)}).returncode == 0
    plan = json.loads(file.read_text())
    actions = {step["what"]: step["action"] for step in plan["hosts"]["rehearsal"]["deployments"]["second"]["steps"]}
    assert (actions["image"], actions["weights"], actions["engine"]) == ("reuse", "reuse", "build")

    before = site.container()["Id"]
    played = site.play("site", variables=BOTH)
    assert played.returncode == 0
    # The first deployment kept running.
    assert site.container()["Id"] == before
    first, second = answers(site)
    assert first == second and "cloud" in first.lower()
    assert site.container("second")["HostConfig"]["NetworkMode"] == "trtllm-second"
    assert len(site.read("sh", "-c", f"ls -d {site.root}/weights/????????????????").split()) == 1


def test_verify_checks_both_and_rollback_requires_a_name(site: Site) -> None:
    played = site.play("verify")
    assert played.returncode == 0
    assert "default: smollm2" in played.output and "second: smollm2" in played.output
    played = site.play("rollback")
    assert played.returncode != 0 and "choose one with -e trtllm_deployment=NAME" in played.output


def test_a_deployment_missing_from_the_inventory_is_reported_and_removed(site: Site) -> None:
    played = site.play("plan", variables=LARGER_QUEUE)
    assert played.returncode == 0
    assert "deployment second is served on this host, but is not in the inventory" in " ".join(played.output.split())
    before = site.container()["Id"]
    assert site.play("teardown", variables={"trtllm_deployment": "second"}).returncode == 0
    assert site.container()["Id"] == before
    assert not site.exists(f"{site.root}/deployments/second")
    assert site.run("systemctl", "is-enabled", "trtllm@second.service", check=False).returncode != 0
    assert site.run("docker", "network", "inspect", "trtllm-second", check=False).returncode != 0
    assert site.exists(f"{site.root}/weights/????????????????")
