# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rehearsed site, served once for all tests of this folder. They run in the order of their files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml
from site_under_test import CANARY, PROJECT, STATE, GatedHub, Site


@pytest.fixture(scope="session")
def site() -> Site:
    return Site()


@pytest.fixture(scope="session")
def gated_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedHub]:
    folder = tmp_path_factory.mktemp("hub")
    repository = folder / "models" / "rehearsal" / "Gated"
    repository.parent.mkdir(parents=True)
    repository.symlink_to(STATE / "models" / "HuggingFaceTB" / "SmolLM2-135M-Instruct")
    token = folder / "token"
    token.write_text(f"{CANARY}\n")
    hub = yaml.safe_load((STATE / "hub.yml").read_text())
    address, port = hub["endpoint"].removeprefix("http://").rsplit(":", 1)
    command = [sys.executable, str(PROJECT / "rehearsal/hub/server.py"), "--root", str(folder / "models")]
    command += ["--address", address, "--port", str(int(port) + 1)]
    command += ["--gated", "rehearsal/Gated", "--token-file", str(token)]
    model = {"preset": "smollm2-135m-instruct", "repository": "rehearsal/Gated", "revision": hub["revision"]}
    endpoint = f"http://{address}:{int(port) + 1}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        yield GatedHub({"trtllm_model": model, "trtllm_weights": {"endpoint": endpoint}}, token)
        server.terminate()
