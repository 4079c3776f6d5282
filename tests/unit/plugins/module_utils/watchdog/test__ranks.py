# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranks of a release, and those in the list of a container's processes."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog import _ranks
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import IMAGE, accepted, host

TRITON = """PID COMMAND
10 mpirun --allow-run-as-root -n 1 /opt/tritonserver/bin/tritonserver : -n 1 /opt/tritonserver/bin/tritonserver
11 /opt/tritonserver/bin/tritonserver --http-port=8000
12 /opt/tritonserver/bin/tritonserver --http-port=8000
13 /opt/tritonserver/backends/python/triton_python_backend_stub /release/model.py
14
"""
SERVE = """PID COMMAND
10 python3 /usr/local/bin/trtllm-serve /release/models/llama
11 /usr/bin/python3 -m mpi4py.futures.server
12 /usr/bin/python3 -m mpi4py.futures.server
"""


@pytest.mark.parametrize(("table", "api", "count"), [(TRITON, "triton", 2), (SERVE, "openai", 2), ("", "openai", 0)])
def test_ranks_are_counted(table: str, api: str, count: int) -> None:
    assert _ranks.running(table, api) == count


@pytest.mark.parametrize(
    ("record", "count"),
    [
        ({"service": {"api": "triton"}, "launch": {"world_size": 8}}, 8),
        ({"service": {"api": "openai"}, "launch": {"argv": ["trtllm-serve", "--tp_size", "4", "--pp_size"]}}, None),
        ({}, None),
        ({"service": None}, None),
        ({"service": {"api": "triton"}, "launch": {}}, None),
        ({"service": {"api": "openai"}, "launch": {"argv": "--tp_size 4"}}, None),
    ],
)
def test_the_record_of_a_release_says_how_many_there_should_be(
    record: t.Mapping[str, t.Any], count: int | None
) -> None:
    assert _ranks.planned(record) == count


@pytest.mark.parametrize("options", [{"release": "1.2.1", "profile": "serve"}, {"release": "0.12.0"}])
def test_plans_have_records_that_say_it(options: t.Mapping[str, t.Any]) -> None:
    plan = accepted(host(), image=IMAGE, parallelism={"tensor": 4, "pipeline": 2}, **options)
    section = plan["serve_service"]["release"] if "profile" in options else plan["model_repo"]["release"]
    assert _ranks.planned(section["manifest"]) == 8
