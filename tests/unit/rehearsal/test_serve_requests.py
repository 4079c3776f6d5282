# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the rehearsal's trtllm-serve: fields, parameters and chat templates, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from pydantic import ValidationError
from tensorrt_llm.serve.chat_template import NO_TEMPLATE, read_template, render, special_tokens
from tensorrt_llm.serve.protocol import ChatRequest, CompletionRequest, request_model
from tensorrt_llm.serve.sampling import sampling_params
from tensorrt_llm.serve.versions import load_version

LLM: Any = SimpleNamespace(max_seq_len=100, vocab_size=50)
ARGUMENTS = {"max_num_tokens": 80, "enable_chunked_prefill": False, "guided_decoding_backend": "xgrammar"}


def params(version: str = "1.2.1", prompt: int = 10, arguments: Any = None, **fields: Any) -> Any:
    request = CompletionRequest.model_validate({"model": "m", "prompt": "x", **fields})
    return sampling_params(request, LLM, load_version(version), {**ARGUMENTS, **(arguments or {})}, prompt)


def test_the_length_of_an_answer_is_what_remains() -> None:
    assert params().max_tokens == 90
    assert params(max_tokens=3).max_tokens == 3
    assert params(max_tokens=300).max_tokens == 90


@pytest.mark.parametrize(
    ("version", "prompt", "words"),
    [
        ("1.0.0", 81, "The sum of prompt length (81), query length (0) should not exceed max_num_tokens (80)"),
        ("1.3.0rc29", 81, "The prompt length (81) should not exceed max_num_tokens (80)"),
    ],
)
def test_a_long_prompt_needs_chunked_prefill(version: str, prompt: int, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        params(version, prompt)
    assert words in str(refused.value)
    chunked = {"enable_chunked_prefill": True}
    assert params(version, prompt, chunked).max_tokens == 19
    with pytest.raises(ValueError, match=r"default_max_tokens \(0\) must be greater than 0"):
        params(version, 100, chunked)


@pytest.mark.parametrize(("version", "greedy"), [("1.1.0", False), ("1.2.1", False), ("1.3.0rc29", True)])
def test_a_request_without_parameters_is_sampled_or_greedy(version: str, greedy: bool) -> None:
    assert params(version).is_greedy is greedy
    assert params(version, temperature=0).is_greedy
    assert not params(version, temperature=0.7).is_greedy


@pytest.mark.parametrize(
    ("version", "fields", "words"),
    [
        ("1.1.0", {"n": 2}, "the PyTorch backend of this version returns one sequence"),
        ("1.2.1", {"n": 2, "temperature": 0}, "does not allow multiple returns"),
        ("1.2.1", {"best_of": 3}, "best_of is 3"),
        ("1.2.1", {"use_beam_search": True}, "beam search is not there"),
        ("1.1.0", {"response_format": {"type": "regex", "regex": "a"}}, "Unsupported response format: regex"),
        ("1.2.1", {"response_format": {"type": "regex"}}, "The 'regex' field is required"),
        ("1.2.1", {"response_format": {"type": "json"}}, "The 'schema' field is required"),
        ("1.2.1", {"logit_bias": {"50": 1}}, r"Token ID 50 out of vocabulary range \[0, 50\)"),
    ],
)
def test_what_a_version_cannot_do_is_refused(version: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        params(version, **fields)


def test_greedy_choices_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLLM_ALLOW_N_GREEDY_DECODING", "1")
    assert params(n=2, temperature=0).is_greedy


def test_guided_decoding_must_be_enabled() -> None:
    with pytest.raises(ValueError, match="set guided_decoding_backend"):
        params(arguments={"guided_decoding_backend": None}, response_format={"type": "json_object"})
    assert params(response_format={"type": "json_object"}).guided_decoding.kind == "json_object"
    found = params(response_format={"type": "json", "schema": {"type": "null"}}).guided_decoding
    assert (found.kind, json.loads(found.text)) == ("json_schema", {"type": "null"})
    tag = {"begin": "<a>", "schema": {}, "end": "</a>"}
    found = params(response_format={"type": "structural_tag", "structures": [tag], "triggers": ["<a"]}).guided_decoding
    assert json.loads(found.text) == {"structures": [tag], "triggers": ["<a"]}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_one_prompt_is_a_list_of_one(prompt: Any, expected: Any) -> None:
    assert CompletionRequest(model="m", prompt=prompt).prompts == expected


@pytest.mark.parametrize("field", ["priority", "thinking_token_budget"])
def test_later_fields_are_unknown_to_earlier_versions(field: str) -> None:
    body = {"model": "m", "prompt": "x", field: 1}
    assert request_model(CompletionRequest, load_version("1.3.0rc29")).model_validate(body)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        request_model(CompletionRequest, load_version("1.2.1")).model_validate(body)


def test_tools_are_chosen_automatically() -> None:
    tools = [{"type": "function", "function": {"name": "a"}}]
    body: dict[str, Any] = {"model": "m", "messages": []}
    assert ChatRequest.model_validate(body).tool_choice == "none"
    assert ChatRequest.model_validate({**body, "tools": tools}).tool_choice == "auto"
    assert ChatRequest.model_validate({**body, "tools": tools, "tool_choice": "none"}).tool_choice == "none"


TEMPLATE = "{{ bos_token }}{% for m in messages %}\n{{ m.role }}: {{ m.content }}{% endfor %}{{ tools | tojson }}"


def test_a_template_sees_messages_as_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": None}]
    assert render(TEMPLATE, messages, {"bos_token": "<s>", "tools": [{"ä": 1}]}) == (
        '<s>user: a\nb\ncassistant: [{"ä": 1}]'
    )


@pytest.mark.parametrize(
    ("template", "message", "error", "words"),
    [
        (None, {"role": "user"}, ValueError, NO_TEMPLATE[:40]),
        ("{{ raise_exception('roles must alternate') }}", {"role": "user"}, TemplateError, "roles must alternate"),
        ("{{ messages.__class__.__mro__ }}", {"role": "user"}, SecurityError, "unsafe"),
        ("x", {"content": "x"}, ValueError, "a message has no role"),
        ("x", {"role": "user", "content": [{"type": "image_url"}]}, ValueError, "needs a multimodal model"),
    ],
)
def test_a_template_or_message_that_does_not_work_is_an_error(
    template: str | None, message: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        render(template, [message], {})


def test_a_template_is_found_in_its_places(tmp_path: Path) -> None:
    assert read_template(tmp_path, None) is None
    config = {
        "chat_template": "of the tokenizer",
        "bos_token": {"content": "<s>"},
        "eos_token": "</s>",
        "pad_token": None,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_template(tmp_path, None) == "of the tokenizer"
    (tmp_path / "chat_template.jinja").write_text("of its file", encoding="utf-8")
    assert read_template(tmp_path, None) == "of its file"
    (tmp_path / "given").write_text("of the option", encoding="utf-8")
    assert read_template(tmp_path, str(tmp_path / "given")) == "of the option"
    assert read_template(tmp_path, "{{ text }}") == "{{ text }}"
    assert special_tokens(tmp_path) == {"bos_token": "<s>", "eos_token": "</s>"}
