# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for hosts that do not exist yet."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import plan_table
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, DIGEST, host, host_plan

GROW, DRIVES = "set grow_root: true", "{drives: [empty_nvme]}"
LARGE = {"model": "mixtral-8x7b-instruct"}


def warnings(shape: str, **options: Any) -> list[str]:
    plan = host_plan(facts_of_shape(CATALOGUE.shapes[shape]), **{"release": "1.2.1", **LARGE, **options})
    assert plan["refusals"] == []
    return [text for text in plan["warnings"] if text.startswith("trtllm_storage")]


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ("BM.GPU4.8", {}, ("334 GB is needed", "that of a new BM.GPU4.8 has 47 GB", GROW, DRIVES)),
        ("BM.GPU4.8", {"storage": {"grow_root": False}}, (GROW, DRIVES)),
        # Docker's folder stays on the root file system, and so does a root folder outside of the mount.
        ("BM.GPU4.8", {"storage": {"drives": ["empty_nvme"]}}, ("50 GB is needed", GROW)),
        ("BM.GPU4.8", {"storage": {"drives": ["empty_nvme"], "mount": "/data"}}, ("334 GB", GROW)),
        ("BM.GPU4.8", {"storage": {"drives": ["empty_nvme"], "mount": "/opt"}}, ("50 GB", GROW)),
        ("BM.GPU4.8", {"storage": {"drives": ["empty_nvme"]}, "root": "/opt/trtllm-2"}, ("334 GB", GROW)),
        # It has no drives.
        ("VM.GPU.A10.1", {"model": "smollm2-135m-instruct"}, ("a new VM.GPU.A10.1 has 47 GB", GROW)),
        (
            "VM.GPU.A10.1",
            {"model": "smollm2-135m-instruct", "storage": {"drives": ["empty_nvme"]}},
            ("a new VM.GPU.A10.1 has 47 GB", GROW),
        ),
        ("BM.GPU.H200.8", {"profile": "llmapi"}, ("143 GB", "a new BM.GPU.H200.8", DRIVES)),
    ],
)
def test_the_root_file_system_of_a_new_host_is_too_small(
    shape: str, options: dict[str, Any], says: tuple[str, ...]
) -> None:
    (found,) = warnings(shape, **options)
    assert [text for text in says if text not in found] == []
    assert (DRIVES in found) == (DRIVES in says)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ("BM.GPU4.8", {"storage": {"grow_root": True}}),
        ("BM.GPU4.8", {"storage": {"grow_root": True, "drives": ["empty_nvme"]}}),
        # An archive is not pulled, so only the small model needs space.
        (
            "BM.GPU4.8",
            {"model": "smollm2-135m-instruct", "image": {"source": "archive", "archive": "/x.tar", "digest": DIGEST}},
        ),
        (
            "rehearsal",
            {
                "model": "smollm2-135m-instruct",
                "gpus_required": False,
                "image": {"source": "archive", "archive": "/x.tar", "digest": DIGEST},
            },
        ),
    ],
)
def test_enough_room_is_not_worth_a_warning(shape: str, options: dict[str, Any]) -> None:
    assert warnings(shape, **options) == []


def test_an_existing_host_is_judged_by_its_free_space() -> None:
    assert host_plan(host(), **LARGE)["warnings"] == []
    assert [entry["variable"] for entry in host_plan(host(disk_free_bytes=10**9), **LARGE)["refusals"]] == [
        "trtllm_root"
    ]


def test_several_deployments_are_added_and_shown_once() -> None:
    small = {
        "small": {
            "model": "smollm2-135m-instruct",
            "gpus": 1,
            "server": {"http_port": 8010, "grpc_port": 8011, "metrics_port": 8012},
        }
    }
    plan = host_plan(facts_of_shape(CATALOGUE.shapes["BM.GPU4.8"]), **LARGE, gpus=4, deployments=small)
    lines = plan_table({"one": plan}).splitlines()
    assert [line[:34] for line in lines if "trtllm_storage" in line] == ["warning   trtllm_storage: 333 GB i"]


def test_a_refused_plan_has_no_hint_about_storage() -> None:
    wrong = host_plan(facts_of_shape(CATALOGUE.shapes["BM.GPU4.8"]), model="nothing", storage="grow")
    assert wrong["refusals"] and wrong["warnings"] == []


def test_a_shape_in_recorded_facts_need_not_be_known() -> None:
    assert host_plan({**host(), "shape": "BM.GPU.X.8"}, **LARGE)["warnings"] == []
    assert host_plan({**host(), "shape": 3}, **LARGE)["refusals"][0]["variable"] == "trtllm_host_facts.shape"
