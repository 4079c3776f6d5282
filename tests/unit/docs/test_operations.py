# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/operations.md lists exactly the names that the collection prints for failures.

`python tests/unit/docs/test_operations.py` updates the table of log patterns.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import CHECKS, WAIVABLE
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._decision import PHASES
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_log_patterns

PROJECT = Path(__file__).parents[3]
OPERATIONS = PROJECT / "docs" / "operations.md"
PAGE = OPERATIONS.read_text()
LOG_PATTERNS = re.compile(r"(?<=<!-- log patterns -->\n).*?(?=<!-- end -->)", re.DOTALL)
# Rows whose first cell is a name.
EXPLAINED = set(re.findall(r"^\| `([a-z0-9_]+)` \|", PAGE, re.MULTILINE))


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def findings() -> set[str]:
    """The findings of preflight: those of its module and those of the role."""
    by_role = (PROJECT / "roles" / "preflight" / "vars" / "main.yml").read_text()
    return {check.id for check in CHECKS} | set(re.findall(r"^  id: (\w+)$", by_role, re.MULTILINE))


def log_patterns_table() -> str:
    head = "| name | what it means | what to do here |\n| --- | --- | --- |\n"
    return head + "".join(map(log_pattern_row, load_log_patterns()))


def log_pattern_row(entry: Mapping[str, Any]) -> str:
    releases = f" *Releases: {entry['releases']}.*" if "releases" in entry else ""
    cells = (f"`{entry['name']}`", entry["cause"] + releases, entry.get("on_call", entry["remedy"]))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


NAMES = {
    "finding": findings(),
    "log pattern": {entry["name"] for entry in load_log_patterns()},
    "waiver": set(WAIVABLE),
    "phase of the watchdog": set(PHASES),
}


def test_the_names_are_found() -> None:
    """Otherwise the tests below would check nothing."""
    assert {"port_taken", "xid", "hub_token_refused", "no_python"} <= NAMES["finding"]
    assert {"disk_space", "exposed_vulnerable_release", "no_python"} <= NAMES["waiver"]


@pytest.mark.parametrize("kind", list(NAMES))
def test_every_name_has_a_row(kind: str) -> None:
    assert NAMES[kind] - EXPLAINED == set()


def test_the_table_of_log_patterns_matches_the_catalogue() -> None:
    assert LOG_PATTERNS.findall(PAGE) == [log_patterns_table()], "run `make docs`"


def test_no_row_is_obsolete() -> None:
    assert EXPLAINED - set().union(*NAMES.values()) == set()


def words(path: Path) -> Iterator[str]:
    """The messages in a file: strings in Python, text in YAML, without templates and format fields."""
    if path.suffix == ".yml":
        yield " ".join(re.sub(r"\{\{.*?\}\}", "…", path.read_text(), flags=re.DOTALL).split())
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(literal(part) or "…" for part in node.values)
        elif isinstance(node, ast.expr) and literal(node):
            yield str(literal(node))


def test_quoted_messages_exist_in_the_code() -> None:
    paths = [path for top in ("plugins", "roles", "playbooks") for path in (PROJECT / top).rglob("*.*")]
    printed = "\n".join(text for path in paths if path.suffix in (".py", ".yml") for text in words(path))
    quoted = re.findall(r'\*"([^"]+)"\*', PAGE)
    parts = {part.strip() for message in quoted for part in message.split("…") if len(part.strip()) > 7}
    assert len(parts) > 30
    assert {part for part in parts if part not in printed} == set()


def test_links_within_the_page_work() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) - anchors == set()


def test_named_variables_exist() -> None:
    sample = (PROJECT / "inventories/sample/group_vars/trtllm.yml").read_text()
    options = "".join(path.read_text() for path in PROJECT.glob("roles/*/meta/argument_specs.yml"))
    named = set(re.findall(r"`(trtllm_[a-z_]+)", PAGE))
    roles = set(re.findall(r"`((?:docker|nvidia_ctk|host_python|triton_service)_[a-z_]+)`", PAGE))
    assert {name for name in named if f"{name}:" not in sample} == set()
    assert {name for name in roles if f"{name}:" not in options} == set()


if __name__ == "__main__":
    OPERATIONS.write_text(LOG_PATTERNS.sub(lambda _table: log_patterns_table(), PAGE))
