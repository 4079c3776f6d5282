# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._templates import Variables
from ansible_collections.tritonops.trtllm.tests.unit.support.tasks import Tasks


def test_templates_are_rendered_with_the_variables_of_the_task(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/unit.j2").write_text("{{ ansible_managed | comment }}\n[Service]\nExecStart={{ program }}\n")
    task: dict[str, Any] = {
        "tritonops.trtllm.service_files": {
            "part": "test",
            "user": "nobody",
            "unit": {"path": str(tmp_path / "unit"), "content": "unit.j2"},
            "scripts": [{"path": str(tmp_path / "run"), "content": "#!/bin/sh\necho {{ '{{' }}\n"}],
        },
        "vars": {"program": "{{ '/usr/bin/' ~ 'true' }}"},
    }
    tasks = Tasks(tmp_path)
    (result,) = tasks.run(task, options=("--check", "--diff"))
    assert "msg" not in result, result
    assert result["files"] == [str(tmp_path / "unit"), str(tmp_path / "run")], result
    lines = [line[1:] for line in tasks.output.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert lines == ["#", "# Ansible managed", "#", "[Service]", "ExecStart=/usr/bin/true", "#!/bin/sh", "echo {{"]


def test_variables_are_not_copied_deeply() -> None:
    plans: dict[str, Any] = {"hosts": {}}
    copied = copy.deepcopy(Variables({"planned": plans}))
    copied["template_path"] = "x"
    assert copied["planned"] is plans and isinstance(copied, dict)
