# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model repository is created, kept, replaced or refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import string
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact import _artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import (
    _model_config,
    _model_repository,
    _release_folder,
)
from ansible_collections.tritonops.trtllm.plugins.modules import triton_model_repository
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.tests.unit.support import upstream
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

DIGEST = "sha256:" + "a" * 64

ENSEMBLE = """\
# A comment that stays.
name: "ensemble"
platform: "ensemble"
max_batch_size: ${triton_max_batch_size}
input [ { name: "text_input" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "text_output" data_type: TYPE_STRING dims: [ 1 ] } ]
ensemble_scheduling { step [ {
  model_name: "tensorrt_llm" model_version: -1
  input_map { key: "IN" value: "text_input" } output_map { key: "OUT" value: "text_output" }
} ] }
"""
MODEL = """\
name: "tensorrt_llm"
backend: "${triton_backend}"
max_batch_size: ${triton_max_batch_size}
input [ { name: "IN" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_STRING dims: [ 1 ] } ]
parameters { key: "gpt_model_path" value { string_value: "${engine_dir}" } }
parameters { key: "max_beam_width" value { string_value: "${max_beam_width}" } }
"""
# Like the template of the LLM API: no placeholders, and a file of arguments next to the code.
LLM_API = """\
name: "tensorrt_llm"
backend: "python"
input [ { name: "text_input" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "text_output" data_type: TYPE_STRING dims: [ 1 ] } ]
"""
MODEL_YAML = """\
# What the model is started with.
# Another line.
model: somebody/some-model
backend: "pytorch"
tensor_parallel_size: 1 # all of them

pytorch_backend_config:
  use_cuda_graph: False
triton_config:
  max_batch_size: 0
  decoupled: False
"""
PARAMETERS: dict[str, t.Any] = {
    "ensemble": {"triton_max_batch_size": 1},
    "tensorrt_llm": {"triton_max_batch_size": 1, "triton_backend": "tensorrtllm", "engine_dir": "/release/1"},
}


class Site:
    """Templates, an engine and weights as the roles create them, and the folder to create."""

    def __init__(self, root: Path) -> None:
        self.src, self.dest = root / "templates", root / "release/model_repository"
        self.engine, self.weights, self.tokenizer = root / "engine", root / "weights", root / "release/tokenizer"
        self.served_weights = root / "release/weights"
        write(self.src / "ensemble/config.pbtxt", ENSEMBLE)
        write(self.src / "tensorrt_llm/config.pbtxt", MODEL)
        write(self.src / "tensorrt_llm/1/model.py", "print()\n").chmod(0o755)
        write(self.src / "tensorrt_llm/1/lib/decode.py", "pass\n")
        write(self.src / "tensorrt_llm/1/__pycache__/model.pyc", "compiled")
        write(self.engine / "config.json", "{}")
        write(self.engine / "rank0.engine", "engine 0")
        write(self.engine / "rank1.engine", "engine 1")
        write(self.engine / "build.log", "noise")
        write(self.engine / "artifact.json", json.dumps({"inputs": {"image": DIGEST}, "files": {}}))
        for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "chat_template.jinja", "merges.txt"):
            write(self.weights / name, name)
        for name in (
            "model.safetensors",
            "model.safetensors.index.json",
            "artifact.json",
            "README.md",
            ".gitattributes",
        ):
            write(self.weights / name, name)

    def arguments(self, **changes: t.Any) -> dict[str, t.Any]:
        arguments = {"src": str(self.src), "dest": str(self.dest), "parameters": PARAMETERS}
        return {
            **arguments,
            **{key: str(value) if isinstance(value, Path) else value for key, value in changes.items()},
        }

    def everything(self, **changes: t.Any) -> dict[str, t.Any]:
        made_of = {
            "engine": self.engine,
            "image_digest": DIGEST,
            "tokenizer": self.weights,
            "tokenizer_dest": self.tokenizer,
        }
        return self.arguments(**{**made_of, **changes})

    def llm_api(self, changes: dict[str, t.Any] | None, **more: t.Any) -> dict[str, t.Any]:
        """Replaces the templates with those of the LLM API, and returns the arguments for them."""
        for path in (self.src / "ensemble/config.pbtxt", self.src / "tensorrt_llm/config.pbtxt"):
            path.unlink(missing_ok=True)
        write(self.src / "tensorrt_llm/config.pbtxt", LLM_API)
        write(self.src / "tensorrt_llm/1/model.yaml", MODEL_YAML)
        return self.arguments(parameters={}, llm_args={"tensorrt_llm": changes}, **more)


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) + "/" * path.is_dir() for path in root.rglob("*"))


@pytest.fixture(name="site")
def fixture_site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(name="make")
def fixture_make(capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Result]:
    return lambda arguments, check=False: run_module(triton_model_repository, capsys, check=check, **arguments)


