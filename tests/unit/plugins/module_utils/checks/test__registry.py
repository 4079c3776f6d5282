# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which checks run, and which do not."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _registry
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Check, Fact, Finding, error
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import CHECKS, WAIVABLE, judge


def test_every_check_has_a_unique_name_and_a_need() -> None:
    names = [check.id for check in CHECKS]
    assert len(set(names)) == len(names) > 50
    assert {check.need for check in CHECKS} <= {entry.name for entry in fields(Needs)}


def test_every_file_with_checks_is_read() -> None:
    folder = Path(_registry.__file__).parent
    with_checks = {path.stem for path in folder.glob("_*.py") if "\nCHECKS = " in path.read_text()}
    assert with_checks - {"_registry"} == {check.find.__module__.rpartition(".")[2] for check in CHECKS}


def test_checks_of_facts_cannot_be_waived() -> None:
    facts = {check.id for check in CHECKS if not check.waivable}
    assert {"gpu_count", "gpu_capability", "driver_too_old"} <= facts
    assert not facts & set(WAIVABLE)


@dataclass(frozen=True)
class Number(Fact):
    value: int


@dataclass(frozen=True)
class Word(Fact):
    value: str


def too_small(needed: int, number: Number, word: Word) -> Iterator[Finding]:
    if number.value < needed:
        yield error(f"{number.value} {word.value}", "set O(memory_bytes)")


@pytest.fixture(name="asked")
def fixture_asked(monkeypatch: pytest.MonkeyPatch) -> list[type[Fact]]:
    """Registers only that check, and records which facts are looked up."""
    monkeypatch.setattr(_registry, "CHECKS", (Check(too_small, "memory_bytes", (Number, Word), waivable=False),))
    return []


def found(asked: list[type[Fact]], needs: Needs, *facts: Fact) -> list[dict[str, Any]]:
    by_kind = {type(fact): fact for fact in facts}

    def known(kind: type[Fact]) -> Fact | None:
        asked.append(kind)
        return by_kind.get(kind)

    return judge(needs, known)


def test_a_check_gets_its_need_and_its_facts(asked: list[type[Fact]]) -> None:
    finding = {"id": "too_small", "severity": "error", "message": "1 apple", "waivable": False}
    needs = Needs(memory_bytes=2)
    assert found(asked, needs, Number(1), Word("apple")) == [{**finding, "remedy": "set needs.memory_bytes"}]
    planned = Needs(memory_bytes=2, planned=True)
    assert found(asked, planned, Number(1), Word("apple")) == [{**finding, "remedy": "set trtllm_model"}]


def test_without_a_need_nothing_is_looked_up(asked: list[type[Fact]]) -> None:
    assert found(asked, Needs(), Number(-1), Word("apple")) == []
    assert asked == []


@pytest.mark.parametrize("facts", [[Number(1)], [Word("apple")], []])
def test_unknown_facts_are_not_checked(asked: list[type[Fact]], facts: list[Fact]) -> None:
    assert found(asked, Needs(memory_bytes=2), *facts) == []
