# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with real folders and certificates, and stand-ins for systemctl and nvidia-smi."""

from __future__ import annotations

import json
import os
import typing as t
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Server
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._status import days_left, servers_of, states_of
from ansible_collections.tritonops.trtllm.plugins.modules import deployment_info
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import install
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import RootFolder

DIGEST = "sha256:" + "ab" * 32
SYSTEMCTL = """#!/bin/sh
[ "$*" = "show --property Id,ActiveState trtllm@default.service trtllm@small.service" ] || exit 1
printf 'ActiveState=active\\nId=trtllm@default.service\\n\\nActiveState=failed\\nId=trtllm@small.service\\n'
"""


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> RootFolder:
    return RootFolder(tmp_path / "trtllm")


@pytest.fixture(name="look")
def fixture_look(
    tmp_path: Path, root: RootFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> t.Callable[..., Result]:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    options = {
        "root": str(root.path),
        "configuration": str(tmp_path / "etc"),
        "gateway_socket": str(tmp_path / "none"),
        "executable": str(tmp_path / "none"),
    }
    return lambda **more: run_module(deployment_info, capsys, **{**options, **more})


def served(result: Result) -> dict[str, dict[str, t.Any]]:
    return {entry["name"]: entry for entry in result["deployments"]}


def test_a_bare_host(look: t.Callable[..., Result], tmp_path: Path) -> None:
    result = look(root=str(tmp_path / "no/such"))
    assert result["changed"] is False and result["disk"]["total_bytes"] > result["disk"]["free_bytes"] > 0
    nothing = {name: result[name] for name in ("deployments", "gpus", "gpu_error", "certificates", "gateway")}
    assert nothing == {"deployments": [], "gpus": [], "gpu_error": None, "certificates": [], "gateway": None}


def test_what_deployments_serve(look: t.Callable[..., Result], root: RootFolder, tmp_path: Path) -> None:
    record = {"release": "1.2.1", "profile": "engine", "image": DIGEST, "run": "example/backend:1"}
    folder = root.release("new", launch={"gpus": ["0", "3"]}, **record)
    root.release("old", **record)
    root.release("tried", "small", proved=False, **record)
    root.serve("new", "old")
    root.serve("tried", deployment="small")
    os.utime(root.path / "deployments/default/current", (1_800_000_000, 1_800_000_000), follow_symlinks=False)
    (tmp_path / "etc/endpoint").mkdir(parents=True)
    (tmp_path / "etc/endpoint/rotation.map").write_text("small watchdog\n")
    found = served(look(executable=install(tmp_path, "a100")))
    proved = datetime.fromtimestamp(os.stat(f"{folder}/proved").st_mtime, timezone.utc).isoformat()
    assert found["default"] == {
        "name": "default",
        "release": "new",
        "version": "1.2.1",
        "profile": "engine",
        "image": DIGEST,
        "gpus": [0, 3],
        "since": "2027-01-15T08:00:00+00:00",
        "proved": proved,
        "service": "active",
        "in_rotation": True,
    }
    small = found["small"]
    assert (small["service"], small["in_rotation"], small["proved"], small["gpus"]) == ("failed", False, None, None)


def test_the_image_of_a_tag_or_a_recipe_is_that_of_its_record(look: t.Callable[..., Result], root: RootFolder) -> None:
    image = root.artifact("image", image="example/backend:1")
    text = json.loads(Path(image, "artifact.json").read_text())
    Path(image, "artifact.json").write_text(json.dumps({**text, "image": f"example/backend@{DIGEST}"}))
    root.release("tag", image="tag:example/backend:1", run="example/backend:1")
    root.serve("tag")
    root.release("unknown", "small", image="build:0123", run="example/backend:2")
    root.serve("unknown", deployment="small")
    found = served(look())
    assert (found["default"]["image"], found["small"]["image"]) == (f"example/backend@{DIGEST}", "build:0123")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"release": 7, "image": [], "launch": {"gpus": "all"}}', "[" * 100_000]
)
def test_a_damaged_record_is_not_an_error(look: t.Callable[..., Result], root: RootFolder, text: str) -> None:
    folder = root.release("new")
    root.serve("new")
    Path(folder, "release.json").write_text(text)
    entry = served(look())["default"]
    assert entry["release"] == "new"
    assert [entry[name] for name in ("version", "profile", "image", "gpus")] == [None] * 4


def test_gpus(look: t.Callable[..., Result], tmp_path: Path) -> None:
    gpus = look(executable=install(tmp_path, "a100"))["gpus"]
    assert len(gpus) == 8 and gpus[7]["index"] == 7 and gpus[0]["name"] == "NVIDIA A100-SXM4-40GB"
    assert gpus[0]["memory_mib"] == 40960 > gpus[0]["memory_used_mib"] >= 0


def test_files_that_are_no_certificates_have_no_days(look: t.Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "etc/gateway"
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_text("nothing\n")
    (folder / "keys.map").write_text("")
    assert look()["certificates"] == [{"path": str(folder / "ca.pem"), "days_left": None}]


def test_days_until_a_time() -> None:
    now = datetime(2027, 11, 27, 17, 55, 4, tzinfo=timezone.utc).timestamp()
    assert days_left("notAfter=Nov 28 17:55:03 2027 GMT\n", now) == 0
    assert days_left("notAfter=Nov 28 17:55:04 2027 GMT\n", now) == 1
    assert days_left("notAfter=Nov 26 17:55:03 2027 GMT\n", now) == -2
    assert [days_left(text, now) for text in ("", "unable to load certificate", "notAfter=soon")] == [None] * 3


def test_units_that_systemd_does_not_describe() -> None:
    assert states_of("") == {} and states_of("Id=a.service\n\n\nActiveState=active\n") == {"a.service": ""}


def test_servers_of_other_kinds_are_left_out() -> None:
    servers = [Server("keys", "gateway2", "ready", "UP", 0), Server("chat", "gpu1:default", "drain", "UP", 2)]
    assert servers_of(servers) == [
        {"host": "gpu1", "deployment": "default", "backend": "chat", "state": "drain", "status": "UP", "in_flight": 2}
    ]
