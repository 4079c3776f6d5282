# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts of a release: with GPUs, and with stand-ins for Docker and the firewall."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._commands import ADMIN_KEY
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Role


def rendered(
    template: str, header: str = "managed", folder: str = "/opt/trtllm/one", options: Any = None, **container: Any
) -> str:
    role = Role(
        "release_service",
        "debian-12",
        release_service_root="/opt/trtllm",
        release_service_name="chat",
        release_service_release_dir=folder,
        release_service_container={"image": "sha256:1", "command": ["mpirun", "a b"], **container},
        ansible_managed=header,
        **(options or {}),
    )
    script: str = role.render(trust_as_template((role.folder / f"templates/{template}").read_text(encoding="utf-8")))
    return script


def docker_run(header: str = "managed", **container: Any) -> list[str]:
    """The arguments of the command that starts the container."""
    return shlex.split(rendered("run.j2", header, **container).replace("\\\n", " "), comments=True)


class Programs:
    """Stand-ins for programs, whose calls are recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, path: str, script: str = "") -> None:
        """Add a program that reads its input, if it gets any, before it runs a script."""
        program = self.folder / path
        program.write_text(
            f'#!/bin/sh\necho "{program.name} $*" >>{self.folder}/calls\n'
            f'[ "$*" != "-f -" ] || cat >>{self.folder}/calls\n{script}\n'
        )
        program.chmod(0o755)

    def run(self, script: str, *arguments: str, check: bool = True) -> tuple[str, list[str]]:
        """The output of a script, and the calls of programs."""
        (self.folder / "calls").write_text("")
        done = subprocess.run(
            ["sh", "-c", script, "script", *arguments],
            text=True,
            capture_output=True,
            check=check,
            env={"PATH": f"{self.folder}:/usr/bin:/bin"},
        )
        return done.stdout, (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    programs = Programs(tmp_path)
    programs.add("docker", 'case $1 in network) echo br-0a1b2c3d4e5f ;; *) printf "%s\\n" "$@" ;; esac')
    programs.add("rules")
    return programs


def test_the_key_of_closed_apis_is_a_new_one_at_each_start(programs: Programs, tmp_path: Path) -> None:
    flag = "--http-restricted-api=trace,logging:admin-key="
    command = ["tritonserver", f"{flag}{ADMIN_KEY}", "a b", "$HOME"]
    script = rendered("run.j2", folder=str(tmp_path), command=command)
    starts = [programs.run(script)[0] for _start in range(2)]
    keys = [re.findall(rf"^{flag}([0-9a-f]{{32}})$", start, re.MULTILINE) for start in starts]
    assert [len(found) for found in keys] == [1, 1] and keys[0] != keys[1]
    assert all(start.endswith("\na b\n$HOME\n") for start in starts)


@pytest.mark.parametrize(
    ("gpus", "given"),
    [([], None), (["all"], "all"), (["3"], '"device=3"'), (["0", "2"], '"device=0,2"')],
)
def test_the_container_gets_the_gpus_of_its_deployment(gpus: list[str], given: str | None) -> None:
    """Docker parses the value as CSV, so indexes with a comma need additional quotes."""
    words = docker_run(gpus=gpus)
    assert (words[words.index("--gpus") + 1] if "--gpus" in words else None) == given


def test_the_container_has_limits_and_a_user_name() -> None:
    words = docker_run(memory=4096)
    assert words[words.index("--pids-limit") + 1] == "32768" and words[words.index("--log-driver") + 1] == "none"
    assert words[words.index("--memory") + 1] == words[words.index("--memory-swap") + 1] == "4096"
    assert "USER=trtllm" in words and "OMPI_MCA_btl_vader_single_copy_mechanism=none" in words
    assert "--memory" not in docker_run()


def test_the_header_of_a_template_stays_a_comment() -> None:
    assert "owner:" not in docker_run(header="managed\nowner: sre")


def test_the_container_is_named_after_its_deployment() -> None:
    words = docker_run(ulimits=["memlock=-1"])
    assert words[words.index("--name") + 1] == words[words.index("--network") + 1] == "trtllm-chat"
    assert words[words.index("--user") + 1] == "@UID@:@GID@" and words[words.index("--ulimit") + 1] == "memlock=-1"
    assert words[-3:] == ["sha256:1", "mpirun", "a b"]


def test_the_container_only_starts_with_the_rules_of_its_network(programs: Programs, tmp_path: Path) -> None:
    script = rendered("run.j2", folder=str(tmp_path))
    _output, calls = programs.run(script)
    names = [call.split()[:2] for call in calls]
    assert names.index(["docker", "network"]) < names.index(["rules", "apply"]) < names.index(["docker", "run"])
    assert "rules apply trtllm-chat" in calls
    programs.add("rules", "exit 1")
    assert not any(call.startswith("docker run") for call in programs.run(script, check=False)[1])


def test_the_unit_starts_after_what_gives_it_its_gpus() -> None:
    """Also after Docker, whose unit is found by systemd, and whose client has a fixed path."""
    lines = rendered("unit.service.j2").splitlines()
    (after,) = [line.partition("=")[2].split() for line in lines if line.startswith("After=")]
    assert {"docker.service", "nvidia-fabricmanager.service", "nvidia-persistenced.service"} <= set(after)
    commands = [line.partition("=")[2].lstrip("-") for line in lines if line.startswith("Exec")]
    assert len(commands) == 5 and all(command.startswith("/") for command in commands)


def test_the_journal_has_the_deployment_and_the_release(programs: Programs, tmp_path: Path) -> None:
    assert "LogExtraFields=TRTLLM_DEPLOYMENT=%i" in rendered("unit.service.j2").splitlines()
    output, _calls = programs.run(rendered("run.j2", folder=str(tmp_path)))
    assert output.splitlines()[0] == f"Starting release {tmp_path.name}"


def test_rules_of_nft_are_a_table_of_the_deployment(programs: Programs) -> None:
    programs.add("nft")
    _output, calls = programs.run(rendered("rules.j2"), "apply", "trtllm-chat")
    asked = [line.strip() for line in calls]
    assert asked.index("nft delete table inet trtllm-chat") < asked.index("table inet trtllm-chat {")
    chain = {name: asked[asked.index(f"chain {name} {{") + 2 :] for name in ("input", "forward")}
    answers = ['iifname "br-0a1b2c3d4e5f" ct state established,related accept', 'iifname "br-0a1b2c3d4e5f" drop']
    assert chain["input"][:3] == [*answers, "}"]
    assert chain["forward"][:6] == [
        *answers,
        'oifname "br-0a1b2c3d4e5f" ct original ip daddr 127.0.0.0/8 drop',
        'oifname "br-0a1b2c3d4e5f" ct status dnat accept',
        'oifname "br-0a1b2c3d4e5f" drop',
        "}",
    ]
    assert not any(line.startswith("iptables") for line in asked if "-save" not in line)


@pytest.mark.parametrize("nft", [None, "exit 1"])
@pytest.mark.parametrize(("listed", "forward"), [("exit 0", "DOCKER-USER"), ("exit 1", "FORWARD")])
def test_rules_on_a_host_without_nft(programs: Programs, nft: str | None, listed: str, forward: str) -> None:
    """An nft that cannot list tables, such as with a kernel without nf_tables, is as good as none."""
    programs.add("iptables", f'case "$*" in *--list*) {listed} ;; esac')
    if nft:
        programs.add("nft", nft)
    _output, calls = programs.run(rendered("rules.j2"), "apply", "trtllm-chat")
    inserted = [call.partition(" --insert ")[2] for call in calls if " --insert " in call]
    answers = "--in-interface br-0a1b2c3d4e5f --match conntrack ! --ctstate ESTABLISHED,RELATED"
    wanted = [
        f"INPUT {answers}",
        f"{forward} {answers}",
        f"{forward} --out-interface br-0a1b2c3d4e5f --match conntrack --ctorigdst 127.0.0.0/8",
        f"{forward} --out-interface br-0a1b2c3d4e5f --match conntrack ! --ctstate DNAT",
    ]
    assert inserted == [f"{rule} --match comment --comment trtllm-chat --jump DROP" for rule in wanted]


def test_a_host_without_a_firewall_is_told_what_to_install(programs: Programs) -> None:
    script = rendered("rules.j2").replace(" >&2", "")
    said, calls = programs.run(script, "apply", "trtllm-chat", check=False)
    assert "install nftables" in said and not [call for call in calls if not call.startswith("docker")]
    assert programs.run(script, "remove", "trtllm-chat") == ("", [])


def test_only_the_rules_of_the_deployment_are_removed(programs: Programs) -> None:
    programs.add("iptables")
    programs.add(
        "iptables-save",
        """cat <<'END'
