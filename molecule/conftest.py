# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for the tests of several scenarios, such as the records that the roles write on the host."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Callable

import pytest
import yaml
from testinfra.host import Host

STATE = Path(__file__).parents[1] / ".cache" / "rehearsal"
Record = Callable[[str], Any]


@pytest.fixture(scope="module")
def image() -> str:
    """The id of the rehearsal's image."""
    return str(yaml.safe_load((STATE / "backend-1.2.1.yml").read_text())["digest"])


@pytest.fixture
def record(host: Host) -> Record:
    """Reads a JSON file of the host."""
    return lambda path: json.loads(host.file(path).content_string)


@pytest.fixture
def only(host: Host) -> Callable[[str], str]:
    """The only artifact in a folder below the root; nothing but lock files may be beside it."""

    def find(kind: str) -> str:
        folder = f"/opt/trtllm/{kind}"
        names = [name for name in host.file(folder).listdir() if not name.endswith(".lock")]
        assert len(names) == 1, names
        return f"{folder}/{names[0]}"

    return find


@pytest.fixture(scope="session")
def snapshot() -> dict[str, str]:
    """The sha256 of every file of the rehearsal's model, on this machine."""
    folder = STATE / "models" / "HuggingFaceTB" / "SmolLM2-135M-Instruct"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
