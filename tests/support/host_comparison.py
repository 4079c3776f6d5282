# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a host, and the differences between two states. Usage: host_comparison.py HOST OUTPUT"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import testinfra
from testinfra.host import Host

# Enterprise Linux's own Python, which is always installed.
PLATFORM_PYTHON = "/usr/libexec/platform-python"


def state_of(host: Host) -> dict[str, Any]:
    """Run host_snapshot.py with a Python of the host; it defines what is excluded, and why."""
    script = Path(__file__).with_name("host_snapshot.py").read_text()
    python = PLATFORM_PYTHON if host.file(PLATFORM_PYTHON).exists else "/usr/bin/python3"
    described: dict[str, Any] = json.loads(host.check_output("%s -c %s", python, script))
    return described


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The entries that only one of the snapshots has, by kind."""
    entries = {kind: [set(map(str, _as_pairs(side[kind]))) for side in (one, other)] for kind in one}
    return {kind: sorted(first ^ second) for kind, (first, second) in entries.items() if first != second}


def _as_pairs(things: Any) -> Any:
    return things.items() if isinstance(things, dict) else things


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(state_of(testinfra.get_host(sys.argv[1]))))
