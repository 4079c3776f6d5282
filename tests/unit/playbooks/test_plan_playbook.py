# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""plan.yml with recorded facts or a host shape contacts no host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.tests.unit.support.planning import host
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT, Run

# From the network for documentation, where nothing answers.
UNREACHABLE: dict[str, dict[str, Any]] = {
    "trtllm": {
        "hosts": {
            name: {"trtllm_limits": {"max_seq_len": length}} for name, length in (("a", 2048), ("b", 2048), ("c", 4096))
        },
        "vars": {
            "ansible_host": "192.0.2.1",
            "ansible_connection": "ssh",
            "trtllm_model": "mixtral-8x7b",
        },
    }
}


def inventory(folder: Path) -> str:
    """An inventory whose ssh creates a file when it is run, and fails."""
    ssh, path = folder / "ssh", folder / "hosts.json"
    ssh.write_text(f'#!/bin/sh\ntouch "{folder}/contacted"\nexit 255\n')
    ssh.chmod(0o755)
    hosts = UNREACHABLE["trtllm"]
    path.write_text(json.dumps({"trtllm": {**hosts, "vars": {**hosts["vars"], "ansible_ssh_executable": str(ssh)}}}))
    return str(path)


def test_a_shape_needs_no_inventory(tmp_path: Path) -> None:
    run = Run(tmp_path, trtllm_host_shape="BM.GPU4.8", trtllm_model="mixtral-8x7b", trtllm_profile="llmapi")
    assert run.rc == 0, run.said
    assert set(run.plan) == {"hosts", "artifacts", "fanout", "gateway", "targets"} and list(run.hosts) == ["localhost"]
    plan = run.deployment()
    promised = {"release", "profile", "artifacts", "steps", "budget", "warnings", "refusals", "model_weights"}
    assert promised <= set(plan)
    assert plan["engine_build"] == {} and run.hosts["localhost"]["refusals"] == plan["refusals"] == []
    assert plan["triton_service"]["container"]["command"][0] == "mpirun"
    assert plan["budget"]["gpu"]["sequences"] > 0
    assert "profile llmapi" in run.said and "weights     fetch" in run.said


def test_the_tags_of_site_do_not_hide_the_plan(tmp_path: Path) -> None:
    run = Run(tmp_path, "--tags", "docker", trtllm_host_shape="BM.GPU4.8", trtllm_model="mixtral-8x7")
    assert run.rc != 0 and "did you mean mixtral-8x7b?" in run.said, run.said


def test_recorded_facts_give_a_plan_for_each_host_without_contact(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"hosts": {"a": host(), "b": host(), "c": host("BM.GPU.H100.8")}}))
    run = Run(tmp_path, "-i", inventory(tmp_path), trtllm_host_facts_file=str(facts))
    assert run.rc == 0 and not (tmp_path / "contacted").exists(), run.said
    assert list(run.hosts) == ["a", "b", "c"]
    assert run.hosts["a"] == run.hosts["b"] != run.hosts["c"]
    assert run.deployment("c")["limits"]["max_seq_len"] == 4096
    weights = run.deployment("a")["artifacts"]["weights"]
    wanted = run.plan["artifacts"][f"weights/{weights['key']}"]
    assert wanted == {"bytes": weights["bytes"], "made_by": "a", "wanted_by": ["a", "b", "c"]}
    assert "== a, b\n" in run.said and "== c\n" in run.said


def test_without_facts_the_hosts_are_contacted(tmp_path: Path) -> None:
    """So the tests above would have noticed a connection."""
    run = Run(tmp_path, "-i", inventory(tmp_path))
    assert run.rc != 0 and (tmp_path / "contacted").exists() and not run.plan


def test_refusals_are_written_to_the_file_and_fail_the_run(tmp_path: Path) -> None:
    wrong = {"trtllm_model": "mixtral-8x7", "trtllm_limits": {"max_seq_len": 0}, "trtllm_host_shape": "BM.GPU4.8"}
    run = Run(tmp_path, "-i", inventory(tmp_path), "--limit", "a", **wrong)
    assert run.rc != 0
    assert [entry["variable"] for entry in run.hosts["a"]["refusals"]] == ["trtllm_model", "trtllm_limits.max_seq_len"]
    assert "did you mean mixtral-8x7b" in run.said and "Traceback" not in run.said


def test_a_host_without_recorded_facts_is_named(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"hosts": {"a": host()}}))
    run = Run(tmp_path, "-i", inventory(tmp_path), trtllm_host_facts_file=str(facts))
    assert run.rc != 0 and not run.plan
    assert f"{facts} has no facts of b, c: record them again" in " ".join(run.said.split())


def test_deployments_are_planned_together_and_one_can_be_selected(tmp_path: Path) -> None:
    small = {"model": "smollm2-135m-instruct", "gpus": 1}
    request = {"trtllm_model": "llama-3.1-8b", "trtllm_gpus": [4], "trtllm_deployments": {"small": small}}
    run = Run(tmp_path, trtllm_host_shape="BM.GPU4.8", **request)
    assert run.rc != 0 and [*run.hosts["localhost"]["deployments"]] == ["default", "small"]
    (refusal,) = run.hosts["localhost"]["refusals"]
    assert refusal["variable"] == "trtllm_deployments.small.server" and "http_port: 8010" in refusal["message"]
    small["server"] = {"http_port": 8010, "grpc_port": 8011, "metrics_port": 8012}  # type: ignore[assignment]
    run = Run(tmp_path, trtllm_host_shape="BM.GPU4.8", trtllm_deployment="small", **request)
    assert run.rc == 0, run.said
    assert [*run.hosts["localhost"]["deployments"]] == ["small"]
    assert run.deployment(name="small")["triton_service"]["container"]["gpus"] == ["0"]
    assert "GPUs      4 default, 0 small, 1-3, 5-7 unused" in run.said


def test_the_tutorials_inventory_can_be_planned(tmp_path: Path) -> None:
    tutorial = str(PROJECT / "inventories/sample/tutorial.yml")
    run = Run(tmp_path, "-i", tutorial, trtllm_host_shape="BM.GPU4.8")
    assert run.rc == 0, run.said
    (host,) = run.hosts
    plan = run.deployment(host)
    assert (plan["release"], plan["precision"], plan["parallelism"]["world_size"]) == ("0.9.0", "float16", 8)
    assert plan["trtllm_backend"]["image"]["name"] == "nvcr.io/nvidia/tritonserver:24.05-trtllm-python-py3"
    sizes = {"tp_size": 8, "pp_size": 1, "moe_tp_size": 8, "moe_ep_size": 1}
    checkpoint = plan["engine_build"]["checkpoint"]
    assert checkpoint.items() >= {"converter": "native", "dtype": "float16", **sizes}.items()
    build = plan["engine_build"]["engine"]["command"]
    assert build[:3] == ["trtllm-build", "--checkpoint_dir", "/src"]
    for name, value in (("--gemm_plugin", "float16"), ("--max_input_len", "1024"), ("--max_output_len", "1024")):
        assert build[build.index(name) + 1] == value
    filled = plan["model_repo"]["release"]["parameters"]["tensorrt_llm"]
    assert filled["batching_strategy"] == "inflight_fused_batching" and filled["decoupled_mode"] == "True"
    assert filled["batch_scheduler_policy"] == "max_utilization"
