# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The configuration of the load generator (aiperf), and the figures in its results. Without I/O."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone
from urllib.parse import urlsplit

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

OPENAI, TRITON = "openai", "triton"
# The generator would evaluate these in its configuration.
EVALUATED = ("${", "{{", "{%", "{#")
GRACE_SECONDS = 30
START_SECONDS = 90
MOST_ERRORS = 5
LONGEST_ERROR = 500


@dataclass(frozen=True)
class Target:
    """The server. `exact`: every answer can be made to have exactly the requested number of tokens."""

    url: str
    api: str
    model: str
    stream: bool
    exact: bool
    max_tokens_field: str = "max_tokens"
    key: str = ""


@dataclass(frozen=True)
class Load:
    """The requests. `each`: how many for each request at once; `seconds`: after which no more are sent.

    `objective`: the most seconds until the first token, between tokens and from end to end, as far as they are set.
    """

    prompt_tokens: int
    answer_tokens: int
    tokenizer: str
    dataset: str = ""
    each: int = 8
    seconds: int = 120
    objective: t.Mapping[str, float] = field(default_factory=dict)

    def requests(self, at_once: int) -> int:
        return at_once * self.each

    @property
    def longest(self) -> int:
        """Seconds after which a generator that is still running hangs: requests to warm up, and those that count."""
        return 2 * (self.seconds + GRACE_SECONDS) + START_SECONDS


def check_literal(**texts: str) -> None:
    """ModuleFailure if the generator would not take a text literally. The text is not shown, as it can be a secret."""
    for name, text in texts.items():
        if any(mark in text for mark in EVALUATED):
            raise ModuleFailure(f"{name}: contains {' or '.join(EVALUATED)}, which the load generator would evaluate")


def objective_fault(objective: t.Iterable[str], stream: bool, answer_tokens: int) -> str:
    """Why the objective cannot be checked; empty if it can. The generator would hang instead of saying so."""
    if not stream and {"first_token", "between_tokens"} & set(objective):
        return "objective: the answers are not streamed, so only end_to_end can be set"
    if answer_tokens < 2 and "between_tokens" in objective:
        return "objective: an answer of one token has no time between tokens: set more answer_tokens"
    return ""


def template_of(target: Target) -> str:
    """The body of a request to Triton, in the template language of the generator."""
    fields = {"text_input": "{{ text|tojson }}", target.max_tokens_field: "{{ max_tokens }}"}
    if target.exact:
        # The name depends on the version; Triton ignores fields that are no inputs of the model.
        fields.update({"min_tokens": "{{ max_tokens }}", "min_length": "{{ max_tokens }}"})
        fields.update({"bad_words": '""', "stop_words": '""'})
    else:
        fields["sampling_param_exclude_input_from_output"] = "true"
    if target.stream:
        fields["stream"] = "true"
    return "{{{}}}\n".format(", ".join(f'"{name}": {value}' for name, value in fields.items()))


def config_of(target: Target, load: Load, at_once: int, folder: str) -> dict[str, t.Any]:
    """`folder`: for the results of the generator; `<folder>.template` is the body of a request to Triton."""
    phase = {
        "type": "concurrency",
        "concurrency": at_once,
        "duration": load.seconds,
        "gracePeriod": GRACE_SECONDS,
    }
    slos = _slos(target, load)
    return {
        "schemaVersion": "2.0",
        "randomSeed": 1,
        "benchmark": {
            "model": target.model,
            "endpoint": _endpoint(target, load, folder),
            "tokenizer": {"name": load.tokenizer},
            "dataset": _dataset(load, at_once),
            "phases": [
                {"name": "warmup", "requests": at_once, "excludeFromResults": True, **phase},
                {"name": "profiling", "requests": load.requests(at_once), **phase},
            ],
            **({"slos": slos} if slos else {}),
            "artifacts": {"dir": folder, "summary": ["json"], "records": ["jsonl"]},
            "gpuTelemetry": {"enabled": False},
            "serverMetrics": {"enabled": False},
        },
    }


def _endpoint(target: Target, load: Load, folder: str) -> dict[str, t.Any]:
    parts = urlsplit(target.url)
    endpoint: dict[str, t.Any] = {
        "url": f"{parts.scheme}://{parts.netloc}",
        "streaming": target.stream,
        "timeout": load.seconds + GRACE_SECONDS,
    }
    if target.key:
        endpoint["apiKey"] = target.key
    prefix = parts.path.rstrip("/")
    if target.api == OPENAI:
        return {
            **endpoint,
            "type": "completions",
            "path": f"{prefix}/v1/completions",
            # The server knows how many tokens it generated.
            "useServerTokenCount": True,
            "useLegacyMaxTokens": True,
            "extra": {"ignore_eos": True},
        }
    verb = "generate_stream" if target.stream else "generate"
    return {
        **endpoint,
        "type": "template",
        "path": f"{prefix}/v2/models/{target.model}/{verb}",
        "template": {"body": f"{folder}.template", "responseField": "text_output"},
    }


