# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from testinfra.host import Host

ASK = """
import requests, sys
question = {"text_input": "What is cloud computing?", "max_tokens": 16, "bad_words": "", "stop_words": ""}
answer = requests.post("http://127.0.0.1:8000/v2/models/ensemble/generate", json=question, timeout=60)
sys.exit(answer.text) if answer.status_code != 200 else print(answer.json()["text_output"])
"""


def test_the_prompt_is_answered(host: Host) -> None:
    assert host.check_output("/opt/trtllm/venv/bin/python -c %s", ASK).strip()


def test_service_runs_and_starts_at_boot(host: Host) -> None:
    assert host.service("trtllm@default").is_running
    assert host.service("trtllm@default").is_enabled


def test_default_python_has_no_dnf_bindings(host: Host) -> None:
    """So the roles have installed packages with dnf's command line."""
    assert host.run("python3 -c 'import dnf'").rc == 1
    assert host.run("rpm -q docker-ce containerd.io").rc == 0
