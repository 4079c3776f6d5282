# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Callable

import pytest
from testinfra.host import Host

Only = Callable[[str], str]
Record = Callable[[str], Any]
Folders = dict[str, dict[str, str]]
RANKS = {"rank0.safetensors", "rank1.safetensors"}
FILES = {
    "native": {
        "checkpoint": {"config.json", *RANKS},
        "engine": {"config.json", "rank0.engine", "rank1.engine", "tool.log"},
    },
}
FILES["upstream"] = {**FILES["native"], "checkpoint": {*FILES["native"]["checkpoint"], "tool.log"}}
EACH_CONVERTER = pytest.mark.parametrize("converter", FILES)


@pytest.fixture
def made(host: Host, record: Record) -> Folders:
    """The checkpoint and its engine, by converter."""

    def artifacts(kind: str) -> dict[str, Any]:
        names = host.file(f"/opt/trtllm/{kind}").listdir()
        folders = [f"/opt/trtllm/{kind}/{name}" for name in names if not name.endswith(".lock")]
        return {folder: record(f"{folder}/artifact.json") for folder in folders}

    engines = {artifact["inputs"]["source"]: folder for folder, artifact in artifacts("engine").items()}
    found = {
        artifact["inputs"]["converter"]: {"checkpoint": folder, "engine": engines.pop(artifact["key"])}
        for folder, artifact in artifacts("checkpoint").items()
    }
    assert set(found) == set(FILES) and not engines
    return found


@EACH_CONVERTER
@pytest.mark.parametrize("kind", ["checkpoint", "engine"])
def test_every_rank_is_recorded(host: Host, made: Folders, record: Record, converter: str, kind: str) -> None:
    folder, files = made[converter][kind], FILES[converter][kind]
    assert set(host.file(folder).listdir()) == files | {"artifact.json"}
    artifact = record(f"{folder}/artifact.json")
    assert set(artifact["files"]) == files
    assert all(host.file(f"{folder}/{name}").size == entry["size"] for name, entry in artifact["files"].items())


def test_records_name_the_weights_and_the_image_if_one_was_used(
    only: Only, made: Folders, record: Record, image: str
) -> None:
    weights = record(f"{only('weights')}/artifact.json")
    inputs = {
        (converter, kind): record(f"{folder}/artifact.json")["inputs"]
        for converter, folders in made.items()
        for kind, folder in folders.items()
    }
    assert {inputs[converter, "checkpoint"]["source"] for converter in made} == {weights["key"]}
    assert {inputs[converter, "engine"]["image"] for converter in made} == {image}
    assert inputs["upstream", "checkpoint"]["image"] == image
    assert "image" not in inputs["native", "checkpoint"]


def test_both_converters_write_the_same(made: Folders, record: Record) -> None:
    native, upstream = (record(f"{made[converter]['checkpoint']}/artifact.json")["files"] for converter in FILES)
    assert {name: native[name]["sha256"] for name in RANKS} == {name: upstream[name]["sha256"] for name in RANKS}


@EACH_CONVERTER
def test_the_engine_has_the_requested_settings(made: Folders, record: Record, converter: str) -> None:
    config = record(f"{made[converter]['engine']}/config.json")
    assert config["pretrained_config"]["dtype"] == "bfloat16"
    assert config["pretrained_config"]["mapping"]["pp_size"] == 2
    assert config["build_config"]["max_seq_len"] == 512


def test_output_of_the_tools_is_kept(host: Host, made: Folders) -> None:
    folders = made["upstream"]
    assert "Total time of converting checkpoints" in host.file(f"{folders['checkpoint']}/tool.log").content_string
    assert "Build engine rank1.engine done" in host.file(f"{folders['engine']}/tool.log").content_string


def test_no_container_is_left(host: Host) -> None:
    assert host.check_output("docker ps --all --quiet") == ""
