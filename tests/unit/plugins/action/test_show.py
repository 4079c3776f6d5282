# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of several lines with Ansible's own callback, which prints other messages as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def said(folder: Path, *tasks: dict[str, Any]) -> str:
    playbook = folder / "play.json"
    playbook.write_text(json.dumps([{"hosts": "a,b", "gather_facts": False, "tasks": tasks}]))
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [str(program), "-i", "a,b,", str(playbook)],
        text=True,
        capture_output=True,
        check=False,
        env=environment,
        cwd=folder,
    )
    return done.stdout


def test_the_lines_of_hosts_do_not_mix(tmp_path: Path) -> None:
    lines = ["{{ inventory_hostname }}:", *(f'  {number} "x"' for number in range(20)), "", ""]
    same = {"ansible.builtin.assert": {"that": "shown.lines | length == 21", "quiet": True}}
    text = said(tmp_path, {"tritonops.trtllm.show": {"text": "\n".join(lines)}, "register": "shown"}, same)
    for host in "ab":
        assert "\n".join([f"\n{host}:", *lines[1:-2], ""]) in text
    assert "ok: [a]\n" in text and text.count("changed=0") == text.count("failed=0") == 2


def test_a_secret_is_not_printed(tmp_path: Path) -> None:
    assert "s3cret" not in said(tmp_path, {"tritonops.trtllm.show": {"text": "s3cret"}, "no_log": True})


def test_a_text_is_needed(tmp_path: Path) -> None:
    assert "missing required arguments: text" in said(tmp_path, {"tritonops.trtllm.show": {}})