def test_everything_is_created(site: Site, make: t.Callable[..., Result], strict_umask: None) -> None:
    result = make(site.everything(release="v0.16.0"))
    assert result["changed"] and result["reason"].endswith(f"{site.dest} does not exist")
    assert (result["path"], result["tokenizer_path"], result["release"]) == (
        str(site.dest),
        str(site.tokenizer),
        "v0.16.0",
    )
    assert listing(site.dest) == [
        "artifact.json",
        "ensemble/",
        "ensemble/1/",
        "ensemble/config.pbtxt",
        "tensorrt_llm/",
        "tensorrt_llm/1/",
        "tensorrt_llm/1/config.json",
        "tensorrt_llm/1/lib/",
        "tensorrt_llm/1/lib/decode.py",
        "tensorrt_llm/1/model.py",
        "tensorrt_llm/1/rank0.engine",
        "tensorrt_llm/1/rank1.engine",
        "tensorrt_llm/config.pbtxt",
    ]
    assert listing(site.tokenizer) == [
        "artifact.json",
        "chat_template.jinja",
        "config.json",
        "merges.txt",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert (site.dest / "tensorrt_llm/1/rank1.engine").samefile(site.engine / "rank1.engine")
    assert (site.tokenizer / "tokenizer.json").samefile(site.weights / "tokenizer.json")
    assert not (site.dest / "tensorrt_llm/1/model.py").samefile(site.src / "tensorrt_llm/1/model.py")
    # The server runs as another user, so the umask must not matter.
    modes = {path: stat.S_IMODE((site.dest / path).stat().st_mode) for path in listing(site.dest)}
    assert modes["tensorrt_llm/1/lib/"] == modes["tensorrt_llm/1/model.py"] == 0o755
    assert modes["ensemble/config.pbtxt"] == modes["tensorrt_llm/1/lib/decode.py"] == 0o644
    assert stat.S_IMODE(site.dest.stat().st_mode) == 0o755


def test_models_in_the_result(site: Site, make: t.Callable[..., Result]) -> None:
    models = make(site.arguments())["models"]
    assert models["tensorrt_llm"]["placeholders_unfilled"] == ["max_beam_width"]
    assert models["ensemble"]["placeholders_unfilled"] == []
    assert len(models["ensemble"]["config_sha256"]) == 64
    assert (site.dest / "ensemble/config.pbtxt").read_text(encoding="utf-8").startswith("# A comment that stays.\n")


def test_check_mode_predicts_and_a_second_run_does_nothing(site: Site, make: t.Callable[..., Result]) -> None:
    predicted = make(site.everything(), check=True)
    assert predicted["changed"] and not site.dest.exists() and not site.tokenizer.exists()
    made = make(site.everything())
    assert (made["changed_files"], made["diff"], made["reason"]) == (
        predicted["changed_files"],
        predicted["diff"],
        predicted["reason"],
    )
    again = make(site.everything())
    assert (again["changed"], again["changed_files"], again["reason"], again["diff"]) == (False, [], None, [])
    assert again["models"] == made["models"]
    assert make(site.everything(), check=True)["changed"] is False


def test_a_change_is_shown_and_applied_atomically(site: Site, make: t.Callable[..., Result]) -> None:
    make(site.arguments(engine=site.engine))
    inode = site.dest.stat().st_ino
    (site.dest / "tensorrt_llm/1/stray.txt").write_text("stray", encoding="utf-8")
    parameters = {**PARAMETERS, "tensorrt_llm": {**PARAMETERS["tensorrt_llm"], "max_beam_width": 2}}
    arguments = site.arguments(engine=site.engine, parameters=parameters)
    predicted, result = make(arguments, check=True), make(arguments)
    assert (
        result["changed_files"]
        == predicted["changed_files"]
        == ["tensorrt_llm/1/stray.txt", "tensorrt_llm/config.pbtxt"]
    )
    assert result["reason"] == f"{site.dest} differs in tensorrt_llm/1/stray.txt, tensorrt_llm/config.pbtxt"
    stray, config = result["diff"]
    assert (stray["before"], stray["after"]) == ("stray", "")
    assert "${max_beam_width}" in config["before"] and '"2"' in config["after"]
    assert site.dest.stat().st_ino != inode and not (site.dest / "tensorrt_llm/1/stray.txt").exists()
    left = {path.name for path in site.dest.parent.iterdir()}
    assert left == {"model_repository", "model_repository.lock"}


def test_another_engine_of_the_same_size_is_a_change(site: Site, make: t.Callable[..., Result]) -> None:
    make(site.arguments(engine=site.engine))
    (site.engine / "rank1.engine").unlink()
    os.utime(write(site.engine / "rank1.engine", "ENGINE 1"), (1, 1))
    result = make(site.arguments(engine=site.engine))
    assert result["changed_files"] == ["tensorrt_llm/1/rank1.engine"]
    assert (site.dest / "tensorrt_llm/1/rank1.engine").read_text(encoding="utf-8") == "ENGINE 1"


@pytest.mark.parametrize("how", ["asked for", "forced"])
def test_copies_instead_of_links(
    how: str, site: Site, make: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: t.Any, **_kwargs: t.Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    if how == "forced":
        monkeypatch.setattr(_model_repository.os, "link", refuse)
    arguments = site.everything(hard_link=how == "forced")
    assert make(arguments)["changed"]
    copy = site.dest / "tensorrt_llm/1/rank0.engine"
    assert copy.read_text(encoding="utf-8") == "engine 0" and not copy.samefile(site.engine / "rank0.engine")
    assert not make(arguments)["changed"]


@pytest.mark.parametrize("linked_before", [False, True])
def test_files_that_others_can_write_to_are_copied(
    linked_before: bool, site: Site, make: t.Callable[..., Result]
) -> None:
    """Their owner must not be able to change an engine that is served."""
    source, copy = site.engine / "rank0.engine", site.dest / "tensorrt_llm/1/rank0.engine"
    arguments = site.everything()
    if linked_before:
        make(arguments)
        assert copy.samefile(source)
    source.chmod(0o646)
    assert "tensorrt_llm/1/rank0.engine" in make(arguments)["changed_files"]
    assert not copy.samefile(source) and copy.stat().st_mode & 0o777 == 0o644
    assert (site.dest / "tensorrt_llm/1/rank1.engine").samefile(site.engine / "rank1.engine")
    assert not make(arguments)["changed"]


@pytest.mark.parametrize("share", ["tokenizer", "weights"])
def test_a_tokenizer_that_the_image_cannot_read_is_refused(
    share: str, site: Site, make: t.Callable[..., Result]
) -> None:
    """Before anything is written, instead of when the server starts."""
    merges = {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}}
    write(site.weights / "tokenizer.json", json.dumps(merges))
    dest = {"tokenizer": site.tokenizer, "weights": site.served_weights}[share]
    arguments = site.arguments(**{share: site.weights, f"{share}_dest": dest})
    for check in (True, False):
        message = make({**arguments, "tokenizers": "0.15"}, check=check)["msg"]
        assert f"{site.weights}/tokenizer.json has merges as pairs" in message and "0.20 or later" in message
    assert not site.dest.exists() and not dest.exists()
    assert make({**arguments, "tokenizers": "0.20"})["changed"]


# --- a release as a whole

MANIFEST = {"id": "mine", "release": "1.2.1", "model": {"name": "mixtral"}}


def test_files_of_a_strict_umask_are_readable_in_a_release(site: Site, make: t.Callable[..., Result]) -> None:
    """A link has the mode of its source. A release of an earlier version that has such links is made again."""
    sources = [site.engine / "rank0.engine", site.weights / "tokenizer.json", site.engine / "config.json"]
    served = [site.dest / "tensorrt_llm/1/rank0.engine", site.tokenizer / "tokenizer.json"]
    for source in sources:
        source.chmod(0o600)
    make(site.everything())
    assert {path.stat().st_mode & 0o777 for path in served} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in sources} == {0o600}
    assert not make(site.everything())["changed"]
    served[1].unlink()
    os.link(sources[1], served[1])
    assert make(site.everything())["changed_files"] == ["tokenizer.json"]
    assert served[1].stat().st_mode & 0o777 == 0o644


