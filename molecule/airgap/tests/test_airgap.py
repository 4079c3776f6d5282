# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

from testinfra.host import Host

BUNDLE = Path(__file__).parents[3] / ".cache" / "rehearsal" / "airgap" / "bundle"


def test_host_keeps_no_repository(host: Host) -> None:
    """The bundle can be removed after the run."""
    assert host.run("grep --recursive --files-with-matches airgap /etc/apt").stdout == ""


def test_weights_are_those_of_the_hub(host: Host) -> None:
    manifest = json.loads((BUNDLE / "manifest.json").read_text())
    found = host.run("cat /opt/trtllm/weights/*/artifact.json")
    record = json.loads(found.stdout)
    assert record["inputs"]["commit"] == manifest["weights"]["revision"]
    folder = f"weights/models--rehearsal--tiny-mixtral/snapshots/{manifest['weights']['revision']}"
    assert record["files"] == {
        name.removeprefix(f"{folder}/"): entry for name, entry in manifest["files"].items() if name.startswith(folder)
    }