def _dataset(load: Load, at_once: int) -> dict[str, t.Any]:
    lengths = {"osl": {"mean": load.answer_tokens, "stddev": 0}}
    if load.dataset:
        return {"type": "file", "path": load.dataset, "format": "single_turn", "defaults": lengths}
    prompts = {"isl": {"mean": load.prompt_tokens, "stddev": 0}, **lengths}
    # Every prompt is another one, so that the KV cache of one is of no use for the next.
    return {"type": "synthetic", "entries": load.requests(at_once) + at_once, "prompts": prompts}


def _slos(target: Target, load: Load) -> dict[str, float]:
    """In milliseconds, by the generator's names."""
    names = {"first_token": "time_to_first_token", "end_to_end": "request_latency"}
    names["between_tokens"] = "decode_duration" if _counts_itself(target) else "inter_token_latency"
    factors = {"between_tokens": load.answer_tokens - 1 if _counts_itself(target) else 1}
    return {names[name]: most * 1000 * factors.get(name, 1) for name, most in load.objective.items()}


def _counts_itself(target: Target) -> bool:
    """Whether the number of tokens is the requested one, because the generator would count those of the texts.

    The ensemble decodes each token of a stream alone, which loses spaces, and repeats the prompt without a stream.
    """
    return target.api == TRITON and target.exact


# --- results ----------------------------------------------------------------------------------------------------------


def level_of(found: t.Mapping[str, t.Any], target: Target, load: Load, at_once: int) -> dict[str, t.Any]:
    """The figures of a number of requests at once, in seconds; ModuleFailure if no request was answered."""
    errors = [_error(entry) for entry in found.get("error_summary") or ()][:MOST_ERRORS]
    answered = int(_mean(found, "request_count") or 0)
    seconds = _mean(found, "benchmark_duration")
    if not answered or not seconds:
        raise ModuleFailure(
            f"no request was answered with {at_once} at once: {'; '.join(errors) or 'the generator does not say why'}"
        )
    sent = int(_mean(found, "completed_request_count") or answered)
    tokens = float(load.answer_tokens) if _counts_itself(target) else _mean(found, "output_sequence_length")
    if not tokens:
        raise ModuleFailure(f"the answers with {at_once} requests at once have no tokens that can be counted")
    good = _mean(found, "good_request_count")
    return {
        "at_once": at_once,
        "generator": f"aiperf {found.get('aiperf_version', '')}".strip(),
        "answered": answered,
        "failed": sent - answered,
        "errors": errors,
        "started": _moment(found, "start_time"),
        "ended": _moment(found, "end_time"),
        "seconds": seconds,
        "prompt_tokens": _mean(found, "input_sequence_length") or (None if load.dataset else float(load.prompt_tokens)),
        "answer_tokens": tokens,
        "requests_per_second": answered / seconds,
        "tokens_per_second": answered * tokens / seconds,
        "first_token": _times(found, "time_to_first_token") if target.stream else None,
        "between_tokens": _between(found, target, load) if target.stream else None,
        "end_to_end": _times(found, "request_latency"),
        "good_per_second": None if good is None or not load.objective else good / seconds,
        "good_fraction": None if good is None or not load.objective else good / sent,
    }


def _between(found: t.Mapping[str, t.Any], target: Target, load: Load) -> dict[str, float] | None:
    if load.answer_tokens < 2:
        return None
    if _counts_itself(target):
        return _times(found, "decode_duration", load.answer_tokens - 1)
    return _times(found, "inter_token_latency")


def _moment(found: t.Mapping[str, t.Any], name: str) -> float | None:
    """Seconds since 1970. The generator writes the time of its time zone, which is UTC."""
    try:
        return datetime.fromisoformat(found[name]).replace(tzinfo=timezone.utc).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _mean(found: t.Mapping[str, t.Any], name: str) -> float | None:
    value = (found.get(name) or {}).get("avg")
    return None if value is None else float(value)


def _times(found: t.Mapping[str, t.Any], name: str, parts: int = 1) -> dict[str, float] | None:
    """From the generator's milliseconds."""
    metric = found.get(name) or {}
    names = {"mean": "avg", "p50": "p50", "p90": "p90", "p99": "p99"}
    if any(theirs not in metric for theirs in names.values()):
        return None
    return {ours: metric[theirs] / 1000 / parts for ours, theirs in names.items()}


def _error(entry: t.Mapping[str, t.Any]) -> str:
    return f"{entry.get('count', 1)} x {error_text(entry.get('error_details') or {}) or 'unknown error'}"


def error_text(details: t.Mapping[str, t.Any]) -> str:
    words = " ".join(str(details[name]) for name in ("code", "type", "message") if details.get(name))
    return words[:LONGEST_ERROR]
