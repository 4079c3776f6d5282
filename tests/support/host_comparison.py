# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host is like, and what of it is not as it was. As a program: CONTAINER PYTHON FILE, which is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def look_at(container: str, python: str = "python3") -> dict[str, Any]:
    """By a Python of the host; host_snapshot.py says what is left out, and why."""
    script = Path(__file__).with_name("host_snapshot.py").read_text()
    command = ["docker", "exec", "-i", container, python, "-"]
    shown = subprocess.run(command, input=script, text=True, stdout=subprocess.PIPE, check=True).stdout
    described: dict[str, Any] = json.loads(shown)
    return described


def different(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What is in one snapshot only, or otherwise in the other; by the kind of thing."""
    entries = {kind: [set(map(str, _as_pairs(side[kind]))) for side in (one, other)] for kind in one}
    return {kind: sorted(first ^ second) for kind, (first, second) in entries.items() if first != second}


def _as_pairs(things: Any) -> Any:
    return things.items() if isinstance(things, dict) else things


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(look_at(sys.argv[1], sys.argv[2])))
