# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Callable

import pytest
from testinfra.host import Host

COMMIT = "12fd25f77366fa6b3b4b768ec3050bf629380bac"


@pytest.fixture
def requests(host: Host) -> Counter[str]:
    """The requests to the hub, of all runs together."""
    return Counter(re.findall(r"^(?:GET|HEAD) .*$", host.file("/var/log/hub.log").content_string, re.MULTILINE))


def test_every_file_is_that_of_the_hub(host: Host, only: Callable[[str], str], snapshot: dict[str, str]) -> None:
    folder = only("weights")
    lines = host.check_output("cd %s && sha256sum $(find -type f ! -name artifact.json)", folder).splitlines()
    assert {name.removeprefix("./"): digest for digest, name in (line.split() for line in lines)} == snapshot


def test_record_names_its_source(
    only: Callable[[str], str], record: Callable[[str], Any], snapshot: dict[str, str]
) -> None:
    artifact = record(f"{only('weights')}/artifact.json")
    assert artifact["inputs"]["repository"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert artifact["inputs"]["commit"] == COMMIT
    assert artifact["source"] == "http://127.0.0.1:8090"
    assert {name: entry["sha256"] for name, entry in artifact["files"].items()} == snapshot


def test_each_file_was_downloaded_once_and_the_second_run_asked_nothing(
    requests: Counter[str], snapshot: dict[str, str]
) -> None:
    """A commit never changes: the hub is not needed when its files exist."""
    root = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert requests[f"GET /api/models/{root}/revision/{COMMIT}"] == 1
    fetched = {line: count for line, count in requests.items() if line.startswith("GET") and "/resolve/" in line}
    assert fetched == {f"GET /{root}/resolve/{COMMIT}/{name}": 1 for name in snapshot}


def test_the_token_is_nowhere(host: Host) -> None:
    """Not in a file of its own, a record, a log or the journal."""
    found = host.run("grep -rlaFf /srv/token /opt/trtllm /etc /root /run/log /tmp /var/log /var/tmp")
    assert found.stdout == ""