def release_of(site: Site, **changes: t.Any) -> dict[str, t.Any]:
    """Arguments for a release with an engine and a tokenizer, without explicit folders."""
    given = site.everything(release_dir=site.dest.parent, manifest=MANIFEST, **changes)
    return {name: value for name, value in given.items() if name not in ("dest", "tokenizer_dest", "weights_dest")}


def test_a_release_is_created_under_a_temporary_name(
    site: Site, make: t.Callable[..., Result], strict_umask: None
) -> None:
    folder = site.dest.parent
    predicted = make(release_of(site), check=True)
    assert predicted["changed"] and (predicted["path"], predicted["tokenizer_path"]) == (
        *(str(site.dest), str(site.tokenizer)),
    )
    assert not folder.exists() and not folder.with_name("release.partial").exists()
    result = make(release_of(site))
    assert (result["changed"], result["path"], result["tokenizer_path"], result["weights_path"]) == (
        *(True, str(site.dest), str(site.tokenizer)),
        None,
    )
    assert {path.name for path in folder.iterdir() if not path.name.endswith(".lock")} == {
        *("model_repository", "tokenizer", "release.json")
    }
    assert json.loads((folder / "release.json").read_text()) == MANIFEST
    assert (folder.stat().st_mode & 0o777, (folder / "release.json").stat().st_mode & 0o777) == (0o755, 0o644)
    assert (site.tokenizer / "tokenizer.json").read_text() == "tokenizer.json"
    assert not folder.with_name("release.partial").exists()
    for check in (True, False):
        again = make(release_of(site), check=check)
        assert (again["changed"], again["changed_files"], again["diff"]) == (False, [], [])
        assert again["path"] == str(site.dest)


