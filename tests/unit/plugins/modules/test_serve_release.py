# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release folder of trtllm-serve."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.release import _serve_release
from ansible_collections.tritonops.trtllm.plugins.modules import serve_release
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

CONFIG = {"kv_cache_config": {"free_gpu_memory_fraction": 0.8}, "max_seq_len": 512, "learning": 0.00001, "off": None}
Make = t.Callable[..., Result]


@pytest.fixture(name="weights")
def fixture_weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights/llama"
    (folder / ".cache").mkdir(parents=True)
    files = ("config.json", "artifact.json", "model.safetensors", "tokenizer.json", ".cache/lock")
    for name in files:
        (folder / name).write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture(name="dest")
def fixture_dest(tmp_path: Path) -> Path:
    (tmp_path / "releases").mkdir()
    return tmp_path / "releases/mine"


@pytest.fixture(name="make")
def fixture_make(weights: Path, dest: Path, capsys: pytest.CaptureFixture[str]) -> Make:
    def run(check: bool = False, **arguments: t.Any) -> Result:
        defaults = {"dest": str(dest), "version": "1.2.1", "weights": str(weights), "config": CONFIG}
        return run_module(serve_release, capsys, check, **{**defaults, "manifest": {"id": "mine"}, **arguments})

    return run


def test_a_release_is_made_once(make: Make, weights: Path, dest: Path) -> None:
    result = make(image_digest="sha256:1")
    assert result["changed"] and result["path"] == str(dest)
    assert os.path.samefile(dest / "models/llama/model.safetensors", weights / "model.safetensors")
    assert not (dest / "models/llama/.cache").exists() and not (dest / "tokenizer").exists()
    assert yaml.safe_load((dest / "config.yml").read_text(encoding="utf-8")) == CONFIG
    record = json.loads((dest / "release.json").read_text(encoding="utf-8"))
    assert record == {"id": "mine", "release": "1.2.1", "image_digest": "sha256:1"}
    assert [path.name for path in dest.parent.iterdir()] == ["mine"]
    again = make(image_digest="sha256:1")
    assert not again["changed"] and again["diff"] == []


def test_the_server_can_read_a_release_whatever_the_umask(make: Make, dest: Path) -> None:
    before = os.umask(0o077)
    try:
        make()
    finally:
        os.umask(before)
    found = [dest, *dest.rglob("*")]
    assert all(path.stat().st_mode & 0o004 for path in found) and len(found) > 6


def test_check_mode_predicts_and_writes_nothing(make: Make, weights: Path, dest: Path) -> None:
    assert make(check=True)["changed"] and not list(dest.parent.iterdir())
    assert make(check=True, weights=str(weights.parent / "later"))["changed"] and not list(dest.parent.iterdir())
    make()
    assert not make(check=True)["changed"]
    changed = make(check=True, config={"max_seq_len": 9})
    assert changed["changed_files"] == ["config.yml"] and changed["diff"][0]["after"] == "max_seq_len: 9\n"
    assert yaml.safe_load((dest / "config.yml").read_text(encoding="utf-8")) == CONFIG


def test_check_mode_on_a_new_host_needs_no_packages(
    make: Make, dest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_serve_release, "YAML_IMPORT_ERROR", "No module named yaml")
    later = str(tmp_path / "weights/later")
    result = make(check=True, weights=later)
    assert result["changed"] and f"{dest} does not exist, nor does {later} yet" in result["diff"][0]["after"]
    assert "PyYAML" in make()["msg"]


def test_a_changed_configuration_is_written(make: Make, dest: Path) -> None:
    make()
    assert make(config={"max_seq_len": 9})["changed_files"] == ["config.yml"]
    assert (dest / "config.yml").read_text(encoding="utf-8") == "max_seq_len: 9\n"
    assert not (dest / "config.yml.new").exists()


def test_a_tokenizer_of_its_own_is_linked(make: Make, tmp_path: Path, dest: Path) -> None:
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}", encoding="utf-8")
    (tokenizer / "model.safetensors").write_text("", encoding="utf-8")
    make(tokenizer=str(tokenizer), model="chat")
    assert (dest / "models/chat/config.json").is_file()
    assert os.path.samefile(dest / "tokenizer/tokenizer.json", tokenizer / "tokenizer.json")
    assert not (dest / "tokenizer/model.safetensors").exists()


def test_what_cannot_be_served_is_refused(
    make: Make, weights: Path, dest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"dest": str(dest), "version": "1.2.1", "weights": str(weights)}
    remote = failure(serve_release, capsys, **asked, config={"trust_remote_code": True})
    assert "trust_remote_code cannot be set" in remote
    assert "is not the name of a folder" in failure(serve_release, capsys, **asked, model="../weights")
    assert "must not be the same folder" in failure(serve_release, capsys, **{**asked, "dest": str(weights / "x")})
    (weights / "config.json").unlink()
    assert "has no weights" in failure(serve_release, capsys, **asked)
    assert not (dest.parent / "mine").exists()
