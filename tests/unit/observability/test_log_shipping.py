# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in docs/observability.md that send logs elsewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import pyvrl
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.observability.promtool import program

PAGE = (PROJECT / "docs/observability.md").read_text(encoding="utf-8")


def example(path: str) -> str:
    """The example of this file."""
    found = re.search(rf"^```\w+\n(# {re.escape(path)}.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program("rsyslogd"), "-N1", "-f", file], capture_output=True, text=True, check=False)


def test_rsyslog_accepts_its_example(tmp_path: Path) -> None:
    text = example("/etc/rsyslog.d/trtllm.conf")
    file = tmp_path / "trtllm.conf"
    file.write_text(text, encoding="utf-8")
    accepted = check(file)
    assert accepted.returncode == 0 and "error" not in accepted.stderr, accepted.stderr
    file.write_text(text.replace("$programname", "$programname2"), encoding="utf-8")
    assert check(file).returncode != 0


def vector() -> Any:
    return yaml.safe_load(example("/etc/vector/vector.yaml"))


def test_the_example_of_vector_reads_what_the_collection_writes() -> None:
    """Vector itself is not there. The names are those of the units, and of the deployment in the other examples."""
    source = vector()["sources"]["trtllm"]
    identifiers = source["include_matches"]["SYSLOG_IDENTIFIER"]
    units = "".join(path.read_text(encoding="utf-8") for path in PROJECT.glob("roles/*/templates/*.service.j2"))
    written = re.findall(r"^SyslogIdentifier=(\S+)", units, re.MULTILINE)
    assert {identifier.replace("chat", "%i") for identifier in identifiers} <= {
        name.replace("%i", instance) for name in written for instance in ("%i", "gateway", "endpoint")
    }


@pytest.mark.parametrize(
    ("fields", "deployment", "request_of_gateway"),
    [
        ({"message": '{"key":"search","status":200}'}, None, {"key": "search", "status": 200}),
        ({"message": "Starting release a1", "TRTLLM_DEPLOYMENT": "chat"}, "chat", None),
        ({}, None, None),
    ],
)
def test_vectors_language_accepts_the_transformation(
    fields: dict[str, str], deployment: str | None, request_of_gateway: Any
) -> None:
    """The event is one of vector's source journald."""
    event = {"timestamp": "2026-01-02T03:04:05Z", "host": "gw-1", "_SYSTEMD_UNIT": "a.service", "PRIORITY": "6"}
    # A program's result is that of its last line.
    source = f"{vector()['transforms']['parsed']['source']}\n."
    assert pyvrl.Transform(source).remap({**event, **fields}) == {
        "time": event["timestamp"],
        "host": "gw-1",
        "unit": "a.service",
        "deployment": deployment,
        "message": fields.get("message"),
        "request": request_of_gateway,
    }
