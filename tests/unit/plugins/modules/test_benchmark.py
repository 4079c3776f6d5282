# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with a program in place of the load generator; tests/integration/test_3_benchmark.py has the real one."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark import _generator
from ansible_collections.tritonops.trtllm.plugins.modules import benchmark
from ansible_collections.tritonops.trtllm.tests.unit.plugins.module_utils.benchmark.test__generator import FOUND
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import failure, run_module

KEY = "sk-s3cret"
# Keeps what it was started with, and does what the model's name says.
PROGRAM = """#!{python}
import json, os, pathlib, subprocess, sys, time
config = pathlib.Path(sys.argv[3])
asked = json.loads(config.read_text())["benchmark"]
folder = pathlib.Path(asked["artifacts"]["dir"])
seen = {{"argv": sys.argv, "environment": dict(os.environ), "mode": config.stat().st_mode, "asked": asked}}
(folder / "seen.json").write_text(json.dumps(seen))
if asked["model"] == "hang":
    child = subprocess.Popen(["sleep", "60"])
    (folder.parent.parent / "child").write_text(str(child.pid))
    time.sleep(60)
if asked["model"] == "broken":
    print("12:00 INFO fine")
    print("│ • it is broken │")
    sys.exit(3)
if asked["model"] == "refused":
    error = {{"code": 401, "type": "Unauthorized", "message": "unknown key"}}
    (folder / "profile_export.jsonl").write_text(json.dumps({{"error": error}}) + "\\n")
    sys.exit(1)
if asked["model"] == "garbled":
    (folder / "profile_export_aiperf.json").write_text("{{")
elif asked["model"] != "silent":
    (folder / "profile_export_aiperf.json").write_text({found!r})
"""


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    program = tmp_path / "aiperf"
    program.write_text(PROGRAM.format(python=sys.executable, found=json.dumps(FOUND)))
    program.chmod(0o755)
    return {
        "generator": str(program),
        "dest": str(tmp_path / "results"),
        "url": "https://api.example.com",
        "api": "openai",
        "model": "llama",
        "key": KEY,
        "tokenizer": "/tokenizer",
        "at_once": [1, 4],
        "answer_tokens": 5,
        "objective": {"first_token": 0.5},
    }


def seen(options: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(options["dest"]) / str(number) / "seen.json").read_text())
    return found


def test_each_number_of_requests_is_measured(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(benchmark, capsys, **options)
    assert [level["at_once"] for level in result["levels"]] == [1, 4]
    assert result["changed"] and result["levels"][0]["tokens_per_second"] == 12
    assert [seen(options, number)["asked"]["phases"][1]["concurrency"] for number in (1, 4)] == [1, 4]
    assert seen(options, 1)["asked"]["slos"] == {"time_to_first_token": 500}
    # The earlier results are replaced.
    run_module(benchmark, capsys, **{**options, "at_once": [2]})
    assert [path.name for path in Path(options["dest"]).iterdir()] == ["2"]


def test_the_key_is_only_in_a_private_file_that_is_removed(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_module(benchmark, capsys, **options)
    found = seen(options, 1)
    assert found["asked"]["endpoint"]["apiKey"] == KEY
    assert KEY not in json.dumps([found["argv"], found["environment"]])
    assert stat.S_IMODE(found["mode"]) == 0o600
    (Path(options["dest"]) / "1" / "seen.json").unlink()
    (Path(options["dest"]) / "4" / "seen.json").unlink()
    kept = [path for path in Path(options["dest"]).rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if KEY in path.read_text()]
    assert KEY not in json.dumps(result["levels"])


def test_a_triton_request_has_a_template(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    run_module(benchmark, capsys, **{**options, "api": "triton"})
    assert '"min_tokens"' in (Path(options["dest"]) / "1.template").read_text()


def test_a_ca_file_is_trusted(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    run_module(benchmark, capsys, **options, ca_file="/ca.pem")
    assert seen(options, 1)["environment"]["SSL_CERT_FILE"] == "/ca.pem"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "broken"}, "failed with exit code 3: it is broken. The log of the load generator is"),
        ({"model": "refused"}, "a request failed with 401 Unauthorized unknown key"),
        ({"model": "silent"}, "failed with exit code 0"),
        ({"model": "garbled"}, "no results that can be read"),
        ({"url": "http://api.example.com"}, "the key would be sent without encryption: use https"),
        ({"url": "https://me:pass@api.example.com"}, "has a user name or password"),
        ({"model": "${HOME}"}, "model: contains"),
        ({"at_once": []}, "at_once: must be at least 1"),
        ({"at_once": [0]}, "at_once: must be at least 1"),
        ({"seconds": 0}, "seconds: must be at least 1"),
        ({"stream": False}, "objective: the answers are not streamed, so only end_to_end can be set"),
        ({"answer_tokens": 1, "objective": {"between_tokens": 1}}, "an answer of one token has no time between tokens"),
        ({"generator": "/missing"}, "cannot measure https://api.example.com"),
    ],
)
def test_what_fails_says_why(
    options: dict[str, Any], change: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = failure(benchmark, capsys, **{**options, **change})
    assert words in message and KEY not in message
    left = {path.name for path in Path(f"{options['dest']}.partial").rglob("*.json")}
    assert "1.json" not in left and "4.json" not in left, "the configuration with the key is left"


def test_a_generator_that_hangs_is_stopped_with_what_it_started(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_generator, "GRACE_SECONDS", 0)
    monkeypatch.setattr(_generator, "START_SECONDS", 0)
    began = time.monotonic()
    message = failure(benchmark, capsys, **{**options, "model": "hang", "seconds": 1})
    assert "did not end within 2 s, and was stopped" in message
    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    for _attempt in range(50):
        if not os.path.exists(f"/proc/{child}") or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    raise AssertionError("the child still runs")


def test_nothing_is_measured_in_check_mode(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(benchmark, capsys, check=True, **options)
    assert (result["changed"], result["levels"]) == (True, [])
    assert not Path(options["dest"]).exists()
