# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""trtllm_checkpoint and trtllm_engine with a stand-in for the Docker SDK's client, with the SDK's types and errors."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from threading import Event

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    locked,
    make_partial,
    read_artifact,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend import _tool_step
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_checkpoint, trtllm_engine
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option

docker = pytest.importorskip("docker")
pytest.importorskip("safetensors")

IMAGE = "sha256:" + "ab" * 32


class FakeContainer:
    def __init__(self, engine, created):
        self.engine = engine
        self.created = created
        self.attrs = {"State": {"OOMKilled": engine.out_of_memory}}
        self.started = False
        self.name = created["name"]
        self.labels = created.get("labels", {})
        self.killed = Event()

    def kill(self):
        self.engine.exit_code = 137
        self.killed.set()

    def attach(self, **options):
        assert options == {"stdout": True, "stderr": True, "stream": True, "logs": True}
        assert not self.started
        return self._output()

    def _output(self):
        assert self.started
        target = {mount["Target"]: mount["Source"] for mount in self.created["mounts"]}
        self.engine.tool(Path(target["/dest"]))
        yield self.engine.output
        if self.engine.hangs:
            assert self.killed.wait(60)

    def start(self):
        self.started = True

    def wait(self):
        return {"Error": None, "StatusCode": self.engine.exit_code}

    def reload(self):
        pass

    def remove(self, force, v):
        assert force and v
        self.engine.removed.append(self.created["name"])
        del self.engine.existing[self.created["name"]]


class FakeEngine:
    """The methods of docker.DockerClient that are used."""

    def __init__(self):
        self.existing = {}
        self.created = []
        self.removed = []
        self.tool = lambda dest: None
        self.output = b"converting\n"
        self.exit_code = 0
        self.out_of_memory = False
        self.hangs = False
        self.containers = self

    def ping(self):
        return True

    def get(self, name):
        if name not in self.existing:
            raise docker.errors.NotFound("No such container: " + name)
        return self.existing[name]

    def list(self, all, filters, ignore_removed):
        assert all and ignore_removed
        return [container for container in self.existing.values() if filters["label"] in container.labels]

    def create(self, **created):
        if created["name"] in self.existing:
            raise docker.errors.APIError("Conflict. The container name is already in use")
        self.created.append(created)
        self.existing[created["name"]] = FakeContainer(self, created)
        return self.existing[created["name"]]


@pytest.fixture
def engine(monkeypatch):
    fake = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda **_options: fake)
    return fake


