# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models answer as upstream's: names, types and shapes of outputs, error texts, and metrics.

The expectations are facts about upstream's models in 0.9.0 and 1.2.1.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_triton
import numpy as np
import pytest
from filled_templates import BACKEND, filled

PROMPT = [65, 66, 67]
LENGTH = 4
ALL = ("return_log_probs", "return_context_logits", "return_generation_logits")
COUNTS = ("return_num_input_tokens", "return_num_output_tokens")
VOCAB = 258
FLOAT, INT, LONG = "float32", "int32", "int64"

fake_triton.install(BACKEND / "all_models/llmapi/tensorrt_llm/1")

from trtllm_cpu import release, serving  # noqa: E402 (they import what was just installed)
from trtllm_cpu.tools import convert_checkpoint, trtllm_build  # noqa: E402


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Where the engine and the tokenizer are; filled once."""
    return SimpleNamespace(root=tmp_path_factory.mktemp("models"), engine=None)


@pytest.fixture
def built(folders: Any, snapshot: Callable[..., Path], tokenizer_in: Callable[[Path], Path]) -> Any:
    if folders.engine is None:
        folders.tokenizer = tokenizer_in(snapshot(vocab_size=VOCAB))
        checkpoint, engine = folders.root / "checkpoint", folders.root / "engine"
        convert_checkpoint(["--model_dir", str(folders.tokenizer), "--output_dir", str(checkpoint)])
        options = ["--gather_context_logits", "--gather_generation_logits", "--max_batch_size", "2"]
        trtllm_build(["--checkpoint_dir", str(checkpoint), "--output_dir", str(engine), *options])
        folders.engine = engine
    return folders


class Repository:
    """The models of a version, with one transaction policy."""

    def __init__(self, version: str, decoupled: bool, built: Any):
        self._version = version
        self._values = {"decoupled": decoupled, "engine": str(built.engine), "tokenizer": str(built.tokenizer)}
        self._configs: dict[str, Any] = {}
        fake_triton.served.clear()

    def close(self) -> None:
        if "tensorrt_llm" in fake_triton.served:
            fake_triton.served["tensorrt_llm"].finalize()

    def config(self, name: str) -> Any:
        if name not in self._configs:
            self._configs[name] = fake_triton.read_config(filled(self._version, name, **self._values))
        return self._configs[name]

    def load(self, name: str) -> Any:
        if name not in fake_triton.served:
            model = fake_triton.load(BACKEND / "all_models/models" / name / "1/model.py")
            arguments = {"model_config": json.dumps(self.config(name))}
            model.initialize({**arguments, "model_name": name, "model_version": "1"})
            fake_triton.served[name] = model
        return fake_triton.served[name]

    def ask(self, name: str, arrays: Mapping[str, Any], **options: Any) -> list[Any]:
        request = fake_triton.make_request(self.config(name), arrays, **options)
        return fake_triton.answer(self.load(name), request)

    def error(self, name: str, arrays: Mapping[str, Any], **options: Any) -> str:
        [response] = self.ask(name, arrays, **options)
        assert response.has_error()
        text: str = response.error().message()
        return text


@pytest.fixture
def repository(built: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Repository]]:
    made: list[Repository] = []
    load_tables = release.load_tables

    def make(version: str, decoupled: bool = False) -> Repository:
        tables = load_tables(version)
        monkeypatch.setattr(release, "load_tables", lambda: tables)
        monkeypatch.setattr(serving, "load_tables", lambda: tables)
        # it would kill the process that runs the tests
        monkeypatch.setattr(serving, "tie_to_server", lambda: SimpleNamespace(communicate=lambda _line: None))
        made.append(Repository(version, decoupled, built))
        return made[-1]

    yield make
    for repository in made:
        repository.close()


def tokens(rows: int = 1, **changes: Any) -> dict[str, Any]:
    """Inputs of the tensorrt_llm model."""
    inputs = {"input_ids": [PROMPT], "input_lengths": [[len(PROMPT)]], "request_output_len": [[LENGTH]]}
    return {name: value * rows for name, value in {**inputs, **changes}.items()}


def flags(*names: str) -> dict[str, Any]:
    return {name: [[True]] for name in names}


def shapes(response: Any) -> dict[str, tuple[Any, ...]]:
    return {name: (str(array.dtype), *array.shape) for name, array in response.arrays().items()}


WHOLE = len(PROMPT) + LENGTH
TOKENS = {"output_ids": (INT, 1, 1, WHOLE), "sequence_length": (INT, 1, 1)}
PROBABILITIES = {"cum_log_probs": (FLOAT, 1, 1), "output_log_probs": (FLOAT, 1, 1, LENGTH)}
PERFORMANCE = {
    "kv_cache_alloc_new_blocks": (INT, 1, 1),
    "kv_cache_reused_blocks": (INT, 1, 1),
    "kv_cache_alloc_total_blocks": (INT, 1, 1),
    "arrival_time_ns": (LONG, 1, 1),
    "first_scheduled_time_ns": (LONG, 1, 1),
    "first_token_time_ns": (LONG, 1, 1),
    "last_token_time_ns": (LONG, 1, 1),
    "acceptance_rate": (FLOAT, 1, 1),
    "total_accepted_draft_tokens": (INT, 1, 1),
    "total_draft_tokens": (INT, 1, 1),
}


@pytest.mark.parametrize(
    ("version", "asked", "expected"),
    [
        ("1.2.1", (), TOKENS),
        ("1.2.1", ("return_log_probs",), {**TOKENS, **PROBABILITIES}),
        (
            "1.2.1",
            (*ALL, *COUNTS, "return_perf_metrics"),
            {
                **TOKENS,
                **PROBABILITIES,
                "context_logits": (FLOAT, 1, len(PROMPT), VOCAB),
                "generation_logits": (FLOAT, 1, 1, LENGTH, VOCAB),
                "num_input_tokens": (INT, 1, 1),
                "num_output_tokens": (INT, 1, 1),
                **PERFORMANCE,
            },
        ),
        (
            "0.9.0",
            (),
            {**TOKENS, **PROBABILITIES, "context_logits": (FLOAT, 1, 1, 1), "generation_logits": (FLOAT, 1, 1, 1, 1)},
        ),
        (
            "0.9.0",
            ALL,
            {
                **TOKENS,
                **PROBABILITIES,
                "context_logits": (FLOAT, 1, len(PROMPT), VOCAB),
                "generation_logits": (FLOAT, 1, 1, LENGTH, VOCAB),
            },
        ),
    ],
)
@pytest.mark.parametrize("decoupled", [False, True])
def test_an_answer_has_the_outputs_of_the_version(
    repository: Callable[..., Repository], version: str, asked: tuple[str, ...], expected: Any, decoupled: bool
) -> None:
    [response] = repository(version, decoupled).ask("tensorrt_llm", tokens(**flags(*asked)))
    assert shapes(response) == expected


@pytest.mark.parametrize("version", ["0.9.0", "1.2.1"])
def test_log_probs_that_nobody_asked_for_are_zero_or_missing(
    repository: Callable[..., Repository], version: str
) -> None:
    [response] = repository(version).ask("tensorrt_llm", tokens())
    found = response.arrays().get("output_log_probs")
    assert found is None if version == "1.2.1" else not found.any()


@pytest.mark.parametrize(("version", "lengths"), [("0.9.0", [1, 1, 1, 1]), ("1.2.1", [1, 2, 3, 4])])
def test_a_stream_has_one_token_per_response(
    repository: Callable[..., Repository], version: str, lengths: list[int]
) -> None:
    """Later versions repeat the log probabilities of earlier responses."""
    models = repository(version, decoupled=True)
    events = models.ask("tensorrt_llm", tokens(**flags("streaming", "return_log_probs", "return_generation_logits")))
    assert [shapes(event)["output_ids"] for event in events] == [(INT, 1, 1, 1)] * LENGTH
    assert [event.arrays()["output_log_probs"].shape[2] for event in events] == lengths
    assert {shapes(event)["generation_logits"] for event in events} == {(FLOAT, 1, 1, 1, VOCAB)}
    [whole] = models.ask("tensorrt_llm", tokens(exclude_input_in_output=[[True]]) if version == "1.2.1" else tokens())
    streamed = np.concatenate([event.arrays()["output_ids"] for event in events], axis=2)
    assert whole.arrays()["output_ids"][0, 0, -LENGTH:].tolist() == streamed[0, 0].tolist()


def test_tokens_are_counted_per_response(repository: Callable[..., Repository]) -> None:
    models = repository("1.2.1", decoupled=True)
    events = models.ask("tensorrt_llm", tokens(**flags("streaming", *COUNTS)))
    assert {int(event.arrays()["num_output_tokens"][0, 0]) for event in events} == {1}
    [whole] = models.ask("tensorrt_llm", tokens(**flags(*COUNTS)))
    # the prompt is part of the output
    assert whole.arrays()["num_output_tokens"] == WHOLE and whole.arrays()["num_input_tokens"] == len(PROMPT)


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_of_a_batch_are_answered_separately(repository: Callable[..., Repository], streaming: bool) -> None:
    models = repository("1.2.1", decoupled=True)
    padded = {"input_ids": [[65, 66, 67], [70, 0, 0]], "input_lengths": [[3], [1]], "request_output_len": [[2], [3]]}
    responses = models.ask("tensorrt_llm", {**padded, "streaming": [[streaming]] * 2})
    answers: dict[int, list[int]] = {0: [], 1: []}
    for response in responses:
        arrays = response.arrays()
        assert shapes(response)["batch_index"] == (INT, 1, 1) and "sequence_index" not in arrays
        answers[int(arrays["batch_index"][0, 0])] += arrays["output_ids"][0, 0].tolist()
    repeated = (3, 1) if not streaming else (0, 0)
    assert [len(answers[0]), len(answers[1])] == [repeated[0] + 2, repeated[1] + 3]
    for row, (prompt, count) in enumerate((([65, 66, 67], 2), ([70], 3))):
        inputs = {"input_ids": [prompt], "input_lengths": [[len(prompt)]], "request_output_len": [[count]]}
        [alone] = models.ask("tensorrt_llm", inputs)
        assert answers[row][-count:] == alone.arrays()["output_ids"][0, 0, -count:].tolist()


def test_several_sequences_of_a_prompt_have_an_index_and_own_seeds(repository: Callable[..., Repository]) -> None:
    models = repository("1.2.1", decoupled=True)
    sampled = {"temperature": [[5.0]], "runtime_top_k": [[50]], "seed": [[3]]}
    responses = models.ask("tensorrt_llm", tokens(num_return_sequences=[[3]], **sampled))
    assert sorted(int(response.arrays()["sequence_index"][0, 0]) for response in responses) == [0, 1, 2]
    assert len({tuple(response.arrays()["output_ids"][0, 0]) for response in responses}) == 3
    first = next(response for response in responses if response.arrays()["sequence_index"] == 0)
    [alone] = models.ask("tensorrt_llm", tokens(**sampled))
    assert first.arrays()["output_ids"].tolist() == alone.arrays()["output_ids"].tolist()


OLD_PREFIX, NEW_PREFIX = "Encountered error for requestId 1: ", "Executor failed process requestId 1 due to the "
NEW_PREFIX += "following error: "
FETCHING = "Encountered an error when fetching new request: "
ASSERTION = "[TensorRT-LLM][ERROR] Assertion failed: "
LONG = {"input_ids": [[65] * 99], "input_lengths": [[99]]}
TOO_LONG = (
    "Prompt length (99) exceeds maximum input length (63). Set log level to info and check TRTGptModel logs for how "
    "maximum input length is set"
)


@pytest.mark.parametrize(
    ("version", "changes", "text"),
    [
        ("0.9.0", flags("streaming"), "Streaming is only supported if model is deployed using decoupled mode."),
        ("1.2.1", flags("streaming"), "Streaming is only supported if model is deployed using decoupled mode."),
        ("1.2.1", {"request_output_len": [[0]]}, f"{ASSERTION}mMaxNewTokens > 0"),
        ("1.2.1", {"input_lengths": [[0]]}, f"{ASSERTION}!mInputTokenIds.empty()"),
        ("1.2.1", {"beam_width": [[0]]}, f"{ASSERTION}beamWidth > 0"),
        ("1.2.1", {"runtime_top_k": [[-1]]}, f"{ASSERTION}topK.value() >= 0"),
        ("1.2.1", {"runtime_top_p": [[1.5]]}, f"{ASSERTION}topP.value() <= 1.f"),
        ("1.2.1", {"temperature": [[-0.5]]}, f"{ASSERTION}temperature.value() >= 0.f"),
        ("1.2.1", {"repetition_penalty": [[0]]}, f"{ASSERTION}repetitionpenalty.value() > 0.f"),
        ("1.2.1", {"num_return_sequences": [[0]]}, f"{ASSERTION}numReturnSequences.value() > 0"),
        ("0.9.0", LONG, f"{OLD_PREFIX}{FETCHING}{TOO_LONG}"),
        ("1.2.1", LONG, f"{NEW_PREFIX}{FETCHING}{TOO_LONG}"),
        (
            "1.2.1",
            {"end_id": [[VOCAB]]},
            f"{NEW_PREFIX}{FETCHING}{ASSERTION}EndId (258) is not within acceptable range [-1, 258).",
        ),
        (
            "0.9.0",
            {"beam_width": [[2]]},
            f"{OLD_PREFIX}{FETCHING}{ASSERTION}Request with beam width 2 differs from the max beam width 1",
        ),
        (
            "1.2.1",
            {"beam_width": [[3]]},
            f"{NEW_PREFIX}Encountered an error in forwardAsync function: {ASSERTION}Requested beam width 3 is larger "
            "than configured max beam width 1",
        ),
    ],
)
def test_errors_have_upstreams_texts(
    repository: Callable[..., Repository], version: str, changes: dict[str, Any], text: str
) -> None:
    assert repository(version).error("tensorrt_llm", tokens(**changes)) == text


def test_a_batch_needs_a_decoupled_model(repository: Callable[..., Repository]) -> None:
    text = "Batch size > 1 requires the tensorrt_llm backend to be using decoupled transaction policy"
    assert repository("1.2.1").error("tensorrt_llm", tokens(rows=2)) == text


def test_one_bad_row_does_not_spoil_the_others(repository: Callable[..., Repository]) -> None:
    models = repository("1.2.1", decoupled=True)
    responses = models.ask("tensorrt_llm", {**tokens(rows=2), "end_id": [[-1], [999]]})
    assert sorted(response.has_error() for response in responses) == [False, True]


def test_both_outputs_with_tokens_must_be_requested(repository: Callable[..., Repository]) -> None:
    text = "sequence_length tensor must be present in list of output tensors"
    found = repository("1.2.1").error("tensorrt_llm", tokens(), outputs=["output_ids"])
    assert found == f"Error encountered while populating response: {text}"


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("0.9.0", "Cannot send stop request without specifying a request_id"),
        ("1.2.1", "Trying to stop a request but request ID is not provided"),
    ],
)
def test_a_stop_request_ends_the_request_with_its_id(
    repository: Callable[..., Repository], version: str, text: str
) -> None:
    models = repository(version, decoupled=True)
    config, llm = models.config("tensorrt_llm"), models.load("tensorrt_llm")
    running = fake_triton.make_request(config, tokens(**flags("streaming"), request_output_len=[[55]]), request_id="7")
    stop = tokens(stop=[[True]])
    send = running.sender.send

    def stop_and_send(*arguments: Any, **keywords: Any) -> None:
        if not running.sender.responses:
            [stopped] = models.ask("tensorrt_llm", stop, request_id="7")
            assert stopped.arrays() == {}
        send(*arguments, **keywords)

    running.sender.send = stop_and_send  # type: ignore[method-assign]
    assert not any(response.has_error() for response in fake_triton.answer(llm, running))
    assert len(running.sender.responses) < 55
    assert models.error("tensorrt_llm", stop) == text


def test_only_old_versions_complain_about_a_stop_request_without_a_request(
    repository: Callable[..., Repository],
) -> None:
    stop = tokens(stop=[[True]])
    text = "Received stop request for requestId 9 but it's not active (might be completed already)."
    assert repository("0.9.0").error("tensorrt_llm", stop, request_id="9") == text
    [response] = repository("1.2.1").ask("tensorrt_llm", stop, request_id="9")
    assert response.arrays() == {}


def label_sets(version: str) -> dict[str, tuple[str, str, list[str]]]:
    """Kind, label and values of upstream's metrics."""
    late = version == "1.2.1"
    batcher = ["generation_requests", "micro_batch_id", "paused_requests", "total_context_tokens"]
    found = {
        "nv_trt_llm_request_metrics": (
            "gauge",
            "request_type",
            ["active", "context", "max", "scheduled", *(["waiting"] if late else [])],
        ),
        "nv_trt_llm_runtime_memory_metrics": ("gauge", "memory_type", ["cpu", "gpu", "pinned"]),
        "nv_trt_llm_kv_cache_block_metrics": (
            "gauge",
            "kv_cache_block_type",
            sorted(["free", "max", "tokens_per", "used", *(["fraction", "reused"] if late else [])]),
        ),
        "nv_trt_llm_inflight_batcher_metrics": ("gauge", "inflight_batcher_specific_metric", batcher),
        "nv_trt_llm_general_metrics": ("gauge", "general_type", ["iteration_counter", "timestamp"]),
    }
    if late:
        served = ("counter", "disaggregated_serving_type", ["kv_cache_transfer_ms", "request_count"])
        found["nv_trt_llm_disaggregated_serving_metrics"] = served
        for kind in ("input", "output"):
            found[f"nv_llm_{kind}_token_len"] = ("histogram", "response_metric_type", [f"total_{kind}_tokens"])
    return found


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fake_triton.MetricFamily, "created", {})
    return fake_triton.MetricFamily.created


