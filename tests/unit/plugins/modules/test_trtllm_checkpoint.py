# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""trtllm_checkpoint with its own converter, from arguments to the finished folder or the error message."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact import _artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import locked, read_artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _native_converter, _native_step
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_checkpoint
from ansible_collections.tritonops.trtllm.tests.unit.support.models import (
    LLAMA,
    MIXTRAL,
    make_file,
    random_tensors,
    with_head,
    write_model,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import failure, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.vectors import recorded, tensors_in

SHARD = "model-00002-of-00002.safetensors"
OUTPUT = ["artifact.json", "config.json", "rank0.safetensors", "rank1.safetensors"]


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model", MIXTRAL, random_tensors(MIXTRAL))


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "out/key"


@pytest.fixture
def arguments(model, dest):
    return {"src": str(model), "dest": str(dest), "release": "0.17.0", "tp_size": 2}


@pytest.fixture
def run(capsys, arguments):
    return lambda **changes: run_module(trtllm_checkpoint, capsys, **{**arguments, **changes})


@pytest.fixture
def refused(capsys, arguments, dest):
    """The message of a run that leaves nothing but the lock."""

    def call(**changes):
        message = failure(trtllm_checkpoint, capsys, **{**arguments, **changes})
        assert not dest.exists() and not Path(f"{dest}.partial").exists()
        assert "Traceback" not in message and len(message) < 2000
        return message

    return call


@pytest.mark.parametrize(
    "version, name",
    [
        ("v0.9.0", "mixtral-kv4-bf16__float16__tp2_pp2_moeep"),
        ("v0.9.0", "llama-mha-tied-bf16__bfloat16__tp2_pp1_byshard"),
        ("v0.14.0", "mixtral-kv4-bf16__bfloat16__tp4_pp1_moetp2ep2"),
        ("v0.14.0", "llama-gqa-v99-bf16__bfloat16__tp2_pp1"),
        ("main-20241202", "mixtral-kv4-bf16__float16__tp8_pp1_moetp4ep2"),
        ("main-20241202", "llama-gqa-rope31-bf16__float16__tp2_pp1"),
    ],
)
def test_the_checkpoint_equals_upstreams(run, dest, version, name):
    case = next(case for case in recorded(version) if case.name == name)
    result = run(src=case.source, converter="native", workers=2, **case.options)
    assert result["changed"], result
    assert tensors_in(str(dest)) == case.tensors
    if case.config is not None:
        assert json.loads((dest / "config.json").read_text()) == case.config


def test_a_checkpoint_is_created_once(run, dest, tmp_path):
    predicted = run(check=True)
    assert predicted["changed"] and not (tmp_path / "out").exists()
    made = run()
    assert (made["changed"], made["reason"]) == (True, predicted["reason"])
    assert made["diff"] == predicted["diff"]
    assert sorted(os.listdir(dest)) == OUTPUT and not Path(f"{dest}.partial").exists()
    assert (made["world_size"], made["command"], made["path"]) == (2, [], str(dest))
    files = [path for path in dest.iterdir() if path.name != "artifact.json"]
    assert made["total_size"] == sum(path.stat().st_size for path in files)
    assert (made["overflowed"], made.get("warnings", [])) == ({}, [])
    again = run()
    assert (again["changed"], again["reason"], again["duration"]) == (False, None, None)


@pytest.mark.parametrize("end", ["/", "//", "/."])
def test_dest_may_end_with_a_slash(run, dest, end):
    assert run(dest=f"{dest}{end}")["changed"]
    assert not run()["changed"] and not run(dest=f"{dest}{end}")["changed"]
    assert sorted(os.listdir(dest.parent)) == ["key", "key.lock"]


@pytest.mark.parametrize("where", ["", "/out", "/.."])
def test_dest_in_the_way_of_the_model_is_refused(run, model, where):
    before = sorted(os.listdir(model))
    for check in (True, False):
        message = run(dest=f"{model}{where}", check=check)["msg"]
        assert "must not be the same folder, nor one inside the other" in message
    assert sorted(os.listdir(model)) == before


def test_null_kv_heads_of_llama(run, tmp_path):
    config = {**LLAMA, "num_key_value_heads": None}
    assert run(src=str(write_model(tmp_path / "null", config, random_tensors(config))))["changed"]


def test_check_mode_does_not_need_the_library_or_the_source(run, monkeypatch, tmp_path):
    assert run(check=True, src=str(tmp_path / "later"))["changed"]
    monkeypatch.setattr(_native_step, "MISSING_SAFETENSORS", "Traceback ...")
    assert run(check=True)["changed"]


@pytest.mark.parametrize("asked, used", [(None, 4), (1, 1), (8, 8), (9, 8), (200, 8)])
def test_workers_are_limited_by_the_memory_that_they_need(run, monkeypatch, asked, used):
    convert, counts = _native_step.convert, []

    def counting(conversion, folder, on_bytes, workers, hashed):
        counts.append(workers)
        return convert(conversion, folder, on_bytes, workers, hashed)

    monkeypatch.setattr(_native_step, "convert", counting)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    run(workers=asked)
    assert counts == [used]


@pytest.mark.parametrize("changed", ["config.json", "added.safetensors", SHARD])
def test_a_source_that_changes_is_not_recorded_as_the_old_one(refused, model, monkeypatch, changed):
    convert = _native_step.convert

    def changing(*arguments):
        result = convert(*arguments)
        with open(model / changed, "ab") as stream:
            stream.write(b" ")
        return result

    monkeypatch.setattr(_native_step, "convert", changing)
    assert refused() == f"the source {model} changed meanwhile: wait until nothing writes to it, and run again"


def test_a_head_beside_a_tied_embedding_is_reported_now_and_later(run, tmp_path):
    config = {**LLAMA, "tie_word_embeddings": True}
    source = str(write_model(tmp_path / "tied", config, random_tensors(LLAMA)))
    for changed in (True, False):
        result = run(src=source)
        assert result["changed"] is changed
        (warning,) = result["warnings"]
        assert f"{source}: config.json has tie_word_embeddings, but lm_head.weight is stored and differs" in str(
            warning
        )


def test_checksums_are_compared_on_request(run, dest):
    assert run()["changed"]
    assert {entry["sha256"] for entry in read_artifact(str(dest))["files"].values()} == {None}
    assert run(verify=True)["reason"] == "file config.json was not hashed when it was made"
    assert not run(verify=True)["changed"]
    (dest / "rank0.safetensors").write_bytes((dest / "rank1.safetensors").read_bytes())
    assert "file rank0.safetensors has sha256" in run(verify=True)["reason"]


def test_checksums_are_recorded_at_once_when_asked_for(run, dest):
    assert run(checksums=True)["changed"]
    assert not run(verify=True)["changed"]


@pytest.mark.parametrize(
    "first, second",
    [
        ({}, {"moe_tp_size": 2}),
        ({}, {"moe_ep_size": 1}),
        ({"moe_ep_size": 2}, {"moe_tp_size": 1, "moe_ep_size": 2}),
        ({}, {"workers": 1}),
        ({}, {"embedding_sharding_dim": 1}),
    ],
)
def test_options_that_do_not_change_the_checkpoint(run, first, second):
    assert run(**first)["changed"]
    assert not run(**second)["changed"]


def test_an_unused_sharding_dimension_is_not_recorded(run, dest):
    run(embedding_sharding_dim=1)
    assert json.loads((dest / "config.json").read_text())["embedding_sharding_dim"] == 0


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"tp_size": 4}, "inputs changed: moe_tp_size, tp_size"),
        ({"pp_size": 2}, "inputs changed: pp_size"),
        ({"moe_ep_size": 2}, "inputs changed: moe_ep_size, moe_tp_size"),
        ({"dtype": "float32"}, "inputs changed: dtype"),
        ({"release": "0.18.0"}, "inputs changed: release"),
        ({"use_parallel_embedding": True}, "inputs changed: embedding_sharding_dim"),
        ({"release": "0.16.0", "use_embedding_sharing": True}, "inputs changed: release, use_embedding_sharing"),
    ],
)
def test_options_that_change_the_checkpoint(run, change, reason):
    run()
    assert run(check=True, **change)["reason"] == reason


