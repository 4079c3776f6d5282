# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from testinfra.host import Host

DEPLOYMENT = "/opt/trtllm/deployments/default"
ASK = """
import requests, sys
question = {"text_input": "What is cloud computing?", "max_tokens": 16, "bad_words": "", "stop_words": ""}
answer = requests.post("http://127.0.0.1:8000/v2/models/ensemble/generate", json=question, timeout=60)
sys.exit(answer.text) if answer.status_code != 200 else print(answer.json()["text_output"])
"""


# Each event has the whole text so far.
ASK_AS_A_STREAM = """
import json, requests
question = {"text_input": "What is cloud computing?", "max_tokens": 16, "bad_words": "", "stop_words": ""}
question["stream"] = True
url = "http://127.0.0.1:8000/v2/models/tensorrt_llm_bls/generate_stream"
events = requests.post(url, json=question, timeout=60).text.split("\\n\\n")
print(json.loads([event for event in events if event][-1].removeprefix("data: "))["text_output"])
"""


STREAM = """
import requests, sys
question = {"text_input": "What is cloud computing?", "max_tokens": 96, "bad_words": "", "stop_words": ""}
question["stream"] = True
url = "http://127.0.0.1:8000/v2/models/ensemble/generate_stream"
with requests.post(url, json=question, stream=True, timeout=120) as answer, open(sys.argv[1], "w") as events:
    for line in answer.iter_lines():
        if line:
            print(line.decode(), file=events, flush=True)
"""

# A host of the same network segment, with routes to what it should not reach. It and this host listen on all addresses.
NEIGHBOUR = """
set -e
ip netns add neighbour
ip link add segment type veth peer name segment netns neighbour
ip address add 192.0.2.1/24 dev segment
ip link set segment up
inside='ip netns exec neighbour'
$inside ip address add 192.0.2.2/24 dev segment
$inside ip link set segment up
$inside sysctl --quiet --write net.ipv4.conf.segment.route_localnet=1
$inside ip route add 127.0.0.1/32 via 192.0.2.1 dev segment
$inside ip route add 172.16.0.0/12 via 192.0.2.1
systemd-run --unit listener --collect socat TCP-LISTEN:7000,fork,reuseaddr /dev/null
systemd-run --unit listener-neighbour --collect $inside socat TCP-LISTEN:7000,fork,reuseaddr /dev/null
until ss -Hltn | grep -q :7000 && $inside ss -Hltn | grep -q :7000; do sleep 0.1; done
"""
NO_NEIGHBOUR = "systemctl stop listener listener-neighbour; ip link delete segment; ip netns delete neighbour"
RULES = f"{DEPLOYMENT}/current/rules"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 7000), timeout=2)"


@pytest.fixture
def container(host: Host) -> dict[str, Any]:
    inspected: dict[str, Any] = json.loads(host.check_output("docker inspect trtllm-default"))[0]
    return inspected


def ask(host: Host, deadline: float = 0) -> str:
    """The server's first answer."""
    while (answer := host.run("/opt/trtllm/venv/bin/python -c %s", ASK)).rc != 0:
        assert time.monotonic() < deadline, answer.stderr
        time.sleep(0.5)
    return answer.stdout


def test_unit_runs_and_starts_at_boot(host: Host) -> None:
    service = host.service("trtllm@default")
    assert service.is_running and service.is_enabled


def test_unit_waits_for_the_mount_of_the_root_folder(host: Host) -> None:
    wanted = host.check_output("systemctl show --property RequiresMountsFor --value trtllm@default").split()
    assert "/opt/trtllm" in wanted


def test_container_is_locked_down(container: dict[str, Any]) -> None:
    limits = container["HostConfig"]
    assert limits["ReadonlyRootfs"] and not limits["Privileged"]
    assert limits["CapDrop"] == ["ALL"] and not limits["CapAdd"]
    assert limits["SecurityOpt"] == ["no-new-privileges"]
    assert (limits["NetworkMode"], limits["IpcMode"]) == ("trtllm-default", "private")
    assert [(mount["Destination"], mount["RW"]) for mount in container["Mounts"]] == [("/release", False)]


