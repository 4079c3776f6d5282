# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook of the collection like a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[3]


class Run:
    """A run of a playbook with extra variables; `plan` is the content of trtllm_plan_file.

    `prefix` is a command that runs the program.
    """

    def __init__(
        self, folder: Path, *options: str, playbook: str = "plan", prefix: Sequence[str] = (), **variables: Any
    ) -> None:
        self.file = folder / "plan.json"
        program = Path(sys.executable).with_name("ansible-playbook")
        extra = json.dumps({"trtllm_plan_file": str(self.file), **variables})
        command = [*prefix, str(program), str(PROJECT / "playbooks" / f"{playbook}.yml"), *options, "-e", extra]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_SSH_RETRIES": "0"}
        done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment, cwd=folder)
        self.rc, self.said = done.returncode, done.stdout + done.stderr
        self.plan: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    @property
    def hosts(self) -> dict[str, Any]:
        """The plans, by host."""
        found: dict[str, Any] = self.plan.get("hosts", {})
        return found

    def deployment(self, host: str = "localhost", name: str = "default") -> dict[str, Any]:
        found: dict[str, Any] = self.hosts[host]["deployments"][name]
        return found
