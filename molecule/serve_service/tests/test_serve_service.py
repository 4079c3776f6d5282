# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shlex
import time
from operator import itemgetter
from typing import Any, Callable

import pytest
from testinfra.host import Host

DEPLOYMENT = "/opt/trtllm/deployments/default"
PYTHON = "/opt/trtllm/venv/bin/python"
ROTATION = "/etc/trtllm/endpoint/rotation.map"
ASK = """
import requests, sys
question = {"model": "chat", "max_tokens": 16, "temperature": 0}
question["messages"] = [{"role": "user", "content": "What is cloud computing?"}]
answer = requests.post("http://127.0.0.1:8000/v1/chat/completions", json=question, timeout=60)
sys.exit(answer.text) if answer.status_code != 200 else print(answer.json()["choices"][0]["message"]["content"])
"""
STREAM = """
import requests, sys
question = {"model": "chat", "prompt": "Once", "max_tokens": 96, "temperature": 0, "ignore_eos": True, "stream": True}
url = "http://127.0.0.1:8000/v1/completions"
with requests.post(url, json=question, stream=True, timeout=120) as answer, open(sys.argv[1], "w") as events:
    for line in answer.iter_lines():
        if line:
            print(line.decode(), file=events, flush=True)
"""
# More than the server can do at a time, for longer than the watchdog waits for an answer.
LOAD = """
import requests, threading
question = {"model": "chat", "prompt": "Once", "max_tokens": 200, "temperature": 0, "ignore_eos": True}
def ask():
    while True:
        requests.post("http://127.0.0.1:8000/v1/completions", json=question)
for _ in range(8):
    threading.Thread(target=ask).start()
"""


@pytest.fixture
def container(host: Host) -> dict[str, Any]:
    inspected: dict[str, Any] = json.loads(host.check_output("docker inspect trtllm-default"))[0]
    return inspected


def ask(host: Host, deadline: float = 0) -> str:
    """The server's first answer."""
    while (answer := host.run(f"{PYTHON} -c %s", ASK)).rc != 0:
        assert time.monotonic() < deadline, answer.stderr
        time.sleep(0.5)
    return answer.stdout


def workers(host: Host) -> list[str]:
    # The brackets keep the shell of this command from being found.
    return host.run("pgrep --full '[m]pi4py.futures.server'").stdout.split()


def test_unit_runs_and_starts_at_boot(host: Host) -> None:
    service = host.service("trtllm@default")
    assert service.is_running and service.is_enabled
    assert "cloud" in ask(host).lower()


def test_container_is_locked_down(container: dict[str, Any]) -> None:
    limits = container["HostConfig"]
    assert limits["ReadonlyRootfs"] and not limits["Privileged"] and limits["Init"]
    assert limits["CapDrop"] == ["ALL"] and not limits["CapAdd"]
    assert limits["SecurityOpt"] == ["no-new-privileges"] and limits["LogConfig"]["Type"] == "none"
    assert (limits["NetworkMode"], limits["IpcMode"]) == ("trtllm-default", "private")
    assert [
        (mount["Destination"], mount["RW"]) for mount in sorted(container["Mounts"], key=itemgetter("Destination"))
    ] == [
        ("/cache", True),
        ("/release", False),
    ]
    assert container["Config"]["Entrypoint"] == ["/opt/nvidia/nvidia_entrypoint.sh"]


def test_container_runs_as_the_system_user(host: Host, container: dict[str, Any]) -> None:
    user = host.user("trtllm")
    assert container["Config"]["User"] == f"{user.uid}:{user.gid}" and 0 < user.uid < 1000


def test_compiled_kernels_are_kept_for_the_next_start(host: Host) -> None:
    folder = host.file(f"{DEPLOYMENT}/cache/one")
    assert (folder.user, folder.group, folder.mode) == ("trtllm", "trtllm", 0o700)
    assert "triton" in folder.listdir()


def test_nothing_is_reported_or_stored(host: Host, container: dict[str, Any]) -> None:
    wanted = {"TRTLLM_NO_USAGE_STATS=1", "TRTLLM_RESPONSES_API_DISABLE_STORE=1", "HF_HUB_OFFLINE=1"}
    assert wanted <= set(container["Config"]["Env"])
    assert "Usage statistics are sent" not in host.check_output("journalctl --unit trtllm@default")


def test_nothing_listens_beyond_loopback(host: Host) -> None:
    addresses = host.check_output("ss -Hltn | awk '{print $4}'").splitlines()
    assert "127.0.0.1:8000" in addresses
    assert [address for address in addresses if not address.startswith(("127.", "[::1]"))] == []


def test_failed_release_is_not_the_current_one(host: Host, record: Callable[[str], Any]) -> None:
    """side_effect.yml tried to serve a release with a small KV cache."""
    assert host.file(f"{DEPLOYMENT}/current").linked_to == f"{DEPLOYMENT}/releases/good"
    assert host.file(f"{DEPLOYMENT}/releases/good/proved").exists
    assert not host.file(f"{DEPLOYMENT}/releases/small/proved").exists
    assert record(f"{DEPLOYMENT}/releases/good/release.json")["release"] == "1.2.1"


