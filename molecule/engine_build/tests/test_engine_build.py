# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Callable

import pytest
from testinfra.host import Host

Only = Callable[[str], str]
Record = Callable[[str], Any]
FILES = {
    "checkpoint": {"config.json", "rank0.safetensors", "rank1.safetensors", "tool.log"},
    "engine": {"config.json", "rank0.engine", "rank1.engine", "tool.log"},
}


@pytest.mark.parametrize("kind", FILES)
def test_every_rank_is_there_and_recorded(host: Host, only: Only, record: Record, kind: str) -> None:
    folder = only(kind)
    assert set(host.file(folder).listdir()) == FILES[kind] | {"artifact.json"}
    artifact = record(f"{folder}/artifact.json")
    assert set(artifact["files"]) == FILES[kind]
    assert all(host.file(f"{folder}/{name}").size == entry["size"] for name, entry in artifact["files"].items())


def test_records_name_the_image_and_what_came_before(only: Only, record: Record, image: str) -> None:
    weights, checkpoint, engine = (
        record(f"{only(kind)}/artifact.json") for kind in ("weights", "checkpoint", "engine")
    )
    assert checkpoint["inputs"]["image"] == engine["inputs"]["image"] == image
    assert checkpoint["inputs"]["source"] == weights["key"]
    assert engine["inputs"]["source"] == checkpoint["key"]


def test_tools_did_what_their_command_says(only: Only, record: Record) -> None:
    config = record(f"{only('engine')}/config.json")
    assert config["pretrained_config"]["dtype"] == "bfloat16"
    assert config["pretrained_config"]["mapping"]["pp_size"] == 2
    assert config["build_config"]["max_seq_len"] == 512


def test_output_of_the_tools_is_kept(host: Host, only: Only) -> None:
    assert "Total time of converting checkpoints" in host.file(f"{only('checkpoint')}/tool.log").content_string
    assert "Build engine rank1.engine done" in host.file(f"{only('engine')}/tool.log").content_string


def test_no_container_is_left(host: Host) -> None:
    assert host.check_output("docker ps --all --quiet") == ""
