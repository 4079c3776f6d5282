# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of a play that share artifacts: one makes them, the others copy them. Each has an address and a root folder.

Engines are built in containers: tests/integration/test_9_two_hosts.py shares them, and images of a real Docker.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import read_artifact
from ansible_collections.tritonops.trtllm.tests.unit.support.docker_engine import IMAGE_ID, saved, write_archive
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port
from ansible_collections.tritonops.trtllm.tests.unit.support.tiny_model import tiny_mixtral

KEY = "0123456789abcdef"
NAME, CHECKPOINT, IMAGE = f"weights/{KEY}", f"checkpoint/{KEY}", f"image/{KEY}"
DIGEST = "sha256:" + "cd" * 32
FILES = {"config.json": b"{}", "model.safetensors": os.urandom(3_000_000)}
STUB = PROJECT / "tests/unit/support/docker_stub"


class Fleet:
    """Hosts gpu1, gpu2 and so on, at 127.0.3.1, …: all in one group, and in this order of preference."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.names = [f"gpu{number}" for number in range(1, count + 1)]
        self.origin = folder / "origin"
        self.origin.mkdir()
        for name, content in FILES.items():
            (self.origin / name).write_bytes(content)
        self.ports = [free_port("127.0.3.1"), free_port("127.0.3.1")]
        self.addresses = {host: f"127.0.3.{number}" for number, host in enumerate(self.names, 1)}
        self.groups = [list(self.names)]
        self.shared = [NAME]
        self.entries = ["share", "weights"]
        self.settings: dict[str, Any] = {"fanout_linger": 10, "fanout_patience": 2}
        self.of_host: dict[str, dict[str, Any]] = {}
        self.docker: dict[str, str] = {}

    def root(self, host: str) -> Path:
        return self.folder / host

    def dest(self, host: str) -> Path:
        return self.root(host) / NAME

    def plan(self, host: str) -> dict[str, Any]:
        dest, root = str(self.dest(host)), str(self.root(host))
        snapshot = {"src": str(self.origin), "dest": dest, "repository": "", "revision": "", "endpoint": ""}
        checkpoint, image = str(self.root(host) / CHECKPOINT), str(self.root(host) / IMAGE)
        deployment = {
            "model_weights": {"root": root, "snapshots": [snapshot]},
            "artifacts": {
                "weights": {"key": KEY, "dest": dest, "bytes": 1},
                "checkpoint": {"key": KEY, "dest": checkpoint, "bytes": 1},
                "image": {"key": KEY, "dest": image, "bytes": 1},
            },
            "trtllm_backend": {
                "root": root,
                "image": {
                    "source": "registry",
                    "reference": "registry.example/triton",
                    "digest": DIGEST,
                    "name": f"registry.example/triton@{DIGEST}",
                    "dest": image,
                },
            },
            "engine_build": {
                "release": "0.9.0",
                "checkpoint": {"src": dest, "dest": checkpoint, "dtype": "float16", "tp_size": 2},
                **dict.fromkeys(("image_digest", "gpus", "shm_size"), ""),
                "engine": {},
                "world_size": 2,
            },
        }
        # The names of deployments do not matter.
        return {"root": root, "token_file": "", "deployments": {f"of-{host}": deployment}}

    def peer(self, host: str) -> dict[str, Any]:
        return {"name": host, "address": self.addresses[host], "port": self.ports[0], "https_port": self.ports[1]}

    def run(self, *options: str, forks: int = 2) -> subprocess.CompletedProcess[str]:
        count = len(self.groups)
        groups = {
            host: {name: number + count * index for index, name in enumerate(self.shared)}
            for number, group in enumerate(self.groups)
            for host in group
        }
        fanout = {
            "groups": self.groups * len(self.shared),
            "hosts": {host: {"peer": self.peer(host), "rate": 0, "groups": own} for host, own in groups.items()},
        }
        hosts = {
            host: {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "fanout_folder": str(self.root(host) / "certificate"),
                "ansible_async_dir": str(self.root(host) / "async"),
                "__deployment_host": self.plan(host),
                "__deployment_plan": self.plan(host)["deployments"][f"of-{host}"],
                "docker_stub": str(self.folder / f"docker-{host}"),
                **self.of_host.get(host, {}),
            }
            for host in self.names
        }
        play = {
            "hosts": "all",
            "gather_facts": False,
            "environment": {"DOCKER_STUB": "{{ docker_stub }}", "PYTHONPATH": str(STUB), **self.docker},
            "vars": {
                "deployment_planned": {"fanout": fanout, "hosts": {host: self.plan(host) for host in self.names}},
                "host_python_executable": sys.executable,
                **self.settings,
            },
            "tasks": [
                {"ansible.builtin.include_role": {"name": "tritonops.trtllm.deployment", "tasks_from": entry}}
                for entry in self.entries
            ],
        }
        (self.folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        (self.folder / "play.json").write_text(json.dumps([play]))
        environment = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORKS": str(forks),
            "ANSIBLE_INVENTORY_ENABLED": "yaml",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        }
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [str(program), "-i", str(self.folder / "inventory.json"), str(self.folder / "play.json"), *options]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, text=True, capture_output=True, check=False, timeout=900
        )

    def has_it(self, host: str) -> bool:
        found = read_artifact(str(self.dest(host)))
        content = {name: (self.dest(host) / name).read_bytes() for name in FILES if (self.dest(host) / name).exists()}
        return found is not None and content == FILES

    def cannot_write(self, host: str) -> None:
        """Whatever it tries to make fails."""
        self.root(host).mkdir()
        self.dest(host).parent.write_text("not a folder")


@pytest.fixture(name="fleet")
def fixture_fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, 3)


def counts(output: str) -> dict[str, str]:
    """The line of each host in the recap."""
    lines = output.rpartition("PLAY RECAP")[2].splitlines()[1:]
    return {line.split()[0]: line for line in lines if " : ok=" in line}


def fetched(output: str) -> set[str]:
    """The hosts that have read the origin."""
    return set(re.findall(r"^changed: \[(\w+)\] => \(item=.*/weights/", output, re.MULTILINE))


@pytest.mark.long
def test_one_host_fetches_and_the_others_copy(fleet: Fleet) -> None:
    # With fewer forks than hosts, all take part nevertheless.
    done = fleet.run(forks=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(map(fleet.has_it, fleet.names)) and fetched(done.stdout) == {"gpu1"}, done.stdout
    for host in fleet.names:
        assert not (fleet.root(host) / "certificate").exists() and "BEGIN" not in done.stdout
    again = fleet.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Start the transfer" not in again.stdout
    assert all("changed=0 " in line for line in counts(again.stdout).values())


@pytest.mark.long
def test_without_a_group_no_task_is_added(fleet: Fleet) -> None:
    fleet.groups = []
    done = fleet.run()
    assert done.returncode == 0 and all(map(fleet.has_it, fleet.names))
    assert "Find out which hosts have the weights" not in done.stdout and "fanout" not in done.stdout


def test_check_mode_shares_nothing(fleet: Fleet) -> None:
    done = fleet.run("--check")
    assert done.returncode == 0 and not any(fleet.dest(host).exists() for host in fleet.names), done.stdout


@pytest.mark.long
def test_if_the_maker_fails_another_host_makes_it(fleet: Fleet) -> None:
    fleet.cannot_write("gpu1")
    done = fleet.run(forks=3)
    assert done.returncode == 2
    found = counts(done.stdout)
    assert "failed=1" in found["gpu1"] and "failed=0" in found["gpu2"] and "failed=0" in found["gpu3"], done.stdout
    assert fleet.has_it("gpu2") and fleet.has_it("gpu3") and fetched(done.stdout) == {"gpu2"}


@pytest.mark.long
def test_if_the_maker_fails_during_the_copy_another_host_makes_it(fleet: Fleet) -> None:
    fleet.of_host = {"gpu1": {"fanout_python": "/none/python"}}
    done = fleet.run(forks=3)
    assert done.returncode == 2
    found = counts(done.stdout)
    assert "failed=1" in found["gpu1"] and "failed=0" in found["gpu2"] and "failed=0" in found["gpu3"], done.stdout
    assert fleet.has_it("gpu2") and fleet.has_it("gpu3") and fetched(done.stdout) == {"gpu1", "gpu2"}


@pytest.fixture(name="converts")
def fixture_converts(fleet: Fleet) -> Fleet:
    shutil.rmtree(fleet.origin)
    tiny_mixtral(fleet.origin)
    fleet.shared = [NAME, CHECKPOINT]
    return fleet


def converted(output: str) -> set[str]:
    """The hosts that have converted the weights."""
    task = output.partition("Convert the weights to a checkpoint]")[2].partition("\nTASK")[0]
    return set(re.findall(r"^changed: \[(\w+)\]", task, re.MULTILINE))


def checkpoints(fleet: Fleet) -> list[Any]:
    """What identifies the checkpoint of each host."""
    found = [read_artifact(str(fleet.root(host) / CHECKPOINT)) or {} for host in fleet.names]
    return [{name: record.get(name) for name in ("files", "inputs")} for record in found]


@pytest.mark.long
def test_one_host_converts_and_the_others_copy(converts: Fleet) -> None:
    done = converts.run(forks=3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert converted(done.stdout) == {"gpu1"} and fetched(done.stdout) == {"gpu1"}, done.stdout
    first, *others = checkpoints(converts)
    assert first["files"] and others == [first, first]
    # Each host accepts the copy as its own.
    converts.entries, converts.settings["__deployment_engine_tasks"] = ["engine"], "checkpoint"
    again = converts.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Convert the weights to a checkpoint" in again.stdout
    assert all("changed=0 " in line for line in counts(again.stdout).values()), again.stdout


@pytest.fixture(name="pulls")
def fixture_pulls(fleet: Fleet) -> Fleet:
    fleet.shared, fleet.entries = [IMAGE], ["share", "image"]
    for host in fleet.names:
        docker_of(fleet, host).mkdir()
        (docker_of(fleet, host) / "online").touch()
        (docker_of(fleet, host) / "image_id").write_text(IMAGE_ID)
        write_archive(docker_of(fleet, host) / "image.tar", {"layer.tar": os.urandom(3_000_000), **saved()})
    return fleet


def docker_of(fleet: Fleet, host: str) -> Path:
    return fleet.folder / f"docker-{host}"


def pulled(fleet: Fleet) -> list[str]:
    """The hosts that have pulled the image."""
    return [host for host in fleet.names if (docker_of(fleet, host) / "pulls").exists()]


def has_image(fleet: Fleet, host: str) -> bool:
    record = read_artifact(str(fleet.root(host) / IMAGE)) or {}
    kept = [path for path in (fleet.root(host) / "archive").glob("*") if path.suffix != ".lock"]
    return record.get("image") == f"registry.example/triton@{DIGEST}" and not kept


@pytest.mark.long
def test_one_host_pulls_the_image_and_the_others_load_it(pulls: Fleet) -> None:
    done = pulls.run(forks=3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pulled(pulls) == ["gpu1"] and all(has_image(pulls, host) for host in pulls.names)
    again = pulls.run(forks=3)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Start the transfer" not in again.stdout
    assert all("changed=0 " in line for line in counts(again.stdout).values()), again.stdout


@pytest.mark.long
def test_if_a_host_cannot_pull_the_image_another_one_does(pulls: Fleet) -> None:
    (docker_of(pulls, "gpu1") / "online").unlink()
    done = pulls.run(forks=3)
    found = counts(done.stdout)
    assert "failed=1" in found["gpu1"] and "failed=0" in found["gpu2"] and "failed=0" in found["gpu3"], done.stdout
    assert pulled(pulls) == ["gpu2"] and has_image(pulls, "gpu2") and has_image(pulls, "gpu3")


@pytest.mark.long
def test_without_room_for_an_archive_each_host_pulls_the_image(pulls: Fleet) -> None:
    pulls.docker["DOCKER_STUB_SIZE"] = str(1 << 60)
    done = pulls.run(forks=3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the other hosts fetch or build the image themselves: no space left for the archive" in done.stdout
    assert pulled(pulls) == pulls.names and all(has_image(pulls, host) for host in pulls.names)


@pytest.mark.long
def test_a_host_that_has_it_is_the_maker(fleet: Fleet) -> None:
    fleet.groups = []
    fleet.run("--limit", "gpu3")
    assert fleet.has_it("gpu3")
    fleet.groups = [list(fleet.names)]
    done = fleet.run(forks=3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(map(fleet.has_it, fleet.names)) and fetched(done.stdout) == set()


@pytest.mark.long
def test_hosts_of_different_groups_share_nothing(fleet: Fleet) -> None:
    fleet.groups = [["gpu1", "gpu2"], ["gpu3"]]
    done = fleet.run(forks=3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(map(fleet.has_it, fleet.names)) and fetched(done.stdout) == {"gpu1", "gpu3"}


@pytest.mark.long
def test_a_host_that_cannot_copy_fetches_itself_and_says_why(fleet: Fleet) -> None:
    fleet.addresses["gpu1"] = "192.0.2.1"
    done = fleet.run(forks=3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(map(fleet.has_it, fleet.names)) and fetched(done.stdout) == set(fleet.names)
    assert "was not copied from other hosts" in done.stdout
