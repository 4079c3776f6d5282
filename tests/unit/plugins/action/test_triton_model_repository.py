# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.tritonops.trtllm.plugins.action.triton_model_repository import ActionModule


@pytest.fixture(autouse=True)
def _no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs on a host; the result has the module's arguments."""
    monkeypatch.setattr(NormalAction, "run", lambda self, _tmp, _vars: dict(self._task.args))


def ran(**arguments: Any) -> dict[str, Any]:
    """The arguments of the module, or the result of the action."""
    task = SimpleNamespace(args={"src": "/src", "dest": "/dest", **arguments})
    unused = SimpleNamespace()
    return ActionModule(task, unused, unused, unused, unused, unused).run()  # type: ignore[arg-type, no-any-return]


@pytest.mark.parametrize("release", ["0.9.0", "v0.9.0"])
def test_the_release_determines_the_required_placeholders(release: str) -> None:
    required = ran(release=release)["required"]
    assert required["preprocessing"] == ["tokenizer_dir", "add_special_tokens"]
    assert required["tensorrt_llm_bls"] == ["tensorrt_llm_model_name"]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"release": ""}, {"release": "1.2.1", "llm_args": {"tensorrt_llm": {"backend": "pytorch"}}}],
    ids=["none", "empty", "llmapi"],
)
def test_nothing_is_added_without_a_release_or_placeholders(arguments: dict[str, Any]) -> None:
    assert "required" not in ran(**arguments)


def test_a_given_list_is_kept() -> None:
    own = {"tensorrt_llm": ["engine_dir"]}
    assert ran(release="my own", required=own)["required"] == own


def test_an_unknown_release_is_refused_with_the_known_ones() -> None:
    result = ran(release="0.9.1")
    assert result["failed"] and "did you mean" in result["msg"] and "1.2.1" in result["msg"]


@pytest.mark.parametrize(
    ("arguments", "tokenizers"),
    [
        ({"release": "0.9.0"}, "0.15"),
        ({"release": "v0.14.0", "required": {"ensemble": []}}, "0.20"),
        ({"release": "1.2.1", "llm_args": {"tensorrt_llm": {"backend": "pytorch"}}}, "0.22"),
        ({"release": "0.9.0", "tokenizers": "0.21"}, "0.21"),
        ({"release": "my own", "required": {"ensemble": []}}, None),
        ({}, None),
    ],
)
def test_the_release_determines_the_version_of_tokenizers(arguments: dict[str, Any], tokenizers: str | None) -> None:
    assert ran(**arguments).get("tokenizers") == tokenizers