def test_weights_of_a_release_are_linked_into_it(site: Site, make: t.Callable[..., Result]) -> None:
    arguments = release_of(site, weights=site.weights)
    assert make(arguments)["weights_path"] == str(site.served_weights)
    assert (site.served_weights / "model.safetensors").samefile(site.weights / "model.safetensors")


@pytest.mark.parametrize("at", ["repository", "record", "rename"])
def test_a_release_whose_run_was_killed_is_finished_by_the_next(
    site: Site, make: t.Callable[..., Result], at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Not an Exception, so nothing cleans up after it."""

    def killed(*_arguments: t.Any) -> None:
        raise Killed

    folder = site.dest.parent
    where = {
        "repository": (_model_repository, "publish"),
        "record": (_release_folder, "write_json"),
        "rename": (_release_folder.os, "rename"),
    }[at]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        real = getattr(*where)

        def when_it_is_the_last(*arguments: t.Any) -> None:
            # The module also renames parts of a release.
            if at == "repository" or str(folder.with_name("release.partial")) in map(str, arguments) or at == "record":
                killed()
            real(*arguments)

        patch.setattr(*where, when_it_is_the_last)
        make(release_of(site))
    assert not folder.exists() and folder.with_name("release.partial").is_dir()
    assert make(release_of(site), check=True)["changed"] and not folder.exists()
    assert make(release_of(site))["changed"] and folder.is_dir()
    assert not folder.with_name("release.partial").exists()
    assert not make(release_of(site))["changed"]
    assert json.loads((folder / "release.json").read_text()) == MANIFEST


def test_another_manifest_is_a_change_and_shown(site: Site, make: t.Callable[..., Result]) -> None:
    make(release_of(site))
    other = {**release_of(site), "manifest": {**MANIFEST, "id": "other"}}
    record = site.dest.parent / "release.json"
    before = record.read_text()
    predicted = make(other, check=True)
    assert predicted["changed"] and record.read_text() == before
    result = make(other)
    assert result["changed"] and result["changed_files"] == [] and result["diff"] == predicted["diff"]
    (diff,) = result["diff"]
    assert (diff["before_header"], diff["before"], diff["after"]) == (str(record), before, record.read_text())
    assert json.loads(record.read_text())["id"] == "other"
    assert not make(other)["changed"]


def test_a_change_of_a_release_is_made_in_place(site: Site, make: t.Callable[..., Result]) -> None:
    """The repository is replaced atomically, and no temporary files are left."""
    make(release_of(site))
    parameters = {**PARAMETERS, "tensorrt_llm": {**PARAMETERS["tensorrt_llm"], "max_beam_width": 2}}
    result = make(release_of(site, parameters=parameters))
    assert result["changed"] and result["changed_files"] == ["tensorrt_llm/config.pbtxt"]
    assert str(site.dest) in result["reason"]
    assert not site.dest.parent.with_name("release.partial").exists()


@pytest.mark.parametrize("name", ["dest", "tokenizer_dest", "weights_dest"])
def test_folders_in_a_release_cannot_be_chosen(site: Site, make: t.Callable[..., Result], name: str) -> None:
    arguments = {**release_of(site, weights=site.weights), name: str(site.dest)}
    assert f"mutually exclusive: release_dir|{name}" in make(arguments)["msg"]


def test_release_and_repository_are_exclusive(site: Site, make: t.Callable[..., Result]) -> None:
    assert "one of the following is required: dest, release_dir" in make({"src": str(site.src)})["msg"]
    without = site.everything()
    del without["tokenizer_dest"]
    assert "tokenizer needs tokenizer_dest" in make(without)["msg"]


def test_files_of_a_killed_run_are_removed(site: Site, make: t.Callable[..., Result]) -> None:
    _artifact.make_partial(str(site.dest), {})
    write(site.dest.parent / "model_repository.partial/payload/ensemble/half", "")
    write(site.dest.parent / "model_repository.partial/replaced/ensemble/config.pbtxt", "")
    assert make(site.arguments())["changed"]
    assert {path.name for path in site.dest.parent.iterdir()} == {"model_repository", "model_repository.lock"}


def test_a_failure_keeps_the_old_repository(
    site: Site, make: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(site.arguments())
    before = (site.dest / "tensorrt_llm/config.pbtxt").read_bytes()

    def full(*_args: t.Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_model_repository.shutil, "copy2", full)
    parameters = {**PARAMETERS, "tensorrt_llm": {**PARAMETERS["tensorrt_llm"], "max_beam_width": 2}}
    assert "No space left on device" in make(site.arguments(parameters=parameters))["msg"]
    assert (site.dest / "tensorrt_llm/config.pbtxt").read_bytes() == before


def test_all_problems_are_reported_at_once_and_nothing_is_written(site: Site, make: t.Callable[..., Result]) -> None:
    parameters = {
        "ensemble": {},
        "tensorrt_llm": {"triton_max_batch_size": 1, "triton_bakcend": "tensorrtllm"},
        "tensorrt_lm": {"a": 1},
    }
    message = make(
        site.arguments(
            release="v0.16.0", parameters=parameters, required={"tensorrt_llm": ["engine_dir"]}, engine=site.src
        )
    )["msg"]
    assert message.startswith(f"cannot make a model repository from {site.src} of release v0.16.0: ")
    for words in (
        "parameters has model 'tensorrt_lm', which does not exist (did you mean tensorrt_llm?)",
        "model 'ensemble': placeholder 'triton_max_batch_size' (config.pbtxt line 4) needs a value",
        "model 'tensorrt_llm': the template has no placeholder 'triton_bakcend', but the value 'tensorrtllm'",
        "(did you mean triton_backend",
        "model 'tensorrt_llm': placeholder 'engine_dir' (config.pbtxt line 6) needs a value",
    ):
        assert words in message
    assert not site.dest.parent.exists()


def test_configurations_that_triton_would_refuse(site: Site, make: t.Callable[..., Result]) -> None:
    write(site.src / "tensorrt_llm/config.pbtxt", MODEL.replace('name: "tensorrt_llm"', 'name: "trtllm"'))
    parameters = {**PARAMETERS, "ensemble": {"triton_max_batch_size": 8}}
    message = make(site.arguments(parameters=parameters))["msg"]
    assert "model 'tensorrt_llm': the configuration's name is 'trtllm'" in message
    assert "model 'ensemble': max_batch_size 8 is more than the 1 of its model 'tensorrt_llm'" in message
    parameters["ensemble"]["triton_max_batch_size"] = "many"
    assert "config.pbtxt line 4, column 17" in make(site.arguments(parameters=parameters))["msg"]
    assert "step uses model 'tensorrt_llm', which is not in" in make(site.arguments(models=["ensemble"]))["msg"]


def test_a_subset_of_models(site: Site, make: t.Callable[..., Result]) -> None:
    assert list(make(site.arguments(models=["tensorrt_llm"]))["models"]) == ["tensorrt_llm"]
    assert "models has model 'nope'" in make(site.arguments(models=["nope"]))["msg"]


def test_overrides(site: Site, make: t.Callable[..., Result]) -> None:
    overrides = {
        "tensorrt_llm": {"instance_group": [{"count": 1, "kind": "KIND_CPU"}], "parameters": {"gpt_model_path": "/x"}}
    }
    make(site.arguments(overrides=overrides))
    config = _model_config.parse((site.dest / "tensorrt_llm/config.pbtxt").read_text(encoding="utf-8"))
    assert config.parameters["gpt_model_path"].string_value == "/x" and config.instance_group[0].count == 1
    assert not make(site.arguments(overrides=overrides))["changed"]
    message = make(site.arguments(overrides={"tensorrt_llm": {"instance_gruop": []}}))["msg"]
    assert "model 'tensorrt_llm': override instance_gruop = []" in message and "did you mean instance_group?" in message


def test_arguments_of_the_llm_api(site: Site, make: t.Callable[..., Result]) -> None:
    changes = {
        "model": "/release/weights",
        "tensor_parallel_size": 2,
        "pytorch_backend_config": None,
        "nothing": None,
        "triton_config": {"decoupled": True},
        "kv_cache_config": {"free_gpu_memory_fraction": 0.8, "dtype": None, "host": {"cache": "ä: #"}},
    }
    arguments = site.llm_api(changes)
    predicted, result = make(arguments, check=True), make(arguments)
    assert result["changed"] and predicted["diff"] == result["diff"]
    text = (site.dest / "tensorrt_llm/1/model.yaml").read_text(encoding="utf-8")
    assert text.startswith("# What the model is started with.\n# Another line.\n\nmodel: /release/weights\n")
    assert yaml.safe_load(text) == {
        "model": "/release/weights",
        "backend": "pytorch",
        "tensor_parallel_size": 2,
        "triton_config": {"max_batch_size": 0, "decoupled": True},
        "kv_cache_config": {"free_gpu_memory_fraction": 0.8, "host": {"cache": "ä: #"}},
    }
    assert list(yaml.safe_load(text))[:3] == ["model", "backend", "tensor_parallel_size"]
    assert not make(arguments)["changed"]
    again = make(site.llm_api({**changes, "tensor_parallel_size": 4}))
    assert again["changed_files"] == ["tensorrt_llm/1/model.yaml"]
    assert "tensor_parallel_size: 2" in again["diff"][0]["before"]
    assert "tensor_parallel_size: 4" in again["diff"][0]["after"]


def test_without_changes_the_template_stays_as_it_is(site: Site, make: t.Callable[..., Result]) -> None:
    make({**site.llm_api(None), "llm_args": {}})
    assert (site.dest / "tensorrt_llm/1/model.yaml").read_text(encoding="utf-8") == MODEL_YAML


def test_llm_args_that_cannot_be_merged_are_refused(site: Site, make: t.Callable[..., Result]) -> None:
    message = make(site.arguments(llm_args={"tensorrt_llm": {"model": "/x"}, "tensorrt_lm": {}}))["msg"]
    assert "llm_args has model 'tensorrt_llm', whose template has no 1/model.yaml" in message
    assert "llm_args has model 'tensorrt_lm', which does not exist (did you mean tensorrt_llm?)" in message
    arguments = site.llm_api({"model": "/x"})
    for content, words in (("a: [", "1/model.yaml is not valid YAML"), ("- a", "1/model.yaml is not a mapping")):
        write(site.src / "tensorrt_llm/1/model.yaml", content)
        assert f"model 'tensorrt_llm': {words}" in make(arguments)["msg"]
    assert not site.dest.exists()


def test_llm_args_without_yaml(site: Site, make: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_release_folder, "YAML_IMPORT_ERROR", "no yaml")
    assert make(site.arguments(), check=True)["changed"]
    arguments = site.llm_api({"model": "/x"})
    assert "PyYAML" in make(arguments)["msg"]
    assert make(arguments, check=True)["changed"]
    site.dest.mkdir(parents=True)
    assert "PyYAML" in make(arguments, check=True)["msg"]


def test_weights_are_hard_links(site: Site, make: t.Callable[..., Result]) -> None:
    write(site.weights / "original/params.json", "{}")
    write(site.weights / ".cache/huggingface/download/config.json.metadata", "")
    arguments = site.arguments(weights=site.weights, weights_dest=site.served_weights)
    predicted = make(arguments, check=True)
    assert predicted["changed"] and not site.served_weights.exists()
    result = make(arguments)
    assert (result["weights_path"], result["tokenizer_path"]) == (str(site.served_weights), None)
    assert (result["changed_files"], result["diff"]) == (predicted["changed_files"], predicted["diff"])
    there = {path for path in listing(site.weights) if not path.startswith(".cache")}
    assert set(listing(site.served_weights)) == there
    for name in ("model.safetensors", "original/params.json", "tokenizer.json"):
        assert (site.served_weights / name).samefile(site.weights / name)
    assert not make(arguments)["changed"]
    (site.weights / "model.safetensors").unlink()
    os.utime(write(site.weights / "model.safetensors", "MODEL"), (1, 1))
    assert make(arguments)["changed_files"] == ["model.safetensors"]


def test_weights_and_tokenizer_of_one_folder(site: Site, make: t.Callable[..., Result]) -> None:
    arguments = site.everything(weights=site.weights, weights_dest=site.served_weights)
    assert make(arguments)["changed"] and site.tokenizer.is_dir() and site.served_weights.is_dir()
    for path in (site.weights, site.weights / "new", site.tokenizer):
        message = make({**arguments, "weights_dest": str(path)})["msg"]
        assert "must not be the same folder, nor one inside the other" in message


def test_invalid_weights_are_refused(site: Site, make: t.Callable[..., Result]) -> None:
    missing = site.arguments(weights=site.weights / "no", weights_dest=site.served_weights)
    assert f"weights {site.weights / 'no'} is not a folder: download the model first" in make(missing)["msg"]
    assert make(missing, check=True)["reason"].endswith(f"nor does {site.weights / 'no'} yet")
    message = make(site.arguments(weights=site.src, weights_dest=site.served_weights))["msg"]
    assert f"{site.src} has no weights (none of config.json)" in message
    assert "weights_dest" in make(site.arguments(weights=site.weights))["msg"]


def test_an_engine_of_another_image_is_refused(site: Site, make: t.Callable[..., Result]) -> None:
    other = "sha256:" + "b" * 64
    message = make(site.everything(image_digest=other))["msg"]
    assert DIGEST in message and other in message
    assert not site.dest.parent.exists()


def test_invalid_engines_are_refused(site: Site, make: t.Callable[..., Result]) -> None:
    assert "has no rank*.engine: build" in make(site.arguments(engine=site.weights))["msg"]
    assert "is not a folder: build the engine first" in make(site.arguments(engine=site.engine / "no"))["msg"]
    message = make(site.arguments(engine=site.engine, engine_model="nope"))["msg"]
    assert "the model 'nope', which needs the engine, is not in the repository" in message


def test_weights_without_a_tokenizer(site: Site, make: t.Callable[..., Result]) -> None:
    (site.weights / "tokenizer.json").unlink()
    assert f"{site.weights} has no tokenizer" in make(site.everything())["msg"]
    assert "is not a folder" in make(site.everything(tokenizer=site.weights / "no"))["msg"]
    assert not site.dest.exists()


@pytest.mark.parametrize("path", ["templates", "templates/new", "."])
def test_dest_that_overlaps_a_source_is_refused(path: str, site: Site, make: t.Callable[..., Result]) -> None:
    message = make(site.arguments(dest=site.src.parent / path))["msg"]
    assert "must not be the same folder, nor one inside the other" in message
    assert listing(site.src)


def test_folders_that_are_not_ours_are_refused(site: Site, make: t.Callable[..., Result]) -> None:
    theirs = write(site.dest / "ensemble/config.pbtxt", "name: 'theirs'")
    assert f"{site.dest} is not empty and contains no artifact.json written by this" in make(site.arguments())["msg"]
    shutil.move(site.dest, site.tokenizer)
    assert f"{site.tokenizer} is not empty" in make(site.everything())["msg"]
    shutil.move(site.tokenizer, site.served_weights)
    arguments = site.arguments(weights=site.weights, weights_dest=site.served_weights)
    assert f"{site.served_weights} is not empty" in make(arguments)["msg"]
    shutil.move(site.served_weights, f"{site.dest}.partial")
    assert f"{site.dest}.partial is not empty" in make(site.arguments())["msg"]
    assert [path.read_text() for path in site.dest.parent.rglob(theirs.name)] == ["name: 'theirs'"]


def test_a_link_in_a_source_is_copied_not_linked(site: Site, make: t.Callable[..., Result]) -> None:
    """The link may lead to any file, and the release must not share a file with it."""
    theirs = write(site.dest.parent / "theirs", "TOKENIZER")
    theirs.chmod(0o600)
    (site.weights / "tokenizer.json").unlink()
    (site.weights / "tokenizer.json").symlink_to(theirs)
    assert make(site.everything())["changed"]
    assert (site.tokenizer / "tokenizer.json").read_text() == "TOKENIZER"
    assert (theirs.stat().st_nlink, theirs.stat().st_mode & 0o777) == (1, 0o600)
    assert not make(site.everything())["changed"]


@pytest.mark.parametrize("name", ["config.pbtxt", "1/model.py", "1/leak.json"])
def test_a_link_in_a_template_that_leads_elsewhere_is_refused(
    site: Site, make: t.Callable[..., Result], name: str
) -> None:
    """Templates come from a repository, whose links must not make files of the host readable in the release."""
    theirs = write(site.dest.parent / "secret", "SECRET")
    path = site.src / "tensorrt_llm" / name
    path.unlink(missing_ok=True)
    path.symlink_to(theirs)
    message = make(site.arguments())["msg"]
    assert f"'tensorrt_llm/{name}' leads to {theirs}" in message and not site.dest.exists()


def test_templates_that_are_none(site: Site, make: t.Callable[..., Result]) -> None:
    assert (
        "is not a folder: set it to the folder of model templates" in make(site.arguments(src=site.src / "no"))["msg"]
    )
    assert "contains no model" in make(site.arguments(src=site.weights))["msg"]


def test_check_mode_before_anything_exists(site: Site, make: t.Callable[..., Result]) -> None:
    result = make(site.everything(src=site.src / "no", engine=site.engine / "no"), check=True)
    assert result["changed"] and f"nor does {site.src / 'no'}, {site.engine / 'no'} yet" in result["reason"]


def test_without_protobuf(site: Site, make: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = site.arguments()
    overridden = site.arguments(overrides={"tensorrt_llm": {"max_batch_size": 2}})
    monkeypatch.setattr(_release_folder, "PROTOBUF_IMPORT_ERROR", "no protobuf")
    monkeypatch.setattr(_model_config, "parse", None)
    assert "tritonclient" in make(arguments)["msg"] and not site.dest.exists()
    for wanted in (arguments, overridden):
        result = make(wanted, check=True)
        assert result["changed"] and "not validated" in str(result["warnings"])
    monkeypatch.undo()
    make(arguments)
    monkeypatch.setattr(_release_folder, "PROTOBUF_IMPORT_ERROR", "no protobuf")
    assert make(arguments, check=True)["changed"] is False
    # The effect of the overrides is unknown.
    assert "tritonclient" in make(overridden, check=True)["msg"]


def parsed(folder: Path) -> dict[str, t.Any]:
    """The configurations as Triton's protobuf messages, by model."""
    paths = folder.glob("*/config.pbtxt")
    return {path.parent.name: _model_config.parse(path.read_text(encoding="utf-8")) for path in paths}


TUTORIAL_WEIGHTS = "/tensorrtllm_backend/tensorrt_llm/examples/mixtral/Mixtral-8x7B-Instruct-v0.1"
TUTORIAL_ENGINE = "/tensorrtllm_backend/triton_model_repo/tensorrt_llm/1"
TUTORIAL_CPU = [{"count": 1, "kind": "KIND_CPU"}]
TUTORIAL_PARAMETERS: dict[str, dict[str, t.Any]] = {
    "ensemble": {"triton_max_batch_size": 1},
    "preprocessing": {"triton_max_batch_size": 1, "tokenizer_dir": TUTORIAL_WEIGHTS, "preprocessing_instance_count": 1},
    "postprocessing": {
        "triton_max_batch_size": 1,
        "tokenizer_dir": TUTORIAL_WEIGHTS,
        "postprocessing_instance_count": 1,
    },
    "tensorrt_llm": {
        # Also the only preferred_batch_size.
        "triton_max_batch_size": 1,
        "decoupled_mode": True,
        "max_queue_delay_microseconds": 100,
        "batching_strategy": "inflight_fused_batching",
        "engine_dir": TUTORIAL_ENGINE,
        "batch_scheduler_policy": "max_utilization",
    },
    "tensorrt_llm_bls": {"triton_max_batch_size": 1, "decoupled_mode": True, "bls_instance_count": 1},
}
# The template of 0.9.0 has no placeholders for these: a parameter that it lacks, and literals.
TUTORIAL_OVERRIDES: dict[str, dict[str, t.Any]] = {
    "preprocessing": {"parameters": {"skip_special_tokens": "True"}, "instance_group": TUTORIAL_CPU},
    "postprocessing": {"parameters": {"skip_special_tokens": "True"}, "instance_group": TUTORIAL_CPU},
    "tensorrt_llm": {"instance_group": TUTORIAL_CPU},
}


def edited_by_hand() -> dict[str, t.Any]:
    """Upstream's files after the tutorial's sixth step, with only the fields that it names edited."""
    configs = {}
    for model, template in upstream.templates("0.9.0").items():
        # Other placeholders need any value that can be parsed.
        words = {"decoupled_mode": "false", "max_queue_delay_microseconds": "0", "triton_max_batch_size": "9"}
        words.update(dict.fromkeys(("preprocessing_instance_count", "postprocessing_instance_count"), "9"))
        text = string.Template(template).safe_substitute(words, bls_instance_count="9")
        configs[model] = _model_config.parse(text)
    llm, bls = configs["tensorrt_llm"], configs["tensorrt_llm_bls"]
    for name, config in configs.items():
        config.max_batch_size = 1
        if name != "ensemble":
            config.instance_group[0].count, config.instance_group[0].kind = 1, type(config.instance_group[0]).KIND_CPU
    for name in ("preprocessing", "postprocessing"):
        configs[name].parameters["tokenizer_dir"].string_value = TUTORIAL_WEIGHTS
        configs[name].parameters["skip_special_tokens"].string_value = "True"
    llm.model_transaction_policy.decoupled = bls.model_transaction_policy.decoupled = True
    llm.dynamic_batching.preferred_batch_size[:] = [1]
    llm.dynamic_batching.max_queue_delay_microseconds = 100
    llm.parameters["gpt_model_type"].string_value = "inflight_fused_batching"
    llm.parameters["gpt_model_path"].string_value = TUTORIAL_ENGINE
    llm.parameters["batch_scheduler_policy"].string_value = "max_utilization"
    return configs


def test_the_five_edits_of_the_tutorial(site: Site, make: t.Callable[..., Result], tmp_path: Path) -> None:
    src = upstream.write_templates("0.9.0", tmp_path / "0.9.0")
    arguments = site.arguments(src=src, parameters=TUTORIAL_PARAMETERS, overrides=TUTORIAL_OVERRIDES)
    assert make(arguments)["changed"]
    rendered, wanted = parsed(site.dest), edited_by_hand()
    assert sorted(rendered) == sorted(wanted) and len(wanted) == 5
    for name, config in wanted.items():
        assert rendered[name] == config, name


def values_of(release: str) -> dict[str, dict[str, t.Any]]:
    """A value for each placeholder that the version's templates require."""
    return {
        model: {**upstream.values(template), **dict.fromkeys(required_of(release)[model], "x")}
        for model, template in upstream.templates(release).items()
    }


def required_of(release: str) -> dict[str, list[str]]:
    """Placeholders that can be parsed unfilled, but make no sense, according to the catalogue."""
    groups = load_catalogue().releases[release]["placeholders"]
    return {model: names["required_for_sense"] for model, names in groups.items()}


@pytest.mark.parametrize("release", upstream.RELEASES)
def test_templates_of_each_version_on_a_control_node(release: str, tmp_path: Path) -> None:
    """With the ad hoc command, without a play or a host; then without each value in turn, which is refused."""
    parameters = values_of(release)
    src = upstream.write_templates(release, tmp_path / "templates")
    arguments = {"src": str(src), "dest": f"{tmp_path}/models", "release": release}
    given = json.dumps({**arguments, "parameters": parameters})
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost"]
    command += ["-m", "tritonops.trtllm.triton_model_repository", "-e", f"ansible_python_interpreter={sys.executable}"]
    environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "HOME": str(tmp_path)}
    done = subprocess.run([*command, "-a", given], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "localhost | CHANGED" in done.stdout
    rendered = parsed(tmp_path / "models")
    assert sorted(rendered) == sorted(parameters) and len(rendered) == 5
    for model, config in rendered.items():
        assert config.max_batch_size == parameters[model]["triton_max_batch_size"]
    for model, values in parameters.items():
        for name in values:
            fewer = {**parameters, model: {key: value for key, value in values.items() if key != name}}
            request = _model_repository.Request(
                src=str(src), release=release, parameters=fewer, required=required_of(release)
            )
            with pytest.raises(ModuleFailure, match=f"of release {release}: model '{model}'"):
                _model_repository.plan_repository(request)
