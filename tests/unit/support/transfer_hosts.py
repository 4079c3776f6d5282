# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that copy an artifact from each other: a process and a loopback address for each."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._torrent import NAME
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import (
    Wanted,
    issue,
    new_authority,
    read_authority,
)

NOW = datetime.now(timezone.utc)


def write_files(folder: Path, sizes: Mapping[str, int]) -> None:
    """The same content each time."""
    numbers = random.Random(1)
    for name, size in sizes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(numbers.randbytes(size))


class TransferHosts:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[int, subprocess.Popen[str]] = {}
        self.authority = new_authority("transfer", NOW)

    def certificate(
        self,
        name: str = NAME,
        purpose: str = "transfer",
        authority: tuple[bytes, bytes] | None = None,
        now: datetime = NOW,
        days: int = 2,
    ) -> str:
        path = self.folder / f"{len(list(self.folder.glob('*.pem')))}.pem"
        signer = read_authority(*(authority or self.authority))
        path.write_bytes(issue(signer, Wanted(name, purpose, (name,), days, 0), now))
        return str(path)

    def launch(self, number: int, script: str, given: Mapping[str, Any]) -> None:
        """Run a Python script that reads this file, which is its only argument, and prints a result as JSON."""
        path = self.folder / f"host{number}.json"
        path.write_text(json.dumps(given), encoding="utf-8")
        self.processes[number] = subprocess.Popen(
            [sys.executable, "-c", script, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def result(self, number: int) -> dict[str, Any]:
        out, err = self.processes[number].communicate(timeout=90)
        assert self.processes[number].returncode == 0, err
        result: dict[str, Any] = json.loads(out)
        return result

    def failure(self, number: int) -> str:
        _out, err = self.processes[number].communicate(timeout=90)
        assert self.processes[number].returncode == 1, err
        return err

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].communicate()

    def close(self) -> None:
        for number in self.processes:
            self.kill(number)
