# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is reported if a release cannot be proved, with stand-ins for systemctl and for a server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]
FIRST = "Triton exited: the engine is for another GPU."
SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
case "$*" in
  {fails}*) echo "{fails} was refused" >&2; exit 1 ;;
  show*) printf 'Id=trtllm@default.service\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=0\\n' ;;
esac
"""


@pytest.fixture(name="deployment")
def fixture_deployment(tmp_path: Path) -> Path:
    """Of two releases, the first of which was served before."""
    folder = tmp_path / "root/deployments/default"
    for name in ("old", "new"):
        (folder / "releases" / name).mkdir(parents=True)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    endpoint = {"address": "127.0.0.1", "http_port": port, "models": ["ensemble"]}
    (folder / "releases/old/release.json").write_text(json.dumps({"service": {"api": "triton", "endpoint": endpoint}}))
    (folder / "current").symlink_to("releases/new")
    return folder


def go_back(
    deployment: Path, fallback: str, fails: str = "nothing", tasks_from: str = "go_back.yml", **more: Any
) -> str:
    """The message of the failed run, and so of the role's last task."""
    programs = deployment.parents[2] / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL.format(fails=fails))
    (programs / "systemctl").chmod(0o755)
    variables: dict[str, Any] = {
        "release_service_root": str(deployment.parents[1]),
        "release_service_release_dir": str(deployment / "releases/new"),
        "release_service_container": {},
        **more,
        "release_service_deadline": 1,
        "release_service_python": sys.executable,
        "ansible_python_interpreter": sys.executable,
        "__release_service_switched": {"fallback": {"current": fallback, "previous": ""}},
        "__release_service_files": {"files": []},
        "__release_service_cause": FIRST,
    }
    role = {"name": "tritonops.trtllm.release_service", "tasks_from": tasks_from}
    tasks = [{"name": "Go back", "ansible.builtin.include_role": role}]
    play = {"name": "Play", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook = deployment.parents[2] / "play.yml"
    playbook.write_text(json.dumps([{**play, "vars": variables}]))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.json",
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [str(program), "-i", "localhost,", str(playbook)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2, done.stdout + done.stderr
    # Other callbacks print lines around the JSON.
    results, _end = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{"))
    message: str = results["plays"][0]["tasks"][-1]["hosts"]["localhost"]["msg"]
    return message


@pytest.mark.long
def test_both_causes_are_reported_if_the_previous_release_is_not_ready(deployment: Path) -> None:
    message = go_back(deployment, "old")
    assert message.startswith(
        f"new could not be proved, and old cannot be served again. First cause: {FIRST} Second cause: "
    )
    assert "Triton at http://127.0.0.1:" in message
    assert os.readlink(deployment / "current") == "releases/old"


@pytest.mark.long
def test_a_release_of_another_profile_is_proved_by_its_own_api(deployment: Path) -> None:
    record = deployment / "releases/old/release.json"
    endpoint = json.loads(record.read_text())["service"]["endpoint"]
    served = {
        "api": "openai",
        "endpoint": {"http_port": endpoint["http_port"], "model": "chat"},
        "proof": {"chat": False},
    }
    record.write_text(json.dumps({"service": served}))
    message = go_back(deployment, "old")
    assert f"Second cause: the server at http://127.0.0.1:{endpoint['http_port']}: not ready" in message


@pytest.mark.long
@pytest.mark.parametrize(
    ("fallback", "fails", "words"),
    [
        ("old", "restart", "old cannot be served again"),
        ("", "stop", "the service cannot be stopped"),
    ],
)
def test_both_causes_are_reported_if_systemd_refuses(deployment: Path, fallback: str, fails: str, words: str) -> None:
    message = go_back(deployment, fallback, fails)
    assert message.startswith(f"new could not be proved, and {words}. First cause: {FIRST} Second cause: ")


@pytest.mark.long
def test_a_missing_record_of_the_previous_release_does_not_hide_the_first_cause(deployment: Path) -> None:
    (deployment / "releases/old/release.json").unlink()
    message = go_back(deployment, "old")
    assert FIRST in message and "release.json" in message


def test_without_a_previous_release_the_service_is_stopped(deployment: Path) -> None:
    message = go_back(deployment, "")
    assert (
        message
        == f"new could not be proved and there is no previous release to go back to: the service is stopped. {FIRST}"
    )
    assert not (deployment / "current").is_symlink()
    assert "stop trtllm@default.service" in (deployment.parents[2] / "bin/asked").read_text()


def test_a_release_that_was_served_before_is_kept(deployment: Path) -> None:
    message = go_back(deployment, "new")
    assert message.startswith("new failed its proof, although it was already served") and message.endswith(FIRST)
    assert os.readlink(deployment / "current") == "releases/new"


@pytest.mark.long
def test_a_unit_that_systemd_gave_up_on_is_started_again(deployment: Path) -> None:
    """Nothing has changed, but its start counter would not let it start."""
    (deployment / "releases/new/proved").touch()
    served = json.loads((deployment / "releases/old/release.json").read_text())["service"]
    said = go_back(deployment, "", tasks_from="switch.yml", release_service_endpoint=served["endpoint"])
    assert "new failed its proof, although" in said
    asked = (deployment.parents[2] / "bin/asked").read_text().splitlines()
    assert "reset-failed trtllm@default.service" in asked