@pytest.fixture
def src(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def run(capsys, tmp_path, src):
    def call(module=trtllm_checkpoint, check=False, **arguments):
        arguments = {
            "src": str(src),
            "dest": str(tmp_path / "out" / "key"),
            "image": IMAGE,
            "release": "0.17.0",
            "command": ["python3", "/app/examples/llama/convert_checkpoint.py", "--model_dir", "/src"],
            **({"converter": "upstream"} if module is trtllm_checkpoint else {}),
            "world_size": 2,
            "log_patterns": log_patterns_option(),
            "_ansible_check_mode": check,
            **arguments,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return call


def write_safetensors(path):
    header = json.dumps({"w": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"1234")


def convert(dest, ranks=2):
    (dest / "config.json").write_text(json.dumps({"mapping": {"world_size": ranks}}))
    for rank in range(ranks):
        write_safetensors(dest / f"rank{rank}.safetensors")


def build(dest):
    config = {"build_config": {"max_batch_size": 1}, "pretrained_config": {"mapping": {"world_size": 2}}}
    (dest / "config.json").write_text(json.dumps(config))
    for rank in range(2):
        (dest / f"rank{rank}.engine").write_bytes(b"engine")


def test_a_checkpoint_is_created_once(run, engine, tmp_path):
    engine.tool = convert
    predicted = run(check=True)
    assert predicted["changed"] and engine.created == [] and not (tmp_path / "out").exists()
    result = run(expected_bytes=1000, gpus=["all"])
    assert result["changed"], result
    assert (result["reason"], result["world_size"]) == (predicted["reason"], 2)
    dest = tmp_path / "out/key"
    assert sorted(os.listdir(dest)) == [
        "artifact.json",
        "config.json",
        "rank0.safetensors",
        "rank1.safetensors",
        "tool.log",
    ]
    assert (dest / "tool.log").read_bytes() == b"converting\n"
    record = read_artifact(str(dest))
    assert record["inputs"]["image"] == IMAGE and record["inputs"]["converter"] == "upstream"
    assert engine.existing == {}
    again = run()
    assert (again["changed"], again["reason"], again["duration"]) == (False, None, None)
    assert len(engine.created) == 1


@pytest.mark.parametrize(("total", "limit"), [(0, None), (1 << 30, None), (16 << 30, 14 << 30), (100 << 30, 95 << 30)])
def test_a_tool_leaves_memory_to_the_host(run, engine, monkeypatch, total, limit):
    monkeypatch.setattr(_tool_step, "memory_total", lambda: total)
    engine.tool = convert
    run()
    assert engine.created[0]["mem_limit"] == limit


def test_variables_of_the_user_come_first(run, engine):
    engine.tool = convert
    run(env={"HOME": "/dest", "USER": "me"})
    assert (engine.created[0]["environment"]["HOME"], engine.created[0]["environment"]["USER"]) == ("/dest", "me")


def test_the_container_only_sees_its_folders(run, engine, src, tmp_path, monkeypatch):
    monkeypatch.setattr(_tool_step, "memory_total", lambda: 16 << 30)
    engine.tool = convert
    clone = tmp_path / "clone"
    clone.mkdir()
    run(gpus=["0", "1"], shm_size="4g", env={"TOKENIZERS_PARALLELISM": False}, backend_files=str(clone))
    created = engine.created[0]
    partial = f"{tmp_path}/out/key.partial/payload"
    assert created["mounts"] == [
        {"Target": "/src", "Source": str(src), "Type": "bind", "ReadOnly": True},
        {"Target": "/backend", "Source": str(clone), "Type": "bind", "ReadOnly": True},
        {"Target": "/dest", "Source": partial, "Type": "bind", "ReadOnly": False},
    ]
    assert created["network_mode"] == "none"
    assert (created["cap_drop"], created["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert created["environment"] == {
        "HOME": "/tmp",
        "USER": "trtllm",
        "LOGNAME": "trtllm",
        "TOKENIZERS_PARALLELISM": "False",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    }
    assert (created["read_only"], created["working_dir"]) == (True, "/tmp")
    assert created["tmpfs"] == {"/tmp": "exec,size=8g"}
    assert created["pids_limit"] == 32768
    assert created["mem_limit"] == 14 << 30
    assert created["shm_size"] == "4g"
    assert created["ulimits"] == [
        {"Name": "memlock", "Soft": -1, "Hard": -1},
        {"Name": "stack", "Soft": 67108864, "Hard": 67108864},
    ]
    request = created["device_requests"][0]
    assert (request["DeviceIDs"], request["Count"], request["Capabilities"]) == (["0", "1"], 0, [["gpu"]])
    record = read_artifact(f"{tmp_path}/out/key")
    assert created["name"] == f"trtllm-checkpoint-{record['key']}"


@pytest.mark.parametrize("gpus, requests", [([], []), (["all"], [(-1, [])])])
def test_gpus(run, engine, gpus, requests):
    engine.tool = convert
    run(gpus=gpus)
    assert [(item["Count"], item["DeviceIDs"]) for item in engine.created[0]["device_requests"]] == requests


@pytest.mark.parametrize("name", ["tool.log", "artifact.json", "rank0.engine", "more/deep.txt"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "link to a folder", "pipe"])
def test_links_and_pipes_in_a_tools_output_are_refused(run, engine, tmp_path, name, kind):
    """Root would follow them on the host."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    victim = theirs / "authorized_keys"
    victim.write_text("ssh-ed25519 theirs")
    victim.chmod(0o600)

    def leave(dest):
        build(dest)
        path = dest / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to({"link": victim, "dangling link": theirs / "new", "link to a folder": theirs}[kind])

    engine.tool = leave
    result = run(trtllm_engine)
    assert f"'{name}' is " in result["msg"] and "has unsafe file names" in result["msg"]
    assert not (tmp_path / "out/key").exists()
    assert (victim.read_text(), victim.stat().st_nlink, victim.stat().st_mode & 0o777) == (
        "ssh-ed25519 theirs",
        1,
        0o600,
    )
    assert os.listdir(theirs) == ["authorized_keys"]


def test_modes_of_a_tools_output_are_corrected(run, engine, tmp_path):
    def leave(dest):
        convert(dest)
        (dest / "more").mkdir()
        (dest / "more/program").write_text("#!/bin/sh")
        (dest / "more/program").chmod(0o6777)
        (dest / "more").chmod(0o777)
        (dest / "config.json").chmod(0o600)
        assert dest.parent.stat().st_mode & 0o777 == 0o700

    engine.tool = leave
    assert run()["changed"]
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "out/key").rglob("*")}
    assert (modes.pop("more"), modes.pop("program"), set(modes.values())) == (0o755, 0o755, {0o644})


@pytest.mark.parametrize(
    "config",
    [
        *("[" * 100000, "[]", '{"build_config": {}, "pretrained_config": 5}'),
        '{"build_config": {}, "pretrained_config": null}',
        '{"build_config": {}, "pretrained_config": {"mapping": []}}',
    ],
    ids=lambda text: text[:60],
)
def test_an_invalid_config_is_refused(run, engine, config):
    def leave(dest):
        build(dest)
        (dest / "config.json").write_text(config)

    engine.tool = leave
    assert "the engine is not complete: config.json" in run(trtllm_engine)["msg"]


@pytest.mark.parametrize("name", ["artifact.json", "tool.log", "a\nb", "a\\b"])
def test_reserved_names_in_a_tools_output_are_refused(run, engine, name, tmp_path):
    def leave(dest):
        build(dest)
        (dest / name).write_text("{}")

    engine.tool = leave
    assert "the output of convert_checkpoint.py has unsafe file names" in run(trtllm_engine)["msg"]
    assert not (tmp_path / "out/key").exists()


@pytest.mark.parametrize("module", [trtllm_checkpoint, trtllm_engine])
def test_files_of_others_at_dest_are_refused(run, engine, tmp_path, module):
    engine.tool = convert
    theirs = tmp_path / "out/key/thesis.tex"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    for check in (True, False):
        assert "out/key is not empty and contains no artifact.json" in run(module, check=check)["msg"]
    assert theirs.read_text() == "theirs" and engine.created == []


@pytest.mark.parametrize("module", [trtllm_checkpoint, trtllm_engine])
def test_a_source_that_changes_while_the_tool_runs_is_refused(run, engine, src, module):
    def tool(dest):
        (convert if module is trtllm_checkpoint else build)(dest)
        (src / "config.json").write_text('{"changed": true}')

    engine.tool = tool
    message = run(module)["msg"]
    assert message == f"the source {src} changed meanwhile: wait until nothing writes to it, and run again"
    assert run(module, check=True)["changed"]


@pytest.mark.parametrize("module", [trtllm_checkpoint, trtllm_engine])
def test_check_mode_before_the_source_exists(run, engine, tmp_path, module):
    assert run(module, check=True, src=str(tmp_path / "later"))["changed"]


@pytest.mark.parametrize("dest", ["weights", "weights/out", "."])
def test_dest_in_the_way_of_src(run, engine, tmp_path, src, dest):
    assert "must not be the same folder, nor one inside the other" in run(dest=str(tmp_path / dest))["msg"]
    assert (src / "config.json").read_text() == "{}"


def test_an_orphaned_container_is_removed_before_its_folder_is_emptied(run, engine, tmp_path):
    engine.tool = convert
    run()
    name = engine.created[0]["name"]
    partial = tmp_path / "out/key.partial/payload"
    (tmp_path / "out/key/config.json").unlink()
    make_partial(str(tmp_path / "out/key"), {})
    (partial / "rank7.safetensors").write_bytes(b"half")
    orphan = engine.existing[name] = FakeContainer(engine, {"name": name})
    seen = []
    orphan.remove = lambda force, v: (seen.append((partial / "rank7.safetensors").exists()), engine.existing.clear())
    result = run()
    assert seen == [True]
    assert result["reason"] == "file config.json is missing"
    assert not (tmp_path / "out/key/rank7.safetensors").exists()


@pytest.fixture
def orphan(engine):
    def leave(name, **labels):
        engine.existing[name] = FakeContainer(engine, {"name": name, "labels": labels})

    return leave


def test_containers_of_killed_runs_are_removed(run, engine, tmp_path, orphan):
    """The container of a killed run would keep the GPUs until the same artifact is made again."""
    engine.tool = convert
    (tmp_path / "engines").mkdir()
    orphan("killed", **{"tritonops.trtllm.dest": f"{tmp_path}/engines/key"})
    orphan("folder-is-gone", **{"tritonops.trtllm.dest": f"{tmp_path}/gone/key"})
    orphan("running", **{"tritonops.trtllm.dest": f"{tmp_path}/engines/other"})
    orphan("other-root", **{"tritonops.trtllm.dest": f"{tmp_path}2/engines/key"})
    orphan("theirs", maintainer="someone")
    with locked(f"{tmp_path}/engines/other"):
        run()
    assert sorted(engine.existing) == ["other-root", "running", "theirs"]
    assert engine.removed[:2] == ["killed", "folder-is-gone"]


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"image": "sha256:other"}, "inputs changed: image"),
        ({"image_digest": "sha256:other"}, "inputs changed: image"),
        ({"release": "0.18.0"}, "inputs changed: release"),
        ({"command": ["other"]}, "inputs changed: command"),
        ({"env": {"A": "b"}}, "inputs changed: env"),
    ],
)
def test_options_that_change_the_checkpoint(run, engine, change, reason):
    engine.tool = convert
    run()
    assert run(check=True, **change)["reason"] == reason


def test_other_weights_make_another_checkpoint(run, engine, src):
    engine.tool = convert
    run()
    (src / "config.json").write_text('{"hidden_size": 1}')
    assert run(check=True)["reason"] == "inputs changed: source"


def test_a_failure_is_reported_with_cause_remedy_and_last_lines(run, engine, tmp_path):
    engine.exit_code = 1
    words = "Traceback\nAssertionError: MPI size 1 != TP size 8 * PP size 1"
    engine.output = ("noise\n" * 500 + words).encode()
    failed = run()
    log = f"{tmp_path}/out/key.partial/tool.log"
    assert failed["msg"].startswith("convert_checkpoint.py failed with exit code 1\nCause: ")
    assert " Remedy: " in failed["msg"]
    assert f"The last lines of its log ({log}):\n" in failed["msg"]
    assert failed["msg"].endswith(words) and failed["msg"].count("noise") < 20
    assert (failed["rc"], failed["tool_log"]) == (1, log)
    assert engine.existing == {} and not (tmp_path / "out/key").exists()
    engine.exit_code, engine.tool = 0, convert
    assert run()["changed"]


@pytest.mark.parametrize("oom, by", [(True, "the kernel's out-of-memory killer"), (False, "signal 9")])
def test_exit_status_137_means_out_of_memory(run, engine, oom, by):
    engine.exit_code, engine.out_of_memory = 137, oom
    assert f"failed with exit code 137, killed by {by}. Remedy: the host ran out of memory" in run()["msg"]


@pytest.mark.parametrize(
    "module, tool", [(trtllm_checkpoint, "convert_checkpoint.py"), (trtllm_engine, "trtllm-build")]
)
def test_a_tool_that_hangs_is_stopped(run, engine, tmp_path, module, tool):
    engine.hangs, engine.output = True, b"[TensorRT-LLM] loading rank 1\n"
    failed = run(module, timeout=1, command=[tool])
    assert failed["msg"].startswith(
        f"{tool} did not end within 1 seconds and was stopped. Remedy: if its log shows that it was still working,"
    )
    assert failed["msg"].endswith("loading rank 1") and failed["tool_log"] == f"{tmp_path}/out/key.partial/tool.log"
    assert engine.existing == {} and not (tmp_path / "out/key").exists()


def test_a_tool_that_ends_in_time(run, engine):
    """Also if Docker is asked to stop it just then, and refuses."""

    def refuse():
        raise docker.errors.APIError("container is not running")

    def convert_slowly(dest):
        container = next(iter(engine.existing.values()))
        container.kill = refuse
        container.killed.wait(1.5)
        convert(dest)

    engine.tool = convert_slowly
    assert run(timeout=1)["changed"]


def only_config(dest):
    (dest / "config.json").write_text("{}")


def truncated(dest):
    convert(dest)
    (dest / "rank1.safetensors").write_bytes((dest / "rank1.safetensors").read_bytes()[:-1])


@pytest.mark.parametrize(
    "tool, words",
    [
        (lambda dest: None, "the checkpoint is not complete: config.json is missing"),
        (lambda dest: (dest / "config.json").write_text("{"), "config.json is not JSON"),
        (only_config, "rank0.safetensors is missing, rank1.safetensors is missing"),
        (lambda dest: convert(dest, 3), "config.json has world_size 3 instead of 2"),
        (truncated, "rank1.safetensors is not a complete safetensors file"),
    ],
)
def test_invalid_output_of_a_successful_tool_is_refused(run, engine, tmp_path, tool, words):
    engine.tool = tool
    failed = run()
    assert failed["failed"] and words in failed["msg"]
    assert not (tmp_path / "out/key").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"env": {"HF_TOKEN": "x", "API_KEY": "y"}}, "env: API_KEY, HF_TOKEN: secrets must not be in"),
        ({"src": "/nowhere"}, "the source /nowhere does not exist: create it first"),
        ({"ulimits": ["stack"]}, "ulimits: 'stack' does not have the form name=soft[:hard]"),
        ({"user": "root"}, "user: 'root' does not have the form uid or uid:gid"),
        ({"expected_bytes": 10**18}, "no space left for the checkpoint"),
        ({"timeout": 0}, "timeout: 0 is not a positive number of seconds"),
    ],
)
def test_bad_input(run, engine, tmp_path, arguments, words):
    failed = run(**arguments)
    assert failed["failed"] and words in failed["msg"]
    assert engine.created == [] and not (tmp_path / "out/key").exists()


def test_a_source_that_was_removed_to_save_space(run, engine, tmp_path):
    engine.tool = convert
    assert run(check=True, src="/gone/0123456789abcdef")["changed"]
    assert "no longer exists" in run(src="/gone/0123456789abcdef")["msg"]


def test_a_missing_image_is_reported(run, monkeypatch, engine):
    def create(**_created):
        raise docker.errors.ImageNotFound("404 Client Error", explanation=f"No such image: {IMAGE}")

    monkeypatch.setattr(engine, "create", create)
    assert run()["msg"] == (
        f"cannot create a container from {IMAGE}: No such image: {IMAGE}. Remedy: load or pull the image first, with"
        " tritonops.trtllm.trtllm_image"
    )


def test_docker_without_an_answer_is_reported(run, monkeypatch):
    def from_env(**_options):
        raise docker.errors.DockerException("Error while fetching server API version")

    monkeypatch.setattr(docker, "from_env", from_env)
    failed = run(docker_host="unix:///nowhere")
    assert failed["msg"].startswith("Docker at unix:///nowhere does not respond: Error while fetching")


def test_an_engine_is_built_once(run, engine, tmp_path):
    engine.tool = build
    arguments = {"module": trtllm_engine, "command": ["trtllm-build"], "gpu": "A100"}
    assert run(**arguments)["changed"]
    assert engine.created[0]["name"].startswith("trtllm-engine-")
    assert run(**arguments)["changed"] is False
    assert run(**{**arguments, "gpu": "H100"}, check=True)["reason"] == "inputs changed: gpu"
    assert read_artifact(f"{tmp_path}/out/key")["command"] == ["trtllm-build"]


@pytest.mark.parametrize(
    "tool, words",
    [
        (convert, "the engine is not complete: config.json has no build_config"),
        (lambda dest: (build(dest), (dest / "rank1.engine").unlink()), "rank1.engine is missing"),
        (lambda dest: (build(dest), (dest / "rank2.engine").touch()), "rank2.engine is not expected with world_size"),
        (lambda dest: (build(dest), (dest / "rank0.engine").write_bytes(b"")), "rank0.engine is empty"),
    ],
)
def test_an_incomplete_build_is_refused(run, engine, tool, words):
    engine.tool = tool
    failed = run(module=trtllm_engine, command=["trtllm-build"])
    assert failed["failed"] and words in failed["msg"]
