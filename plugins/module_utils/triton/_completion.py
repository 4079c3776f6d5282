# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One completion from a Triton server, with its number of tokens."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import TritonClient


@dataclass(frozen=True)
class Request:
    model: str
    prompt: str
    max_tokens: int
    stream: bool = False
    parameters: t.Mapping[str, t.Any] = field(default_factory=dict)
    text_input_field: str = "text_input"
    text_output_field: str = "text_output"
    max_tokens_field: str = "max_tokens"

    def body(self, inputs: t.Container[str]) -> dict[str, t.Any]:
        """The fields of the request: those that upstream's client sends, if the model has inputs for them."""
        usual = {"bad_words": "", "stop_words": "", "return_log_probs": True}
        if self.stream:
            usual.update({"stream": True, "streaming": True})
        return {
            **{name: value for name, value in usual.items() if name in inputs},
            self.text_input_field: self.prompt,
            self.max_tokens_field: self.max_tokens,
            **self.parameters,
        }


@dataclass
class Completion:
    text: str
    tokens: int
    counted_by: str
    latency_seconds: float
    first_token_seconds: float | None
    events: int
    response: dict[str, t.Any]

    @property
    def tokens_per_second(self) -> float | None:
        """None if the number of tokens is only an estimate."""
        if self.counted_by == "words" or not self.latency_seconds:
            return None
        return round(self.tokens / self.latency_seconds, 2)


def complete(client: TritonClient, request: Request) -> Completion:
    inputs = [str(tensor["name"]) for tensor in client.metadata(request.model).get("inputs", [])]
    _check_inputs(request, inputs)
    started = time.monotonic()
    first: float | None = None
    events = []
    for event in _events(client, request, request.body(inputs)):
        if first is None:
            first = time.monotonic() - started
        events.append(event)
    latency = time.monotonic() - started
    text = _joined([_text_of(event.get(request.text_output_field)) for event in events])
    tokens, counted_by = _count(events, request, text)
    return Completion(
        text=text,
        tokens=tokens,
        counted_by=counted_by,
        latency_seconds=round(latency, 3),
        first_token_seconds=round(first, 3) if request.stream and first is not None else None,
        events=len(events),
        response=events[-1] if events else {},
    )


def _check_inputs(request: Request, inputs: t.Sequence[str]) -> None:
    # The server silently treats an unknown field as a parameter of the request.
    wanted = {"text_input_field": request.text_input_field, "max_tokens_field": request.max_tokens_field}
    wrong = [f"{option} is '{name}'" for option, name in wanted.items() if name not in inputs]
    if wrong:
        raise ModuleFailure(
            f"model {request.model} has no such input: {', '.join(wrong)}; its inputs are {', '.join(inputs)}"
        )


def _events(client: TritonClient, request: Request, body: t.Mapping[str, t.Any]) -> t.Iterable[dict[str, t.Any]]:
    if request.stream:
        return client.generate_stream(request.model, body)
    return [client.generate(request.model, body)]


def _text_of(output: t.Any) -> str:
    """Triton returns a tensor of one element as that element, any other as a list."""
    if isinstance(output, list):
        output = output[0] if output else ""
    return str(output or "")


def _is_cumulative(parts: t.Sequence[t.Any]) -> bool:
    """Whether each part contains the previous one, as some models stream."""
    return all(len(new) > len(old) and new[: len(old)] == old for old, new in zip(parts, parts[1:]))


def _joined(texts: t.Sequence[str]) -> str:
    return texts[-1] if texts and _is_cumulative(texts) else "".join(texts)


def _count(events: t.Sequence[t.Mapping[str, t.Any]], request: Request, text: str) -> tuple[int, str]:
    if events and all("output_log_probs" in event for event in events):
        log_probs = [_listed(event["output_log_probs"]) for event in events]
        return (len(log_probs[-1]) if _is_cumulative(log_probs) else sum(map(len, log_probs))), "log_probs"
    if request.stream:
        return sum(1 for event in events if _text_of(event.get(request.text_output_field))), "events"
    # The output may begin with the prompt. A word is at least one token.
    answer = text[len(request.prompt) :] if text.startswith(request.prompt) else text
    return len(answer.split()), "words"


def _listed(output: t.Any) -> list[t.Any]:
    return output if isinstance(output, list) else [output]
