# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of status measures a table that is complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.bench.status_fleet import check, fleet, play, recorded


def test_the_hosts_answer_what_was_recorded(tmp_path: Path) -> None:
    result = recorded(tmp_path)
    assert len(result["gpus"]) == 8 and [entry["name"] for entry in result["deployments"]] == ["default", "small"]
    written = tmp_path / "status.json"
    took = play("-i", fleet(tmp_path, 3, result), "playbooks/status.yml", "-e", f"trtllm_status_file={written}")
    check(written, 3)
    assert took.wall > 0 and took.cpu > 0


@pytest.mark.parametrize("change", [{"in_flight": None}, {"rotation": "down"}, {"gpus": []}])
def test_an_incomplete_table_is_no_result(tmp_path: Path, change: dict[str, Any]) -> None:
    complete = {"rotation": "in", "in_flight": 3, "gpus": [{}] * 8, "problem": None}
    dead = dict.fromkeys(complete)
    dead.update({"gpus": [], "problem": "unreachable"})
    file = tmp_path / "status.json"
    file.write_text(json.dumps({"rows": [complete, complete, dead]}))
    check(file, 2)
    file.write_text(json.dumps({"rows": [complete, {**complete, **change}, dead]}))
    with pytest.raises(SystemExit, match="1 rows of 2 hosts are complete"):
        check(file, 2)
