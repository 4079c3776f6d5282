# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""convert.yml, run without access to the hosts: creates the checkpoints that they need, or says why not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._converter import OPTIONS
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import Run
from ansible_collections.tritonops.trtllm.tests.unit.support.tiny_model import TINY_MIXTRAL, tiny_mixtral


def convert(folder: Path, hosts: dict[str, Any], **variables: Any) -> Run:
    """Run it with the tests' own packages, for unreachable hosts."""
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"trtllm": {"hosts": hosts, "vars": {"ansible_host": "192.0.2.1"}}}))
    here = {"host_python_executable": sys.executable, "ansible_become": False}
    where = {"trtllm_convert_root": str(folder / "converted"), "trtllm_host_shape": "BM.GPU4.8"}
    return Run(folder, "-i", str(inventory), playbook="convert", **here, **where, **variables)


@pytest.mark.long
def test_every_checkpoint_is_created_once_in_the_folder_that_the_hosts_use(tmp_path: Path) -> None:
    weights = tmp_path / "tiny"
    tiny_mixtral(weights)
    one, two = (
        {"trtllm_parallelism": {"tensor": 1}},
        {"trtllm_parallelism": {"tensor": 2}, "trtllm_root": "/srv/trtllm"},
    )
    run = convert(
        tmp_path,
        {"a": one, "b": two, "c": one},
        trtllm_model={**TINY_MIXTRAL, "name": "tiny"},
        trtllm_weights={"path": str(weights)},
    )
    assert run.rc == 0, run.said
    made = {
        path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("converted/checkpoint/*/artifact.json")
    }
    assert set(made) == {run.deployment(name)["artifacts"]["checkpoint"]["key"] for name in "abc"} and len(made) == 2
    source = json.loads(next(tmp_path.glob("converted/weights/*/artifact.json")).read_text())["key"]
    for plan in map(run.deployment, "abc"):
        key, checkpoint = plan["artifacts"]["checkpoint"]["key"], plan["engine_build"]["checkpoint"]
        inputs = made[key]["inputs"]
        assert {name: checkpoint[name] for name in OPTIONS}.items() <= inputs.items() and inputs["source"] == source
        root = f"{tmp_path}/converted/."
        copied = f"{root}/.trtllm {root}/checkpoint/{key} HOST:{plan['root']}/"
        assert f"rsync -aR --mkpath {copied}" in run.said
    # The mark lets a host's plan accept the folder that this is copied to as its root folder.
    assert (tmp_path / "converted/.trtllm").is_file()
    assert "a, c will find the checkpoint" in run.said and "b will find" in run.said


def test_a_checkpoint_that_needs_upstreams_tool_is_refused_before_any_download(tmp_path: Path) -> None:
    run = convert(
        tmp_path,
        {"a": {"trtllm_precision": "int8_weight_only"}, "b": {}, "c": {"trtllm_profile": "llmapi"}},
        trtllm_model="mixtral-8x7b",
    )
    assert run.rc != 0 and not (tmp_path / "converted").exists()
    said = " ".join(run.said.split())
    assert "a: upstream: int8_weight_only weights have a layout that depends on the GPU" in said
    assert "c: nothing is converted: profile llmapi" in said and "b: native" not in said
    assert "site.yml does the rest on the host itself" in said