def test_another_checkpoint_replaces_the_first(run, dest):
    run()
    assert run(tp_size=1)["changed"]
    assert sorted(os.listdir(dest)) == OUTPUT[:3]
    assert sorted(os.listdir(dest.parent)) == ["key", "key.lock"]


@pytest.fixture
def overflowing(tmp_path):
    """A bfloat16 model with numbers too large for float16, the largest float16 number, and infinities."""
    values = [65280, 65536, 1e6, -1e6, 3e38, np.inf, -np.inf, 65280, *range(8)]
    norm = (np.array(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    tensors = {**random_tensors(LLAMA, "BF16"), "model.norm.weight": ("BF16", (16,), norm)}
    return str(write_model(tmp_path / "overflowing", LLAMA, tensors))


def test_overflow_is_reported_now_and_later(run, overflowing, dest):
    for changed in (True, False):
        result = run(src=overflowing, dtype="float16")
        assert result["changed"] is changed
        assert result["overflowed"] == {"model.norm.weight": 4}
        (warning,) = result["warnings"]
        assert (
            f"{dest}: values beyond the range of float16 (65504) became infinite: model.norm.weight: 4. The model"
            " will not work well; convert with dtype bfloat16 or float32"
        ) in str(warning)
    # The existing checkpoint says nothing about its replacement.
    predicted = run(src=overflowing, dtype="bfloat16", check=True)
    assert (predicted["changed"], predicted["overflowed"], predicted.get("warnings", [])) == (True, {}, [])


def test_a_window_that_engines_do_not_compute_is_reported(run, tmp_path):
    config = {**LLAMA, "architectures": ["MistralForCausalLM"], "max_position_embeddings": 512}
    for window, expected in ((256, ["config.json has sliding_window 256"]), (512, []), (None, [])):
        src = write_model(tmp_path / f"window{window}", {**config, "sliding_window": window}, random_tensors(config))
        warnings = run(src=str(src)).get("warnings", [])
        assert [text in str(warning) for text, warning in zip(expected, warnings)] == [True] * len(expected)
        assert len(warnings) == len(expected)


def test_check_mode_reports_overflow_of_an_existing_checkpoint(run, overflowing):
    run(src=overflowing, dtype="float16")
    assert run(src=overflowing, dtype="float16", check=True)["overflowed"] == {"model.norm.weight": 4}


def rewrite(name, content):
    return lambda model: (model / name).write_bytes(content)


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4976698672\n"


def set_config(**changes):
    return lambda model: (model / "config.json").write_text(json.dumps({**MIXTRAL, **changes}))


def only_pickled(model):
    for path in model.glob("*safetensors*"):
        path.unlink()
    (model / "pytorch_model.bin").write_bytes(b"")


def truncate(model):
    path = model / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def as_bytes(code):
    """A tensor that is valid except for its dtype."""
    tensors = {**random_tensors(MIXTRAL), "model.norm.weight": (code, (16,), bytes(16))}
    return lambda model: write_model(model, MIXTRAL, tensors)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda model: (model / "config.json").unlink(), "config.json does not exist: src must be the folder of"),
        (rewrite("config.json", b"{"), "config.json is not valid JSON ("),
        (rewrite("config.json", b"[]"), "config.json is not a JSON object"),
        (
            set_config(vocab_size="13", hidden_size=None),
            "hidden_size must be a whole number from 1 to 1000000000, not",
        ),
        (
            set_config(vocab_size="13", hidden_size=None),
            "vocab_size must be a whole number from 1 to 1000000000, not",
        ),
        (
            set_config(architectures=["GPT2LMHeadModel"]),
            "architectures[0] is 'GPT2LMHeadModel'; this converter",
        ),
        (set_config(quantization_config={"quant_method": "fp8"}), "the weights are quantised ('fp8')"),
        (lambda model: (model / SHARD).unlink(), f"lacks {SHARD}, listed in model.safetensors.index.json"),
        (truncate, f"{SHARD} is not a complete safetensors file ("),
        (rewrite(SHARD, with_head(b"nonsense")), f"{SHARD} is not a complete safetensors file ("),
        (rewrite(SHARD, b"\xff" * 100), f"{SHARD} is not a complete safetensors file ("),
        (rewrite(SHARD, make_file({})), "its files lack "),
        (rewrite(SHARD, LFS_POINTER), f"{SHARD} is a Git LFS pointer, not the file itself: run git lfs pull in its"),
        (rewrite("config.json", LFS_POINTER), "config.json is a Git LFS pointer, not the file itself"),
        (rewrite("model.safetensors.index.json", LFS_POINTER), "index.json is a Git LFS pointer, not the file itself"),
        (as_bytes("I8"), "not float32, float16 or bfloat16: model.norm.weight (I8)"),
        (as_bytes("F8_E5M2"), "not float32, float16 or bfloat16: model.norm.weight (F8_E5M2)"),
        (set_config(intermediate_size=20), "but config.json requires [20, 16]"),
        (set_config(attention_bias=True), "its files lack model.layers.0.self_attn.q_proj.bias"),
        (only_pickled, "only has pickled weights (pytorch_model.bin)"),
        (
            rewrite("model.safetensors.index.json", b'{"weight_map": {"a": "../x"}}'),
            "model.safetensors.index.json has unsafe file names: '../x' has an empty part, . or ..",
        ),
    ],
)
def test_a_damaged_model_is_refused(refused, model, damage, words):
    damage(model)
    assert words in refused()
    assert words in refused(check=True)


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"tp_size": 3}, "num_attention_heads 4 is not divisible by tp_size 3"),
        ({"tp_size": 0}, "tp_size must be at least 1, not 0"),
        ({"pp_size": 3}, "num_hidden_layers 2 is not divisible by pp_size 3"),
        ({"tp_size": 4, "moe_tp_size": 3}, "moe_tp_size 3 times moe_ep_size 1 is not tp_size 4"),
        ({"moe_tp_size": 2, "moe_ep_size": 2}, "moe_tp_size 2 times moe_ep_size 2 is not tp_size 2"),
        (
            {"release": "0.10.0", "tp_size": 4, "moe_ep_size": 2},
            "release 0.10.0 cannot combine tensor and expert parallelism",
        ),
        ({"release": "0.8.0"}, "the checkpoint format of release 0.8.0 is not supported"),
        ({"release": "latest"}, "the checkpoint format of release latest is not supported"),
        ({"release": "1.3.0"}, "release 1.3.0 has no TensorRT engines: use release 1.2 or earlier"),
        ({"tp_size": 1, "moe_ep_size": 2}, "moe_tp_size 1 times moe_ep_size 2 is not tp_size 1"),
        ({"tp_size": 1, "moe_tp_size": 2}, "moe_tp_size 2 times moe_ep_size 1 is not tp_size 1"),
        ({"release": "0.9.0", "use_embedding_sharing": True}, "use_embedding_sharing needs release 0.14 to 0.16"),
        ({"world_size": 8}, "world_size 8 is not tp_size 2 times pp_size 1: set these two"),
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"dtype": "int8"}, "value of dtype must be one of: auto, float16, bfloat16, float32, got: int8"),
        ({"image": "x"}, "image: only for converter upstream; do not set it, or set converter to upstream"),
        ({"src": "/nowhere/model"}, "the source /nowhere/model does not exist: create it first, or correct src"),
        ({"src": "/nowhere/0123456789abcdef"}, "the source /nowhere/0123456789abcdef no longer exists"),
    ],
)
def test_invalid_requests_are_refused(refused, asked, words):
    assert words in refused(**asked)