def test_container_has_what_triton_needs(container: dict[str, Any]) -> None:
    limits = container["HostConfig"]
    assert limits["ShmSize"] == 2 << 30
    assert {limit["Name"]: limit["Hard"] for limit in limits["Ulimits"]} == {"memlock": -1, "stack": 67108864}


def test_container_cannot_take_the_whole_host(host: Host, container: dict[str, Any]) -> None:
    limits = container["HostConfig"]
    memory = 1024 * int(host.check_output("awk '/^MemTotal:/ {print $2}' /proc/meminfo"))
    assert memory * 0.7 < limits["Memory"] == limits["MemorySwap"] < memory
    assert limits["PidsLimit"] == 32768 and limits["LogConfig"]["Type"] == "none"
    assert limits["Tmpfs"] == {"/tmp": "size=1g"}


def test_container_runs_as_the_system_user(host: Host, container: dict[str, Any]) -> None:
    user = host.user("trtllm")
    assert container["Config"]["User"] == f"{user.uid}:{user.gid}" and 0 < user.uid < 1000
    assert user.shell == "/usr/sbin/nologin"


def test_only_the_group_of_the_root_folder_can_read_the_weights(host: Host) -> None:
    folder = host.file("/opt/trtllm")
    assert (folder.mode, folder.group) == (0o750, "adm")
    assert host.run("runuser -u nobody -- cat /opt/trtllm/.trtllm").rc != 0
    assert host.run("runuser -u nobody -G adm -- cat /opt/trtllm/.trtllm").rc == 0


def test_container_runs_the_pinned_image(container: dict[str, Any], image: str) -> None:
    assert container["Image"] == container["Config"]["Image"] == image


def test_nothing_listens_beyond_loopback(host: Host) -> None:
    addresses = host.check_output("ss -Hltn | awk '{print $4}'").splitlines()
    assert {"127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002"} <= set(addresses)
    assert [address for address in addresses if not address.startswith(("127.", "[::1]"))] == []


def test_network_has_no_way_out(host: Host) -> None:
    options = json.loads(host.check_output("docker network inspect trtllm-default"))[0]["Options"]
    assert options["com.docker.network.bridge.enable_icc"] == "false"
    assert options["com.docker.network.bridge.enable_ip_masquerade"] == "false"


@pytest.fixture
def neighbour(host: Host) -> Iterator[None]:
    host.check_output(NEIGHBOUR)
    yield
    host.check_output(NO_NEIGHBOUR)


@pytest.fixture(params=["nft", "iptables"])
def firewall(host: Host, request: pytest.FixtureRequest) -> Iterator[None]:
    """A host with nft, which the service has used, and one without it."""
    if request.param == "iptables":
        host.check_output(f"{RULES} remove trtllm-default && mv /usr/sbin/nft /root && {RULES} apply trtllm-default")
    yield
    if request.param == "iptables":
        host.check_output(f"{RULES} remove trtllm-default && mv /root/nft /usr/sbin && {RULES} apply trtllm-default")


def connections(host: Host) -> set[str]:
    """Which connections are possible between a host of the network segment, this host and the container."""
    (network,) = json.loads(host.check_output("docker network inspect trtllm-default"))
    (container,) = [entry["IPv4Address"].partition("/")[0] for entry in network["Containers"].values()]
    from_neighbour = "ip netns exec neighbour socat -u /dev/null TCP:%s:8000,connect-timeout=2"
    from_container = "docker exec trtllm-default python3 -c %s %s"
    tried = {
        "neighbour to loopback": (from_neighbour, "127.0.0.1"),
        "neighbour to container": (from_neighbour, container),
        "container to host": (from_container, CONNECT, network["IPAM"]["Config"][0]["Gateway"]),
        "container to host's other address": (from_container, CONNECT, "192.0.2.1"),
        "container to neighbour": (from_container, CONNECT, "192.0.2.2"),
    }
    return {name for name, command in tried.items() if host.run(*command).rc == 0}


