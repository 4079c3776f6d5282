# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""benchmark.yml says what is missing before it measures; tests/integration/test_3_benchmark.py measures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import Run

URL = {"url": "http://127.0.0.1:9"}
PORTS = {"http_port": 8010, "grpc_port": 8011, "metrics_port": 8012}
SMALL = {"preset": "smollm2-135m-instruct"}


def said(folder: Path, **variables: Any) -> str:
    """What a run says that must fail, for a host where nothing is deployed."""
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    known = {"trtllm_model": SMALL, "trtllm_gpus_required": False, "trtllm_release": "1.2.1"}
    request = {**known, "trtllm_root": "/opt/trtllm-of-no-test"}
    run = Run(folder, "-i", "one,", playbook="benchmark", **{"trtllm_hosts": "one", **local, **request, **variables})
    assert run.rc != 0 and "Measure the deployment" not in run.said, run.said
    return " ".join(run.said.split())


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "ssh -N -L 8000:127.0.0.1:8000 one"),
        ({"trtllm_benchmark": URL, "trtllm_benchmark_host": "one"}, "choose another trtllm_benchmark_host"),
        ({"trtllm_benchmark": URL}, "but one serves no release: run site.yml first"),
        (
            {"trtllm_benchmark": URL, "trtllm_deployments": {"chat": {"model": SMALL, "server": PORTS}}},
            "choose it with -e trtllm_deployment=NAME",
        ),
        ({"trtllm_benchmark": {"urll": "x"}}, "did you mean url"),
        ({"trtllm_benchmark": {"settings": {}}}, "is not a known key"),
    ],
)
def test_what_is_missing_is_said_before(tmp_path: Path, variables: dict[str, Any], words: str) -> None:
    text = said(tmp_path, **variables)
    assert words in text, text[-700:]