@pytest.mark.parametrize(
    "changes, asked, words",
    [
        ({"num_key_value_heads": 3, "num_attention_heads": 12, "head_dim": 2}, {}, "num_key_value_heads 3 and"),
        ({"intermediate_size": 23}, {}, "intermediate_size 23 is not divisible by moe_tp_size 2"),
        ({"num_local_experts": 3}, {"moe_ep_size": 2}, "num_local_experts 3 is not divisible by moe_ep_size 2"),
        (
            {"hidden_size": 15, "head_dim": 4},
            {"use_parallel_embedding": True, "embedding_sharding_dim": 1},
            "hidden_size 15 is not divisible by tp_size 2",
        ),
        ({"architectures": ["LlamaForCausalLM"]}, {"moe_ep_size": 2}, "LlamaForCausalLM has no experts: leave moe_tp"),
        ({"architectures": ["LlamaForCausalLM"]}, {"moe_tp_size": 1}, "LlamaForCausalLM has no experts: leave moe_tp"),
        ({"architectures": ["LlamaForCausalLM"]}, {"tp_size": 1, "moe_ep_size": 2}, "LlamaForCausalLM has no experts"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(refused, model, changes, asked, words):
    config = {**MIXTRAL, **changes}
    write_model(model, config, random_tensors(config))
    message = refused(**asked)
    assert words in message and ";" not in message


def test_an_unreadable_source_is_reported(refused, model, monkeypatch):
    """Root can read everything, so the kernel's answer is simulated."""
    shard, really = str(model / SHARD), open

    def guarded(path, *rest, **options):
        if path == shard:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return really(path, *rest, **options)

    monkeypatch.setattr("builtins.open", guarded)
    assert refused().endswith(f"{shard} cannot be read (Permission denied): correct its permissions")


def test_dest_below_a_file_is_refused(run, tmp_path):
    (tmp_path / "file").touch()
    failed = run(dest=f"{tmp_path}/file/key")
    assert failed["failed"] and failed["msg"].startswith(f"cannot create {tmp_path}/file/key: ")


def test_too_little_space_is_reported_at_the_start(refused, monkeypatch):
    monkeypatch.setattr(_artifact, "free_bytes", lambda _path: 1000)
    assert "no space left for the checkpoint in " in refused()


def test_running_out_of_space_is_reported(refused, monkeypatch, dest):
    offsets = []

    def write_all(_file, _part, offset):
        offsets.append(offset)
        # Several threads may get here at once.
        if len(offsets) >= 9:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_native_converter, "write_all", write_all)
    monkeypatch.setattr(_native_step, "free_bytes", lambda _path: 5000)
    message = refused()
    assert message.startswith(f"no space left for the checkpoint in {dest} (ENOSPC):")
    assert message.endswith(
        " 155 kB needed, 5 kB available; free space there or choose a root folder on a larger file system"
    )


def test_a_failed_run_keeps_the_old_checkpoint(run, dest, monkeypatch):
    run()
    before = {path.name: path.read_bytes() for path in dest.iterdir()}

    def failing(*_arguments):
        raise OSError(errno.EIO, "I/O")

    monkeypatch.setattr(_native_step, "convert", failing)
    assert run(tp_size=1)["failed"]
    assert {path.name: path.read_bytes() for path in dest.iterdir()} == before


def test_the_written_checkpoint_is_checked(refused, monkeypatch):
    convert = _native_step.convert

    def losing_a_rank(conversion, folder, *rest):
        convert(conversion, folder, *rest)
        os.unlink(f"{folder}/rank1.safetensors")

    monkeypatch.setattr(_native_step, "convert", losing_a_rank)
    assert "rank1.safetensors is missing" in refused()


@pytest.mark.parametrize("missing, library", [("MISSING_LIBRARY", "ml_dtypes"), ("MISSING_SAFETENSORS", "safetensors")])
def test_a_missing_library_is_reported(refused, monkeypatch, missing, library):
    monkeypatch.setattr(_native_step, missing, "Traceback ...")
    assert f"Failed to import the required Python library ({library})" in refused()


SHRINKING = """
import json, os, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _native_converter
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_checkpoint
write_all, shard = _native_converter.write_all, sys.argv[2]
def shrinking(*arguments):
    os.truncate(shard, 1000)
    write_all(*arguments)
_native_converter.write_all = shrinking
with patch_module_args(json.loads(sys.argv[1])):
    trtllm_checkpoint.main()
"""


@pytest.mark.parametrize("workers", [1, 4])
def test_a_truncated_source_does_not_kill_the_module(arguments, model, dest, workers):
    """Accessing a mapped file beyond its end would end the process by SIGBUS, without a message."""
    asked = json.dumps({**arguments, "workers": workers})
    command = [sys.executable, "-c", SHRINKING, asked, model / SHARD]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 1
    assert f"{SHARD} changed during the conversion" in json.loads(process.stdout)["msg"]
    assert not dest.exists() and not Path(f"{dest}.partial").exists()


INTERRUPTED = """
import json, sys, time
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _native_converter
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_checkpoint
write_all, written = _native_converter.write_all, []
def stalling(*arguments):
    write_all(*arguments)
    written.append(1)
    if len(written) == 20:
        print("in the middle", flush=True)
        time.sleep(600)
_native_converter.write_all = stalling
with patch_module_args(json.loads(sys.argv[1])):
    trtllm_checkpoint.main()
"""


def test_a_killed_run_leaves_nothing_for_the_next(run, arguments, dest):
    command = [sys.executable, "-c", INTERRUPTED, json.dumps({**arguments, "workers": 1})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "in the middle\n"
        child.send_signal(signal.SIGKILL)
    partial = Path(f"{dest}.partial")
    assert not dest.exists() and (partial / "payload/rank1.safetensors").exists()
    assert json.loads((partial / "progress.json").read_text())["phase"] == "convert"
    # Files that another version might have left.
    (partial / "payload/rank7.safetensors").touch()
    assert run()["changed"]
    interrupted = tensors_in(str(dest))
    assert sorted(os.listdir(dest)) == OUTPUT and not partial.exists()
    run(dest=f"{dest}2")
    assert interrupted == tensors_in(f"{dest}2")


def test_a_conversion_that_hangs_ends_in_time(run, arguments, dest):
    """Its thread cannot be stopped, as with a file server that does not respond."""
    command = [sys.executable, "-c", INTERRUPTED, json.dumps({**arguments, "workers": 1, "timeout": 2})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    message = json.loads(done.stdout.replace("in the middle\n", ""))["msg"]
    assert done.returncode == 1 and f"{dest} was not finished within 2 seconds" in message
    assert "engine_build_timeout" in message and arguments["src"] in message
    assert run(timeout=600)["changed"]


def test_a_second_run_does_not_wait_for_ever(run, arguments, dest):
    dest.parent.mkdir()
    with locked(str(dest)):
        command = [sys.executable, "-c", INTERRUPTED, json.dumps({**arguments, "timeout": 2})]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "no other run creates it" in json.loads(done.stdout)["msg"]
    assert not dest.exists()


@pytest.mark.parametrize("timeout", [0, -5])
def test_a_timeout_is_a_positive_number(refused, timeout):
    assert refused(timeout=timeout) == f"timeout: {timeout} is not a positive number of seconds"


def test_the_record_has_version_and_inputs(run, dest, model):
    run()
    record = read_artifact(str(dest))
    assert record["release"] == "0.17.0" and record["inputs"]["converter"] == "native"
    assert {name: record["inputs"][name] for name in ("dtype", "tp_size", "moe_tp_size", "moe_ep_size")} == {
        "dtype": "auto",
        "tp_size": 2,
        "moe_tp_size": 2,
        "moe_ep_size": 1,
    }