def test_rules_keep_the_network_segment_from_the_container_and_the_container_from_it(
    host: Host, neighbour: None, firewall: None
) -> None:
    assert host.check_output("docker version --format '{{.Server.Version}}'").startswith("20.10.")
    assert connections(host) == set()
    assert "cloud" in ask(host).lower()
    host.check_output(f"{RULES} remove trtllm-default")
    assert len(connections(host)) == 5, "without the rules"
    host.check_output(f"{RULES} apply trtllm-default")


def test_rules_outlive_a_flush_of_iptables_and_a_restart_of_docker(host: Host, neighbour: None) -> None:
    """firewalld flushes iptables when it reloads; afterwards, Docker makes its rules again."""
    host.check_output("iptables --flush && iptables --table nat --flush")
    assert host.run("nft list table inet trtllm-default").rc == 0
    host.check_output("systemctl restart docker")
    ask(host, time.monotonic() + 180)
    assert connections(host) == set()


def test_failed_release_is_not_the_current_one(host: Host, record: Callable[[str], Any]) -> None:
    """side_effect.yml tried to serve two broken releases."""
    current = host.file(f"{DEPLOYMENT}/current").linked_to
    assert current == f"{DEPLOYMENT}/releases/{record(f'{DEPLOYMENT}/current/release.json')['id']}"
    assert host.file(f"{current}/proved").exists
    for name in ("broken", "mute"):
        release = host.file(f"{DEPLOYMENT}/releases/{name}")
        assert release.is_directory and not host.file(f"{release.path}/proved").exists


def test_failed_release_does_not_become_the_previous_one(host: Host) -> None:
    """No release was served before the current one, so there is none to go back to."""
    assert not host.file(f"{DEPLOYMENT}/previous").is_symlink


def test_stream_has_the_text_of_the_plain_answer(host: Host) -> None:
    streamed = host.check_output("/opt/trtllm/venv/bin/python -c %s", ASK_AS_A_STREAM)
    assert ask(host).rstrip("\n") == f"What is cloud computing?{streamed}".rstrip("\n")


def test_stream_ends_before_a_server_that_is_stopped(host: Host) -> None:
    def stream(file: str) -> str:
        return f"/opt/trtllm/venv/bin/python -c {shlex.quote(STREAM)} {file}"

    host.check_output(stream("/root/undisturbed"))
    host.check_output(f"systemd-run --unit stream --collect {stream('/root/disturbed')}")
    while host.run("test -s /root/disturbed").rc != 0:
        time.sleep(0.1)
    host.check_output("systemctl stop trtllm@default")
    assert host.check_output("docker ps --quiet --filter name=trtllm-default") == ""
    state = host.check_output("systemctl show --property ActiveState --value trtllm@default")
    assert host.run("nft list table inet trtllm-default").rc != 0
    host.check_output("systemctl start trtllm@default")
    ask(host, time.monotonic() + 180)
    assert state == "inactive"
    undisturbed, disturbed = (host.file(f"/root/{name}").content_string for name in ("undisturbed", "disturbed"))
    assert len(disturbed.splitlines()) > 90 and disturbed == undisturbed


def test_killed_server_is_restarted(host: Host) -> None:
    before = ask(host)
    assert "cloud" in before.lower()
    restarts = int(host.check_output("systemctl show --property NRestarts --value trtllm@default"))
    host.check_output("docker kill --signal KILL trtllm-default")
    assert ask(host, time.monotonic() + 180) == before
    assert int(host.check_output("systemctl show --property NRestarts --value trtllm@default")) == restarts + 1


def test_server_that_keeps_failing_is_a_failed_unit(host: Host) -> None:
    deadline = time.monotonic() + 120
    while host.check_output("systemctl show --property ActiveState --value trtllm@default") != "failed":
        assert time.monotonic() < deadline
        host.run("docker kill --signal KILL trtllm-default")
        time.sleep(0.2)
    assert "Start request repeated too quickly" in host.check_output("journalctl --unit trtllm@default --lines 20")