def metric(families: Any, name: str, value: str) -> Any:
    [found] = [item for item in families[name].metrics if value in item.labels.values()]
    return found


@pytest.mark.parametrize("version", ["0.9.0", "1.2.1"])
def test_metrics_have_upstreams_names_labels_and_kinds(
    repository: Callable[..., Repository], families: Any, version: str
) -> None:
    repository(version).load("tensorrt_llm")
    found = {}
    for name, family in families.items():
        [label] = {key for item in family.metrics for key in item.labels} - {"model", "version"}
        found[name] = family.kind, label, sorted(item.labels[label] for item in family.metrics)
        assert {(item.labels["model"], item.labels["version"]) for item in family.metrics} == {("tensorrt_llm", "1")}
    assert found == label_sets(version)
    assert all(item.buckets == [10, 50, 100, 500, 1000] for item in histograms(families))


def histograms(families: Any) -> list[Any]:
    return [item for family in families.values() for item in family.metrics if family.kind == "histogram"]


def test_metrics_follow_the_requests(
    repository: Callable[..., Repository], families: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # every step is shown
    monkeypatch.setattr("trtllm_cpu.metrics.PERIOD", 1000)
    models = repository("1.2.1", decoupled=True)
    llm = models.load("tensorrt_llm")
    step, shown = llm._generator._network.step, itertools.count()

    def show(*arguments: Any) -> Any:
        found = step(*arguments)
        llm._reporter.show(llm._generator._network.figures)
        next(shown)
        return found

    monkeypatch.setattr(llm._generator._network, "step", show)
    models.ask("tensorrt_llm", {**tokens(rows=3), "exclude_input_in_output": [[True], [False], [True]]})
    llm._generator.close()
    llm._thread.join()
    name = "nv_trt_llm_request_metrics"
    # the batch has room for two
    assert max(metric(families, name, "active").values) == 3 and metric(families, name, "max").values[-1] == 2
    assert max(metric(families, name, "scheduled").values) == 2 and max(metric(families, name, "waiting").values) == 1
    name = "nv_trt_llm_kv_cache_block_metrics"
    assert metric(families, name, "max").values[-1] == 4 and metric(families, name, "tokens_per").values[-1] == 32
    assert max(metric(families, name, "used").values) == 2 and max(metric(families, name, "fraction").values) == 0.5
    assert metric(families, "nv_trt_llm_inflight_batcher_metrics", "total_context_tokens").values[0] == 6
    assert metric(families, "nv_trt_llm_general_metrics", "timestamp").values[-1] > 1e15
    assert metric(families, "nv_llm_input_token_len", "total_input_tokens").values == [len(PROMPT)]
    assert metric(families, "nv_llm_output_token_len", "total_output_tokens").values == [LENGTH]


def texts(rows: int = 1, **changes: Any) -> dict[str, Any]:
    """Inputs of preprocessing."""
    inputs = {"QUERY": [["ABC"]], "REQUEST_OUTPUT_LEN": [[LENGTH]]}
    encoded = {
        name: np.vectorize(lambda word: word.encode() if isinstance(word, str) else word, otypes=[object])(value)
        if name in ("QUERY", "BAD_WORDS_DICT", "STOP_WORDS_DICT", "EMBEDDING_BIAS_WORDS")
        else value
        for name, value in {**inputs, **changes}.items()
    }
    return {name: np.repeat(np.array(value), rows, axis=0) for name, value in encoded.items()}


PREPARED = {
    "INPUT_ID": (INT, 1, 3),
    "REQUEST_INPUT_LEN": (INT, 1, 1),
    "BAD_WORDS_IDS": (INT, 1, 2, 0),
    "STOP_WORDS_IDS": (INT, 1, 2, 0),
    "EMBEDDING_BIAS": (FLOAT, 1, 0),
    "REQUEST_OUTPUT_LEN": (INT, 1, 1),
    "OUT_END_ID": (INT, 1, 1),
    "OUT_PAD_ID": (INT, 1, 1),
}
DECODER = {"DECODER_INPUT_ID": (INT, 1, 1), "REQUEST_DECODER_INPUT_LEN": (INT, 1, 1)}
WORDS = {"STOP_WORDS_DICT": [["AB", "", "C"]], "BAD_WORDS_DICT": [[""]]}


@pytest.mark.parametrize(("version", "expected"), [("0.9.0", PREPARED), ("1.2.1", {**PREPARED, **DECODER})])
def test_texts_are_prepared_as_upstream(repository: Callable[..., Repository], version: str, expected: Any) -> None:
    models = repository(version)
    [response] = models.ask("preprocessing", texts())
    assert shapes(response) == expected
    [response] = models.ask(
        "preprocessing", texts(**WORDS, EMBEDDING_BIAS_WORDS=[["A"]], EMBEDDING_BIAS_WEIGHTS=[[2.0]])
    )
    arrays = response.arrays()
    # the ids of all words, and where each of them ends
    assert arrays["STOP_WORDS_IDS"].shape == (1, 2, 3) and arrays["STOP_WORDS_IDS"][0, 1].tolist() == [2, 3, -1]
    assert arrays["BAD_WORDS_IDS"].tolist() == [[[0], [-1]]]
    assert shapes(response)["EMBEDDING_BIAS"] == (FLOAT, 1, VOCAB) and arrays["EMBEDDING_BIAS"].sum() == 2


def test_only_later_versions_prepare_several_texts(repository: Callable[..., Repository]) -> None:
    text = "Inflight batching backend expects requests with batch size of 1."
    assert repository("0.9.0").error("preprocessing", texts(rows=2)) == text
    [response] = repository("1.2.1").ask("preprocessing", texts(rows=2))
    assert shapes(response) == {name: (kind, 2, *rest) for name, (kind, _one, *rest) in {**PREPARED, **DECODER}.items()}


def test_words_and_weights_of_a_bias_have_the_same_number(repository: Callable[..., Repository]) -> None:
    inputs = texts(EMBEDDING_BIAS_WORDS=[["A", "B"]], EMBEDDING_BIAS_WEIGHTS=[[2.0]])
    with pytest.raises(AssertionError, match="Embedding bias words must have same dimension as embedding bias weights"):
        repository("1.2.1").ask("preprocessing", inputs)


@pytest.mark.parametrize("version", ["0.9.0", "1.2.1"])
@pytest.mark.parametrize(("rows", "beams"), [(1, 1), (1, 2), (2, 1), (2, 3)])
def test_texts_have_one_dimension_for_batch_and_beams(
    repository: Callable[..., Repository], version: str, rows: int, beams: int
) -> None:
    ids = np.full((rows, beams, 4), 33, np.int32)
    [response] = repository(version).ask(
        "postprocessing", {"TOKENS_BATCH": ids, "SEQUENCE_LENGTH": np.full((rows, beams), 2, np.int32)}
    )
    expected = {"OUTPUT": ("object", rows * beams)}
    if version == "0.9.0":
        expected |= {"OUT_CUM_LOG_PROBS": (FLOAT, 1, 1), "OUT_OUTPUT_LOG_PROBS": (FLOAT, 1, 1, 1)}
        expected |= {"OUT_CONTEXT_LOGITS": (FLOAT, 1, 1, 1), "OUT_GENERATION_LOGITS": (FLOAT, 1, 1, 1, 1)}
    assert shapes(response) == expected
    assert {len(text) for text in response.arrays()["OUTPUT"]} == {2}


def question(rows: int = 1, **changes: Any) -> dict[str, Any]:
    """Inputs of tensorrt_llm_bls."""
    return {
        name: value * rows for name, value in {"text_input": [[b"ABC"]], "max_tokens": [[LENGTH]], **changes}.items()
    }


def load_steps(models: Repository) -> Repository:
    for name in ("preprocessing", "tensorrt_llm", "postprocessing"):
        models.load(name)
    return models


@pytest.mark.parametrize(
    ("version", "asked", "expected"),
    [
        ("1.2.1", (), {"text_output": ("object", 1)}),
        ("1.2.1", ("return_log_probs",), {"text_output": ("object", 1), **PROBABILITIES}),
        (
            "0.9.0",
            (),
            {
                "text_output": ("object", 1),
                **PROBABILITIES,
                "context_logits": (FLOAT, 1, 1, 1),
                "generation_logits": (FLOAT, 1, 1, 1, 1),
            },
        ),
    ],
)
@pytest.mark.parametrize("decoupled", [False, True])
def test_bls_answers_with_the_outputs_of_the_version(
    repository: Callable[..., Repository], version: str, asked: tuple[str, ...], expected: Any, decoupled: bool
) -> None:
    models = load_steps(repository(version, decoupled))
    [response] = models.ask("tensorrt_llm_bls", question(**flags(*asked)))
    assert shapes(response) == expected
    assert response.arrays()["text_output"][0].startswith(b"ABC")


def test_bls_accumulates_each_row_of_a_stream(repository: Callable[..., Repository]) -> None:
    models = load_steps(repository("1.2.1", decoupled=True))
    events = models.ask("tensorrt_llm_bls", {**question(rows=2, stream=[[True]]), "text_input": [[b"ABC"], [b"Q"]]})
    last = {int(event.arrays()["batch_index"][0, 0]): event.arrays()["text_output"][0] for event in events}
    for row, text in enumerate((b"ABC", b"Q")):
        [alone] = models.ask("tensorrt_llm_bls", question(text_input=[[text]]))
        assert alone.arrays()["text_output"][0] == text + last[row]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"max_tokens": [[0]]}, "RequestValidationError: max_tokens must be a single value > 0\n"),
        ({"text_input": np.empty((1, 0), object)}, "RequestValidationError: text_input is required\n"),
        ({"stream": [[True]]}, "Streaming is only supported if model is deployed using decoupled mode.\n"),
    ],
)
def test_errors_of_bls_are_tracebacks(
    repository: Callable[..., Repository], changes: dict[str, Any], text: str
) -> None:
    found = load_steps(repository("1.2.1")).error("tensorrt_llm_bls", question(**changes))
    assert found.startswith("Traceback (most recent call last):") and found.endswith(text)


