# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of API keys on the control node."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import hash_of
from ansible_collections.tritonops.trtllm.tests.unit.support.tasks import Tasks


def key(folder: Path, **options: Any) -> dict[str, Any]:
    return {"tritonops.trtllm.api_key": {"path": str(folder / "keys.yml"), "name": "search", **options}}


def entries(folder: Path) -> Any:
    return yaml.safe_load((folder / "keys.yml").read_text())


def test_a_key_is_issued_once_and_stored_as_its_hash(tmp_path: Path) -> None:
    issued, again, limited, rotated = Tasks(tmp_path).run(
        key(tmp_path), key(tmp_path), key(tmp_path, at_once=3, models=["chat"]), key(tmp_path, rotate=True)
    )
    assert issued["changed"] and issued["entry"]["hash"] == hash_of(issued["key"])
    assert not again["changed"] and "key" not in again
    assert limited["changed"] and limited["entry"]["at_once"] == 3 and "key" not in limited
    old, new = entries(tmp_path)
    assert old["hash"] == hash_of(issued["key"]) and old["expires"]
    assert new == {"name": "search", "hash": hash_of(rotated["key"]), "models": ["chat"], "at_once": 3}
    assert stat.S_IMODE((tmp_path / "keys.yml").stat().st_mode) == 0o600
    assert issued["key"] not in (tmp_path / "keys.yml").read_text()


def test_a_key_that_is_shown_is_not_in_the_result(tmp_path: Path) -> None:
    tasks = Tasks(tmp_path)
    (issued,) = tasks.run(key(tmp_path, show=True))
    (printed,) = re.findall(r"^API key search: (sk-\S+)$", tasks.output, re.MULTILINE)
    assert hash_of(printed) == issued["entry"]["hash"] and tasks.output.count(printed) == 1
    assert printed not in json.dumps(issued)


def test_a_revoked_key_is_gone(tmp_path: Path) -> None:
    revoked, again = Tasks(tmp_path).run(key(tmp_path), key(tmp_path, state="absent"), key(tmp_path, state="absent"))[
        1:
    ]
    assert revoked["changed"] and not again["changed"] and entries(tmp_path) == []


def test_check_mode_issues_no_key(tmp_path: Path) -> None:
    (result,) = Tasks(tmp_path).run(key(tmp_path), options=("--check",))
    assert result["changed"] and "key" not in result and not (tmp_path / "keys.yml").exists()


@pytest.mark.long
def test_a_wrong_file_is_kept_and_its_problems_are_named(tmp_path: Path) -> None:
    text = "- {name: a, hash: x}\n- {name: b}\n"
    (tmp_path / "keys.yml").write_text(text)
    results = Tasks(tmp_path).run(key(tmp_path), key(tmp_path, at_once=-1))
    assert "key 1: hash must" in results[0]["msg"] and "key 2: hash must" in results[0]["msg"]
    assert (tmp_path / "keys.yml").read_text() == text
    (tmp_path / "keys.yml").write_text("{")
    assert "not valid YAML" in Tasks(tmp_path).run(key(tmp_path))[0]["msg"]
