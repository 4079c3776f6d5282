# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-playbook writes with the callback, in a small play on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

SECRET = "s3cret"
CALLBACK = "tritonops.trtllm.run_report"
DEPLOYMENT = Path(__file__).parents[4] / "roles" / "deployment" / "tasks" / "main.yml"


def played(folder: Path, tasks: list[dict[str, Any]], *options: str, callbacks: str = CALLBACK) -> str:
    """The output."""
    hosts, playbook = folder / "hosts.json", folder / "play.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts.write_text(json.dumps({"all": {"hosts": {"one": {}, "two": {}}, "vars": local}}))
    playbook.write_text(yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACKS_ENABLED": callbacks}
    command = [str(program), "-i", str(hosts), str(playbook), *options]
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment, cwd=folder)
    assert "Callback dispatch" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def run(argv: list[str], **keywords: Any) -> dict[str, Any]:
    return {"ansible.builtin.command": {"argv": argv}, **keywords}


def fail(message: str, **keywords: Any) -> dict[str, Any]:
    return {"ansible.builtin.fail": {"msg": message}, **keywords}


@pytest.mark.long
def test_a_report_has_what_happened_and_no_secret(tmp_path: Path) -> None:
    on_two = "inventory_hostname == 'two'"
    tasks = [
        run(["sleep", "1"], name="Wait", changed_when=on_two),
        fail("harmless", name="Try", ignore_errors=True),
        {"block": [fail("repaired", name="Attempt")], "rescue": [run(["true"], name="Repair")]},
        fail(SECRET, name="Hide", no_log=True, when=on_two),
    ]
    said = played(tmp_path, tasks, "-e", "trtllm_report=report.html")
    assert "The report of this run is in report.html." in said
    report = json.loads((tmp_path / "report.json").read_text())
    one, two = report["hosts"]["one"], report["hosts"]["two"]
    assert (report["playbook"], one["outcome"], two["outcome"]) == ("play.yml", "succeeded", "failed")
    statuses = [(failure["task"], failure["status"]) for failure in two["failures"]]
    assert statuses == [("Try", "ignored"), ("Attempt", "rescued"), ("Hide", "failed")]
    assert [change["task"] for change in one["changes"]] == ["Repair"]
    (change,) = [change for change in two["changes"] if change["task"] == "Wait"]
    assert 1 <= change["seconds"] < report["seconds"]
    page = (tmp_path / "report.html").read_text()
    assert "harmless" in page and SECRET not in page + json.dumps(report)
    assert list(tmp_path.glob("*.partial")) == []


def test_without_the_variable_nothing_is_written(tmp_path: Path) -> None:
    assert "report" not in played(tmp_path, [run(["true"])])
    assert {path.name for path in tmp_path.iterdir()} == {"hosts.json", "play.yml"}


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    said = played(tmp_path, [run(["true"])], "-e", "trtllm_report=missing/report.html")
    assert "cannot write the report of this run" in said and "correct trtllm_report" in said


@pytest.mark.parametrize(
    ("options", "callbacks", "refused"),
    [
        (["-e", "trtllm_report=report.html"], "tritonops.trtllm.stage_times", True),
        (["-e", "trtllm_report=report.html"], f"tritonops.trtllm.stage_times,{CALLBACK}", False),
        ([], "tritonops.trtllm.stage_times", False),
    ],
)
def test_a_report_without_its_callback_is_refused(
    options: list[str], callbacks: str, refused: bool, tmp_path: Path
) -> None:
    (block,) = yaml.safe_load(DEPLOYMENT.read_text())
    check = block["block"][0]
    said = played(tmp_path, [check], *options, callbacks=callbacks)
    assert ("trtllm_report: the callback" in said) == refused
    assert said.count("failed=1") == (1 if refused else 0)