def test_old_bls_ignores_the_temperature(repository: Callable[..., Repository]) -> None:
    models = load_steps(repository("0.9.0"))
    asked = [question(top_k=[[9]], random_seed=[[5]], temperature=[[heat]]) for heat in (0.1, 90.0)]
    cold, hot = (models.ask("tensorrt_llm_bls", inputs)[0].arrays()["text_output"][0] for inputs in asked)
    assert cold == hot


@pytest.fixture
def llmapi(built: Any, tmp_path: Path) -> Iterator[Callable[[bool], Any]]:
    """The model of the LLM API, and a function that asks it."""
    folder = BACKEND / "all_models/llmapi/tensorrt_llm"
    models = []

    def make(decoupled: bool) -> Any:
        (tmp_path / "model.yaml").write_text(f"model: {built.tokenizer}\ntriton_config: {{decoupled: {decoupled}}}\n")
        fake_triton.install(tmp_path)
        config = fake_triton.read_config((folder / "config.pbtxt").read_text(encoding="utf-8"))
        model = fake_triton.load(folder / "1/model.py")
        policy = {"model_transaction_policy": {"decoupled": decoupled}}
        model.initialize({"model_config": json.dumps({**config, **policy})})
        models.append(model)

        def ask(**changes: Any) -> list[Any]:
            options = {"request_id": changes.pop("request_id", "")}
            inputs = {"text_input": [b"ABC"], "sampling_param_max_tokens": [LENGTH], **changes}
            return fake_triton.answer(model, fake_triton.make_request(config, inputs, **options))

        return ask

    yield make
    for model in models:
        model.finalize()