*filter
:INPUT ACCEPT [0:0]
-A INPUT -i br-1 -m comment --comment trtllm-chat -j DROP
-A INPUT -i br-2 -m comment --comment trtllm-chat-2 -j DROP
-A INPUT -i br-3 -m comment --comment "trtllm-chat.3" -j DROP
-A DOCKER-USER -o br-1 -m comment --comment "trtllm-chat" -j DROP
-A DOCKER-USER -j RETURN
COMMIT
END""",
    )

    def removed(name: str) -> list[str]:
        _output, calls = programs.run(rendered("rules.j2"), "remove", name)
        return [call.partition(" --wait ")[2] for call in calls if call.startswith("iptables ")]

    own = "-m comment --comment trtllm-chat -j DROP"
    assert removed("trtllm-chat") == [f"--delete INPUT -i br-1 {own}", f"--delete DOCKER-USER -o br-1 {own}"]
    assert removed("trtllm-chat.3") == ["--delete INPUT -i br-3 -m comment --comment trtllm-chat.3 -j DROP"]
    assert removed("trtllm-other") == []


def test_a_server_that_starts_processes_has_an_init_process_and_its_environment() -> None:
    words = shlex.split(
        rendered("run.j2", options={"release_service_init": True}, environment={"A": "b c"}).replace("\\\n", " "),
        comments=True,
    )
    assert "--init" in words and words[words.index("A=b c") - 1] == "--env"
    # The image's entrypoint is kept.
    assert "--entrypoint" not in words and "--init" not in docker_run()


def test_the_first_process_is_stopped_unless_another_is_named(programs: Programs) -> None:
    _output, calls = programs.run(rendered("stop.j2"), "trtllm-chat")
    assert calls == ["docker stop --time 60 trtllm-chat"]
    programs.add("timeout")
    drained = rendered("stop.j2", options={"release_service_drain": "tritonserver"})
    assert programs.run(drained, "trtllm-chat")[1] == [
        "docker top trtllm-chat -eo pid,comm",
        "docker stop --time 10 trtllm-chat",
    ]
