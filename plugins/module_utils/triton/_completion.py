# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One completion from a Triton server, with its number of tokens."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field
from itertools import accumulate

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._answer import (
    REPLACEMENT,
    common_length,
    new_text,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import TritonClient

LOG_PROBS, EVENTS, WORDS = "log_probs", "events", "words"


@dataclass(frozen=True)
class Request:
    model: str
    prompt: str
    max_tokens: int
    stream: bool = False
    deterministic: bool = False
    parameters: t.Mapping[str, t.Any] = field(default_factory=dict)
    text_input_field: str = "text_input"
    text_output_field: str = "text_output"
    max_tokens_field: str = "max_tokens"

    def body(self, inputs: t.Container[str]) -> dict[str, t.Any]:
        """The fields of the request: those that upstream's client sends, if the model has inputs for them."""
        usual: dict[str, t.Any] = {"bad_words": "", "stop_words": "", "return_log_probs": True}
        if self.stream:
            usual.update({"stream": True, "streaming": True})
        if self.deterministic:
            usual.update(dict.fromkeys(("top_k", "sampling_param_top_k"), 1))
        return {
            **{name: value for name, value in usual.items() if name in inputs},
            self.text_input_field: self.prompt,
            self.max_tokens_field: self.max_tokens,
            **self.parameters,
        }


@dataclass
class Completion:
    parts: list[str]  # the new text of each event
    tokens: int
    counted_by: str
    cut: bool  # whether it may have ended at the maximum number of tokens
    latency_seconds: float
    first_token_seconds: float | None
    response: dict[str, t.Any]

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def events(self) -> int:
        return len(self.parts)

    @property
    def tokens_per_second(self) -> float | None:
        """None if the number of tokens is only an estimate."""
        if self.counted_by == WORDS or not self.latency_seconds:
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
    parts = _new_parts([_text_of(event.get(request.text_output_field)) for event in events])
    tokens, counted_by = _count(events, request, parts)
    limit = request.parameters.get(request.max_tokens_field, request.max_tokens)
    return Completion(
        parts=parts,
        tokens=tokens,
        counted_by=counted_by,
        cut=counted_by == WORDS or max(tokens, len(events)) >= limit,
        latency_seconds=round(latency, 3),
        first_token_seconds=round(first, 3) if request.stream and first is not None else None,
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
    """The first text, which is that of the best beam."""
    return str((_listed(output) or [""])[0] or "")


def _new_parts(texts: t.Sequence[str]) -> list[str]:
    """The new text of each event. The texts of some models begin with the previous ones."""
    # The bytes of a character can be in several tokens, and become replacement characters until the last one arrives.
    pairs = [(before.rstrip(REPLACEMENT), after) for before, after in zip(texts, texts[1:])]
    longer = sum(after.startswith(before) and len(after) > len(before) > 0 for before, after in pairs)
    # Not in all: the last token can have no text, and a tokenizer can remove the space before a token.
    if not longer or 2 * longer < len(pairs):
        return list(texts)
    whole = [text for text in texts if text][-1]
    ends = [0, *accumulate((common_length(text, whole) for text in texts), max)]
    return [whole[start:end] for start, end in zip(ends, ends[1:])]


def _count(events: t.Sequence[t.Mapping[str, t.Any]], request: Request, parts: t.Sequence[str]) -> tuple[int, str]:
    log_probs = [_listed(event.get("output_log_probs")) for event in events]
    # Some versions return zeros that no token belongs to.
    if log_probs and all(log_probs) and any(map(any, log_probs)):
        return (len(log_probs[-1]) if _is_cumulative(log_probs) else sum(map(len, log_probs))), LOG_PROBS
    if request.stream:
        return sum(map(bool, parts)), EVENTS
    # A word is at least one token.
    return len(new_text(request.prompt, "".join(parts)).split()), WORDS


def _is_cumulative(lists: t.Sequence[list[t.Any]]) -> bool:
    return all(len(new) > len(old) and new[: len(old)] == old for old, new in zip(lists, lists[1:]))


def _listed(output: t.Any) -> list[t.Any]:
    """A tensor of one element, which Triton returns as that element, as a list, too."""
    return output if isinstance(output, list) else [] if output is None else [output]