METRICS = ("acceptance_rate", "arrival_time_ns", "first_scheduled_time_ns", "first_token_time_ns", "last_token_time_ns")
METRICS += ("kv_cache_alloc_new_blocks", "kv_cache_alloc_total_blocks", "kv_cache_hit_rate", "kv_cache_missed_block")
METRICS += ("kv_cache_reused_block", "total_accepted_draft_tokens", "total_draft_tokens")


def test_all_outputs_of_the_llm_api_are_strings(llmapi: Callable[[bool], Any]) -> None:
    """Even those that are numbers in the configuration."""
    ask = llmapi(False)
    [response] = ask()
    assert shapes(response) == {"text_output": ("object", 1)}
    extras = ("finish_reason", "stop_reason", "cumulative_logprob")
    [response] = ask(sampling_param_return_perf_metrics=[True], **{f"return_{name}": [True] for name in extras})
    assert shapes(response) == dict.fromkeys(("text_output", *extras, *METRICS), ("object", 1))
    arrays = response.arrays()
    assert arrays["stop_reason"] == [b"None"] and float(arrays["cumulative_logprob"][0]) < 0
    assert arrays["acceptance_rate"] == [b"0.0"] and arrays["kv_cache_alloc_new_blocks"] == [b"1"]
    assert int(arrays["arrival_time_ns"][0]) <= int(arrays["first_token_time_ns"][0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"streaming": [True]}, "Error generating request: Streaming is only supported in decoupled mode."),
        ({"stop": [True]}, "A request id must be provided for request cancellation"),
        ({"stop": [True], "request_id": "unknown"}, "Request cancelled by client"),
    ],
)
def test_errors_of_the_llm_api_have_upstreams_texts(
    llmapi: Callable[[bool], Any], changes: dict[str, Any], text: str
) -> None:
    [response] = llmapi(False)(**changes)
    assert response.error().message() == text


def test_the_llm_api_only_answers_the_first_text(llmapi: Callable[[bool], Any]) -> None:
    ask = llmapi(True)
    [one], [two] = ask(), ask(text_input=[b"ABC", b"D"])
    assert one.arrays()["text_output"] == two.arrays()["text_output"]