def test_stream_ends_before_a_server_that_is_stopped_with_all_its_processes(host: Host) -> None:
    def stream(file: str) -> str:
        return f"{PYTHON} -c {shlex.quote(STREAM)} {file}"

    host.check_output(stream("/root/undisturbed"))
    assert len(workers(host)) == 3
    host.check_output(f"systemd-run --unit stream --collect {stream('/root/disturbed')}")
    while host.run("test -s /root/disturbed").rc != 0:
        time.sleep(0.1)
    host.check_output("systemctl stop trtllm@default")
    assert workers(host) == [] and host.check_output("docker ps --quiet --filter name=trtllm-default") == ""
    state = host.check_output("systemctl show --property ActiveState --value trtllm@default")
    host.check_output("systemctl start trtllm@default")
    ask(host, time.monotonic() + 180)
    assert state == "inactive"
    undisturbed, disturbed = (host.file(f"/root/{name}").content_string for name in ("undisturbed", "disturbed"))
    texts = [
        [json.loads(line[6:])["choices"][0]["text"] for line in events.splitlines()[:-1]]
        for events in (undisturbed, disturbed)
    ]
    assert texts[0] == texts[1] and len(texts[1]) > 90 and disturbed.endswith("data: [DONE]\n")


def test_killed_server_is_restarted(host: Host) -> None:
    before = ask(host)
    host.check_output("docker kill --signal KILL trtllm-default")
    assert ask(host, time.monotonic() + 180) == before


def watchdog(host: Host) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(host.file(f"{DEPLOYMENT}/watchdog.json").content_string)
    return state


def wait_for(host: Host, *phases: str, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (state := watchdog(host))["phase"] not in phases:
        assert time.monotonic() < deadline, state
        time.sleep(0.3)
    return state


def eventually(check: Callable[[], bool]) -> None:
    """The watchdog writes its state before the rotation and the metrics."""
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def wait_until_in_rotation(host: Host) -> dict[str, Any]:
    state = wait_for(host, "healthy", seconds=120)
    eventually(lambda: host.file(ROTATION).content_string == "")
    return state


def metric(host: Host, name: str) -> float:
    lines = host.file("/srv/metrics/trtllm_watchdog_default.prom").content_string.splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"trtllm_watchdog_{name}{{"))


def stop_a_rank(host: Host) -> None:
    """Returns when the deployment is out of rotation."""
    begin = time.monotonic()
    host.check_output(f"kill -STOP {workers(host)[-1]}")
    while host.file(ROTATION).content_string != "default watchdog\n":
        assert time.monotonic() - begin < 30, watchdog(host)
        time.sleep(0.3)


def test_a_busy_server_is_left_alone(host: Host) -> None:
    wait_until_in_rotation(host)
    host.check_output(f"systemd-run --unit load --collect {PYTHON} -c {shlex.quote(LOAD)}")
    wait_for(host, "busy", seconds=20)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        state = watchdog(host)
        assert not state["out"] and state["restarts"] == [], state
        time.sleep(0.5)
    host.check_output("systemctl stop load")
    wait_until_in_rotation(host)


def test_a_stopped_rank_is_restarted_twice_and_then_left_to_people(host: Host) -> None:
    wait_until_in_rotation(host)
    first = workers(host)
    stop_a_rank(host)
    eventually(lambda: metric(host, "in_rotation") == 0)
    assert wait_for(host, "starting")["out"]
    # Through the proof.
    state = wait_until_in_rotation(host)
    eventually(lambda: metric(host, "in_rotation") == 1)
    assert len(state["restarts"]) == metric(host, "restarts") == 1
    assert set(workers(host)).isdisjoint(first) and "cloud" in ask(host).lower()

    kept = f"{DEPLOYMENT}/watchdog"
    [folder] = host.file(kept).listdir()
    names = host.file(f"{kept}/{folder}").listdir()
    stacks = host.check_output(f"cat {kept}/{folder}/[0-9]*.txt")
    assert "journal.txt" in names and set(first) <= {name.split(".")[0] for name in names}
    assert "State:\tT (stopped)" in stacks and "--- thread" in stacks
    assert host.file(f"{kept}/{folder}").mode == 0o700

    stop_a_rank(host)
    wait_for(host, "starting", seconds=60)
    state = wait_until_in_rotation(host)
    restarts = state["restarts"]
    assert len(restarts) == 2 and restarts[1] - restarts[0] >= 40

    stop_a_rank(host)
    state = wait_for(host, "ended")
    assert state["out"] and "restarted 2 times" in state["message"]
    journal = host.check_output("journalctl -t trtllm-watchdog-default")
    assert journal.count("suspect -> starting restarted: ") == 2 and "did not respond in time" in journal
    assert "suspect -> ended" in journal
    time.sleep(3)
    assert watchdog(host)["phase"] == "ended" and metric(host, "in_rotation") == 0
    host.check_output("docker kill trtllm-default")
    host.check_output("systemctl restart trtllm@default")
    wait_until_in_rotation(host)
