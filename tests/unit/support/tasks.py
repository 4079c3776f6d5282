# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tasks on this machine with ansible-playbook, and return their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Tasks:
    """`output` is everything that the last run printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = ""

    def run(self, *tasks: dict[str, Any], options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        names = [f"result{number}" for number in range(len(tasks))]
        steps = [{**task, "register": name, "ignore_errors": True} for name, task in zip(names, tasks)]
        results = self.folder / "results.json"
        expression = "{{ [" + ", ".join(names) + "] }}"
        write = {"ansible.builtin.copy": {"content": expression, "dest": str(results), "mode": "0600"}}
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        # The results must be written in check mode as well.
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": local,
            "tasks": [*steps, {**write, "check_mode": False, "no_log": True}],
        }
        playbook = self.folder / "tasks.json"
        playbook.write_text(json.dumps([play]))
        program = Path(sys.executable).with_name("ansible-playbook")
        done = subprocess.run(
            [str(program), "-vvv", "--diff", str(playbook), *options],
            text=True,
            capture_output=True,
            check=False,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"},
            cwd=self.folder,
        )
        self.output = done.stdout + done.stderr
        assert done.returncode == 0, self.output
        found: list[dict[str, Any]] = json.loads(results.read_text())
        return found
