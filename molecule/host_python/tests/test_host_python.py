# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testinfra.host import Host

REQUIREMENTS = Path(__file__).parents[3] / "roles/host_python/files/requirements.txt"


@pytest.mark.parametrize(
    "module",
    ["docker", "google.protobuf.text_format", "huggingface_hub", "requests", "safetensors", "tritonclient.grpc"],
)
def test_module_can_be_imported(host: Host, module: str) -> None:
    assert host.run("/srv/apps/venv/bin/python -c 'import %s'", module).rc == 0


def test_versions_are_the_pinned_ones(host: Host) -> None:
    installed = host.check_output("/srv/apps/venv/bin/python -m pip --disable-pip-version-check freeze").splitlines()
    pinned = set(re.findall(r"^([a-z0-9_.-]+==[^ ]+)", REQUIREMENTS.read_text(), re.MULTILINE))
    assert len(installed) > 20
    assert {line.lower().replace("_", "-") for line in installed} <= {line.lower().replace("_", "-") for line in pinned}


def test_incomplete_environment_is_removed(host: Host) -> None:
    environments = [name for name in host.file("/srv/apps").listdir() if name.startswith("venv-")]
    assert environments == [host.check_output("readlink /srv/apps/venv")]
    assert environments != ["venv-000000000000"]
