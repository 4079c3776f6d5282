# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with real folders, and stand-ins for NVIDIA's programs."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import check_responds
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_host_info
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import A100, RECORDINGS, Recording
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import install
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

KEY, OTHER_KEY = "0123456789abcdef", "fedcba9876543210"
# The output of nvidia-ctk 1.17.8.
TOOLKIT = "NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d\n"
BARE = {
    "gpus": [],
    "driver_version": None,
    "container_toolkit": None,
    "artifacts": [],
    "prunable": {},
    "deployments": {},
    "limits": {},
    "root_foreign": [],
    "root_outdated": [],
}


@pytest.fixture(name="programs")
def fixture_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    """Installs programs by name, with their output or a script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(**programs: str) -> None:
        for name, text in programs.items():
            program = folder / name.replace("_", "-")
            (folder / f"{name}.txt").write_text(text)
            program.write_text(text if text.startswith("#!") else f"#!/bin/sh\nexec cat '{folder}/{name}.txt'\n")
            program.chmod(0o755)

    return install


@pytest.fixture(name="look")
def fixture_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Result]:
    return lambda **arguments: run_module(
        trtllm_host_info, capsys, **{"root": str(tmp_path / "root"), "executable": "nvidia-smi", **arguments}
    )


def artifact(root: Path, name: str, content: str = '{"inputs": {}}') -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "artifact.json").write_text(content)


def release(root: Path, deployment: str, name: str) -> Path:
    folder = root / "deployments" / deployment / "releases" / name
    folder.mkdir(parents=True)
    (folder / "release.json").write_text("{}")
    return folder


def test_a_file_system_that_hangs_is_named(
    look: t.Callable[..., Result], programs: t.Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(f"{check_responds.__module__}.STAT_TIMEOUT", 1)
    programs(stat=f"#!/bin/sh\ncase $2 in {tmp_path}/nfs*) exec sleep 60;; esac\n")
    result = look(root=f"{tmp_path}/nfs/trtllm")
    assert result["failed"] and f"the file system at {tmp_path}/nfs did not respond within 1 s" in result["msg"]
    assert f"{tmp_path}/nfs/trtllm is there: check its server" in result["msg"]
    assert not look(root=f"{tmp_path}/root").get("failed")


def test_a_bare_host(look: t.Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trtllm_host_info.AnsibleModule, "get_bin_path", lambda *_arguments: None)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free={str(tmp_path): 10**9}[path]))
    for check in (False, True):
        result = look(root=str(tmp_path / "no/such/folder"), check=check)
        facts = result["host_facts"]
        assert {name: facts[name] for name in BARE} == BARE
        assert (result["changed"], result["gpu_error"]) == (False, None)
    assert facts["root"] == str(tmp_path / "no/such/folder")
    assert facts["processors"] == os.cpu_count()
    assert facts["memory_bytes"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert facts["disk_free_bytes"] == 10**9
    assert set(facts) == {*BARE, "processors", "memory_bytes", "disk_free_bytes", "link_mbps", "root"}
    assert not (tmp_path / "no").exists()


def test_gpus_and_toolkit(look: t.Callable[..., Result], programs: t.Callable[..., None]) -> None:
    programs(nvidia_smi=Recording(A100).query(), nvidia_ctk=TOOLKIT)
    facts = look()["host_facts"]
    assert [gpu["name"] for gpu in facts["gpus"]] == ["NVIDIA A100-SXM4-40GB"] * 8
    assert (facts["gpus"][7]["memory_mib"], facts["gpus"][7]["compute_capability"]) == (40960, "8.0")
    assert (facts["driver_version"], facts["container_toolkit"]) == ("580.95.05", "1.17.8")


@pytest.mark.parametrize(
    ("recording", "gpus", "links"), [("a100", 8, 12), ("a100-535", 8, 12), ("h100", 8, 18), ("l40s", 4, None)]
)
def test_what_hosts_have(
    recording: str, gpus: int, links: int | None, look: t.Callable[..., Result], tmp_path: Path
) -> None:
    """The stand-in only takes the arguments that the real program takes."""
    result = look(executable=install(tmp_path, recording))
    assert (result["changed"], result["gpu_error"]) == (False, None)
    found = result["host_facts"]["gpus"]
    assert [gpu["nvlinks_active"] for gpu in found] == [links] * gpus
    assert {gpu["compute_capability"] for gpu in found} == {RECORDINGS[recording]["gpus"][0]["compute_cap"]}


@pytest.mark.parametrize("recording", ["driver-mismatch", "driver-not-loaded"])
def test_a_driver_in_trouble_is_quoted(recording: str, look: t.Callable[..., Result], tmp_path: Path) -> None:
    result = look(executable=install(tmp_path, recording))
    assert (result["host_facts"]["gpus"], result["gpu_error"]) == ([], RECORDINGS[recording]["error"]["text"])


def test_a_driver_that_does_not_know_compute_cap(
    look: t.Callable[..., Result], programs: t.Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "xml").write_text(Recording(A100).query())
    answer = f'[ "$1" = -q ] && exec cat "{tmp_path}/xml"'
    programs(nvidia_smi=f'#!/bin/sh\n{answer}\necho "Field compute_cap is not a valid field"; exit 2\n')
    assert look()["host_facts"]["gpus"][0]["compute_capability"] == "8.0"


def test_a_failing_driver_is_quoted(look: t.Callable[..., Result], programs: t.Callable[..., None]) -> None:
    programs(nvidia_smi="#!/bin/sh\necho 'Failed to initialize NVML'; exit 18\n", nvidia_ctk="#!/bin/sh\nexit 1\n")
    result = look()
    assert not result.get("failed")
    assert result["gpu_error"] == "Failed to initialize NVML"
    assert (result["host_facts"]["gpus"], result["host_facts"]["container_toolkit"]) == ([], None)


def test_a_hanging_driver_is_given_up(look: t.Callable[..., Result], programs: t.Callable[..., None]) -> None:
    programs(nvidia_smi="#!/bin/sh\nexec sleep 60\n")
    assert "did not finish within 1 s" in look(timeout=1)["gpu_error"]


def test_what_earlier_runs_have_left(look: t.Callable[..., Result], tmp_path: Path) -> None:
    root = tmp_path / "root"
    for kind in ("image", "weights", "checkpoint", "engine", "backend"):
        artifact(root, f"{kind}/{KEY}")
    (root / f"backend/{OTHER_KEY}/.git").mkdir(parents=True)
    (root / "deployments").mkdir()
    release(root, "a", "mine")
    (root / "deployments/a/current").symlink_to("releases/mine")
    release(root, "a", "yours")
    release(root, "b", "mine")
    # Artifacts that are unfinished, incomplete or not ours.
    artifact(root, f"weights/{OTHER_KEY}", "{")
    artifact(root, f"engine/{OTHER_KEY}.partial")
    artifact(root, "venv/site-packages")
    release(root, "a", "his.partial")
    folders = (f"checkpoint/{OTHER_KEY}", f"backend/{OTHER_KEY}.partial/.git", "deployments/a/releases/hers")
    for folder in folders:
        (root / folder).mkdir(parents=True)
    (root / f"weights/{KEY}.lock").write_text("1")
    facts = look()["host_facts"]
    assert facts["artifacts"] == [
        f"backend/{KEY}",
        f"backend/{OTHER_KEY}",
        f"checkpoint/{KEY}",
        "deployments/a/releases/mine",
        "deployments/a/releases/yours",
        "deployments/b/releases/mine",
        f"engine/{KEY}",
        f"image/{KEY}",
        f"weights/{KEY}",
    ]
    assert facts["deployments"] == {"a": "mine", "b": ""}


def test_a_missing_current_release(look: t.Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "root/deployments/a"
    folder.mkdir(parents=True)
    (folder / "current").symlink_to("releases/mine")
    assert look()["host_facts"]["deployments"] == {"a": ""}


def test_the_earlier_layout_is_found(look: t.Callable[..., Result], tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "releases").mkdir(parents=True)
    (root / "current").symlink_to("releases/mine")
    assert (look()["host_facts"]["root_outdated"], look()["host_facts"]["root_foreign"]) == (
        [],
        ["current", "releases"],
    )
    (root / ".trtllm").touch()
    assert (look()["host_facts"]["root_outdated"], look()["host_facts"]["root_foreign"]) == (
        ["current", "releases"],
        [],
    )


def test_limits_of_current_releases_are_read_from_their_records(look: t.Callable[..., Result], tmp_path: Path) -> None:
    root = tmp_path / "root"
    limits = {"max_batch_size": 64, "chosen_for": KEY}
    records = {"default": json.dumps({"limits": limits}), "old": "{}", "damaged": "{", "list": "[]", "gone": ""}
    for name, record in records.items():
        folder = release(root, name, "one")
        (folder / "release.json").write_text(record)
        (release(root, name, "two") / "release.json").write_text(json.dumps({"limits": {"max_batch_size": 1}}))
        (folder.parents[1] / "current").symlink_to("releases/one")
    (root / "deployments/gone/current").unlink()
    assert look()["host_facts"]["limits"] == {"default": limits}


def test_the_endpoint_of_the_host_is_found(look: t.Callable[..., Result], tmp_path: Path) -> None:
    assert look(configuration=str(tmp_path / "missing"))["instances"] == []
    (tmp_path / "trtllm/endpoint").mkdir(parents=True)
    assert look(configuration=str(tmp_path / "trtllm"))["instances"] == ["endpoint"]
