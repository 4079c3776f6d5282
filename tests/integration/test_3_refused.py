# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input is refused with a clear message, before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from site_under_test import GatedHub, Site

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"trtllm_model": "smollm2-135m-instrukt"}, ["not a known preset", "did you mean smollm2-135m-instruct"]),
        ({"trtllm_release": "1.2.9"}, ["not a known TensorRT-LLM version", "the newest is 1.2.1"]),
        ({"trtllm_parallelism": {"tensor": 2}}, ["does not divide the 9 attention heads", "1, 3"]),
        (
            {"trtllm_repository_parameters": {"tensorrt_llm": {"batching_stratgy": "V1"}}},
            ["no placeholder batching_stratgy", "did you mean batching_strategy"],
        ),
    ],
    ids=["model", "release", "heads", "parameter"],
)
def test_bad_input_is_refused_before_any_change(site: Site, variables: dict[str, Any], expected: list[str]) -> None:
    refused(site, variables, expected)


def refused(site: Site, variables: dict[str, Any], expected: list[str]) -> None:
    played = site.play("site", variables=variables)
    assert played.returncode != 0
    assert played.recap["changed"] == 0 and played.recap["failed"] == 1
    for words in expected:
        assert words in played.output, f"{words!r} is not in the output"


def test_a_gated_model_without_a_token(site: Site, gated_hub: GatedHub) -> None:
    refused(site, gated_hub.variables, ["rehearsal/Gated", "token", "trtllm_token_file"])


def test_a_refused_token(site: Site, gated_hub: GatedHub, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hf_wrong")
    refused(site, {**gated_hub.variables, "trtllm_token_file": str(token)}, ["rehearsal/Gated", "refused"])
    assert not site.exists(f"{site.root}/secrets")


def test_a_root_folder_without_enough_space(site: Site) -> None:
    site.run(
        "sh", "-c", "mkdir -p /mnt/small && mountpoint -q /mnt/small || mount -t tmpfs -o size=50m tmpfs /mnt/small"
    )
    refused(site, {"trtllm_root": "/mnt/small/trtllm"}, ["52.4 MB free", "1.15 GB is needed", "trtllm_root"])
    site.run("umount", "/mnt/small")
    site.run("rmdir", "/mnt/small")


def test_a_port_that_is_in_use(site: Site) -> None:
    site.run("systemd-run", "--unit", "squatter", "socat", "TCP-LISTEN:8090,bind=127.0.0.1,fork", "-")
    site.wait(60, lambda: ":8090" in site.read("ss", "-ltnH"))
    refused(site, {"trtllm_server": {"http_port": 8090}}, ["8090", "socat"])
    site.run("systemctl", "stop", "squatter")


def test_an_engine_of_another_image(site: Site) -> None:
    engine = site.read("sh", "-c", f"ls -d {site.root}/engine/????????????????").strip()
    site.run("cp", "--archive", "--link", engine, "/root/other-engine")
    site.run(
        "sh",
        "-c",
        'sed -i.bak \'s/"image": "sha256:[0-9a-f]*/"image": "sha256:' + "e" * 64 + "/' "
        "/root/other-engine/artifact.json",
    )
    refused(site, {"trtllm_engine_dir": "/root/other-engine"}, ["was built with image", "e" * 64])
    site.run("rm", "--recursive", "/root/other-engine")
