# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact import _artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    EngineImageMismatch,
    artifact_key,
    check_engine_image,
    check_space,
    ensure,
    read_artifact,
    reason_to_make,
    source_key,
    try_hard_link,
)

INPUTS = {"argv": ["trtllm-build", "--max_batch_size", "1"], "image": "sha256:aa"}


def build(content=b"engine"):
    def make(draft):
        progress = draft.begin()
        with open(os.path.join(draft.payload, "rank0.engine"), "wb") as stream:
            stream.write(content)
        return draft.publish({"command": ["trtllm-build"]}, progress)

    return make


def refuse(_draft):
    raise AssertionError("nothing had to be made")


@pytest.fixture
def dest(tmp_path):
    return str(tmp_path / "engine" / "0123456789abcdef")


def test_everybody_can_read_an_artifact_whatever_the_umask(dest, tmp_path, strict_umask):
    """Containers run as another user. An executable stays one; what a link leads to is left alone."""
    theirs = tmp_path / "theirs"
    theirs.write_text("")

    def make(draft):
        progress = draft.begin()
        payload = Path(draft.payload)
        (payload / "more/deep").mkdir(parents=True)
        (payload / "more/deep/tokenizer.json").write_text("{}")
        (payload / "run.sh").write_text("#!/bin/sh")
        (payload / "run.sh").chmod(0o4700)
        (payload / "link").symlink_to(theirs)
        (payload / "dangling").symlink_to("nowhere")
        return draft.publish({}, progress, hashed=False)

    ensure(dest, INPUTS, make)
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in Path(dest).rglob("*") if not path.is_symlink()}
    assert modes == {
        "more": 0o755,
        "deep": 0o755,
        "run.sh": 0o755,
        "tokenizer.json": 0o644,
        "artifact.json": 0o644,
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in (Path(dest), Path(dest).parent)} == {0o755}
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o600


def test_files_that_others_cannot_read_are_not_linked(tmp_path):
    source = tmp_path / "source"
    for mode, linked in ((0o600, False), (0o640, False), (0o644, True), (0o444, True)):
        source.write_text("")
        source.chmod(mode)
        assert try_hard_link(str(source), str(tmp_path / oct(mode))) is linked
        source.unlink()


def test_key_is_calculated_from_the_canonical_form():
    assert artifact_key({"a": 1, "b": ["x", None, True]}) == artifact_key({"b": ("x", None, True), "a": 1})
    assert artifact_key({"a": 1}) != artifact_key({"a": "1"})
    # Recorded: a key that changes between releases of the collection would rebuild every engine.
    assert artifact_key({"a": 1, "b": "ü"}) == "810a43bc0215b9ea"


def test_key_refuses_values_that_json_cannot_represent():
    with pytest.raises(TypeError, match="not set"):
        artifact_key({"a": {1, 2}})


def test_an_artifact_is_created_once(dest):
    first = ensure(dest, INPUTS, build())
    assert (first.changed, first.reason) == (True, f"no artifact at {dest}")
    assert sorted(os.listdir(dest)) == ["artifact.json", "rank0.engine"]
    record = read_artifact(dest)
    assert record["inputs"] == INPUTS
    assert record["files"]["rank0.engine"]["size"] == 6
    assert sorted(os.listdir(os.path.dirname(dest))) == ["0123456789abcdef", "0123456789abcdef.lock"]
    again = ensure(dest, INPUTS, refuse)
    assert (again.changed, again.sentence) == (False, None)


def test_check_mode_creates_nothing(dest):
    assert ensure(dest, INPUTS, refuse, check_mode=True).changed
    assert not os.path.exists(os.path.dirname(dest))


def test_changed_inputs_are_named_and_the_old_folder_is_replaced(dest):
    ensure(dest, INPUTS, build(b"old"))
    outcome = ensure(dest, {**INPUTS, "image": "sha256:bb", "gpu": "A100"}, build(b"newer"))
    assert outcome.reason == "inputs changed: gpu, image"
    assert reason_to_make(dest, {**INPUTS, "image": "sha256:bb", "gpu": "A100"}, verify=True) is None
    assert sorted(os.listdir(os.path.dirname(dest))) == [os.path.basename(dest), f"{os.path.basename(dest)}.lock"]


def test_a_failed_build_keeps_the_old_artifact(dest):
    ensure(dest, INPUTS, build(b"old"))

    def fail(draft):
        draft.begin()
        raise ArtifactError("no")

    with pytest.raises(ArtifactError):
        ensure(dest, {"image": "other"}, fail)
    assert reason_to_make(dest, INPUTS, verify=True) is None


@pytest.mark.parametrize(
    "damage, reason",
    [
        (os.unlink, "file rank0.engine is missing"),
        (lambda path: Path(path).write_bytes(b"engine!"), "file rank0.engine has size 7 instead of 6"),
    ],
)
def test_damage_is_detected_and_repaired(dest, damage, reason):
    ensure(dest, INPUTS, build())
    damage(os.path.join(dest, "rank0.engine"))
    assert reason_to_make(dest, INPUTS) == reason
    assert ensure(dest, INPUTS, build()).reason == reason
    assert reason_to_make(dest, INPUTS, verify=True) is None


def test_only_verify_detects_a_flipped_byte(dest):
    ensure(dest, INPUTS, build())
    with open(os.path.join(dest, "rank0.engine"), "wb") as stream:
        stream.write(b"Engine")
    assert reason_to_make(dest, INPUTS) is None
    assert "file rank0.engine has sha256" in reason_to_make(dest, INPUTS, verify=True)


@pytest.mark.parametrize(
    "record", ['{"inputs": ', "[" * 100000, "{}", '{"inputs": {}, "key": "of another"}'], ids=lambda text: text[:30]
)
def test_a_folder_with_an_unreadable_record_is_not_ours(dest, record):
    ensure(dest, INPUTS, build())
    path = Path(dest, "artifact.json")
    path.write_text(record)
    for check_mode in (True, False):
        with pytest.raises(ArtifactError, match=r"is not empty and contains no artifact\.json written by this"):
            ensure(dest, INPUTS, refuse, check_mode=check_mode)
    assert path.read_text() == record


def test_an_empty_folder_is_used(dest):
    os.makedirs(dest)
    assert ensure(dest, INPUTS, build()).reason == f"{dest} is empty"


def folder(path):
    os.makedirs(path)
    Path(path, "theirs").write_text("theirs")


@pytest.mark.parametrize("suffix", ["", ".partial", ".lock"])
@pytest.mark.parametrize(
    "put",
    [
        lambda path: Path(path).write_text("theirs"),
        folder,
        lambda path: (folder(f"{path}-there"), os.symlink(f"{path}-there", path)),
        lambda path: (Path(f"{path}-there").write_text("theirs"), os.symlink(f"{path}-there", path)),
    ],
    ids=["file", "folder", "link to a folder", "link to a file"],
)
def test_files_of_others_are_left_alone(dest, suffix, put):
    parent = Path(dest).parent
    parent.mkdir()
    put(f"{dest}{suffix}")
    (parent / f"{Path(dest).name}.old").mkdir()
    before = {path: path.lstat().st_mtime_ns for path in parent.rglob("*")}
    with pytest.raises((ArtifactError, OSError)):
        ensure(dest, INPUTS, build())
    assert before.items() <= {path: path.lstat().st_mtime_ns for path in parent.rglob("*")}.items()
    assert [path.read_text() for path in parent.rglob("*") if path.is_file() and path.stat().st_size > 6] == []


@pytest.mark.parametrize("source", [".", "..", "sub/folder", "../0123456789abcdef.partial/payload", "../link"], ids=str)
def test_a_source_that_overlaps_dest_is_refused(dest, source):
    ensure(dest, INPUTS, build())
    os.symlink(dest, os.path.join(os.path.dirname(dest), "link"))
    with pytest.raises(ArtifactError, match=r"dest .*and src .*must not be the same folder, nor one inside the other"):
        ensure(dest, {**INPUTS, "more": 1}, refuse, sources={"src": os.path.join(dest, source)})
    assert read_artifact(dest)["inputs"] == INPUTS


@pytest.mark.parametrize("mark", ["{}", "[]", '{"workflow.input": "theirs"}', '{"inputs": {}, "key": "of another"}'])
def test_a_working_folder_of_others_is_refused(dest, mark):
    theirs = Path(f"{dest}.partial", "precious")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    Path(f"{dest}.partial", "inputs.json").write_text(mark)
    with pytest.raises(ArtifactError, match=r"\.partial is not empty and contains no inputs\.json written by"):
        ensure(dest, INPUTS, build())
    assert theirs.read_text() == "theirs"


@pytest.mark.parametrize("inputs", ['{"a": NaN}', '{"a": ' + "[" * 900 + "]" * 900 + "}"], ids=lambda text: text[:30])
def test_a_record_whose_inputs_have_no_key_is_refused(dest, inputs):
    os.makedirs(dest)
    Path(dest, "artifact.json").write_text(f'{{"inputs": {inputs}, "key": "x"}}')
    with pytest.raises(ArtifactError, match="is not empty"):
        ensure(dest, INPUTS, build())


@pytest.mark.parametrize("files", ["[1]", '{"f": {}}', '{"f": 1}'])
def test_a_record_without_valid_files_is_refused(dest, files):
    ensure(dest, INPUTS, build())
    record = {**read_artifact(dest), "files": json.loads(files)}
    Path(dest, "artifact.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match="is not empty"):
        ensure(dest, INPUTS, build())


@pytest.mark.parametrize("there", ["nothing", "empty", "other inputs"])
def test_a_trailing_slash_is_ignored(dest, there):
    if there == "empty":
        os.makedirs(dest)
    elif there == "other inputs":
        ensure(dest, {"a": 1}, build())
    assert ensure(f"{dest}/", INPUTS, build()).changed
    assert sorted(os.listdir(dest)) == ["artifact.json", "rank0.engine"]
    assert sorted(os.listdir(os.path.dirname(dest))) == [os.path.basename(dest), f"{os.path.basename(dest)}.lock"]


def test_file_systems_mounted_in_a_folder_are_not_removed(dest, monkeypatch):
    ensure(dest, INPUTS, build())
    Path(dest, "extra").mkdir()
    monkeypatch.setattr(_artifact, "mounts_in", lambda path: [f"{dest}/extra"] if path == dest else [])
    with pytest.raises(ArtifactError, match="has a file system mounted at"):
        ensure(dest, {"a": 1}, build())
    with pytest.raises(ArtifactError, match="which is not removed: unmount it first"):
        _artifact.remove(dest)
    assert Path(dest, "extra").is_dir()


def test_mount_points_are_those_of_the_system():
    assert "/proc" in _artifact.mounts_in("/") and _artifact.mounts_in("/proc")[0] == "/proc"
    assert _artifact.mounts_in("/nowhere") == []
    mounts = "/dev/sda / ext4 rw 0 0\ntmpfs /srv/a\\040b\\134c tmpfs rw 0 0\n"
    assert _artifact.mount_points(mounts) == ["/", "/srv/a b\\c"]


def test_a_working_folder_whose_mark_was_not_finished(dest):
    os.makedirs(f"{dest}.partial")
    Path(f"{dest}.partial", "inputs.json.new").write_text("{")
    assert ensure(dest, INPUTS, build()).changed


def test_a_killed_exchange_is_completed(dest):
    """Between the two renames the old folder is in the partial one."""
    ensure(dest, INPUTS, build(b"old"))
    draft = _artifact.Draft(dest, {"a": 1})
    draft.begin()
    os.rename(dest, draft.path("replaced"))
    assert ensure(dest, {"a": 1}, build(b"new")).reason == f"no artifact at {dest}"
    assert Path(dest, "rank0.engine").read_bytes() == b"new"
    assert not os.path.exists(draft.partial)


def test_what_begin_keeps(dest):
    draft = _artifact.Draft(dest, {"a": 1})
    draft.begin()
    leftover = os.path.join(draft.payload, "half")
    open(leftover, "w", encoding="ascii").close()
    draft.begin(keep=True)
    assert os.path.exists(leftover)
    _artifact.Draft(dest, {"a": 2}).begin(keep=True)
    assert not os.path.exists(leftover)
    open(leftover, "w", encoding="ascii").close()
    _artifact.Draft(dest, {"a": 2}).begin()
    assert not os.path.exists(leftover)


CHILD = textwrap.dedent(
    """
    import os, sys
    from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ensure

    def make(draft):
        progress = draft.begin()
        progress.start("build", total=100)
        open(os.path.join(draft.payload, "rank0.engine"), "w").write("half")
        print("building", flush=True)
        sys.stdin.readline()
        return draft.publish({}, progress)

    outcome = ensure(sys.argv[1], {"n": 1}, make)
    print(outcome.changed, outcome.sentence, flush=True)
    """
)


def start_child(dest):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, dest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_killed_run_frees_the_lock_and_leaves_no_final_name(dest):
    child = start_child(dest)
    assert child.stdout.readline() == "building\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert not os.path.exists(dest)
    assert os.path.exists(f"{dest}.partial/payload/rank0.engine")
    outcome = ensure(dest, {"n": 1}, build())
    assert (outcome.changed, outcome.waited_for) == (True, None)
    assert not os.path.exists(f"{dest}.partial")


def test_the_second_run_waits_and_finds_it_done(dest):
    child = start_child(dest)
    assert child.stdout.readline() == "building\n"
    with open(f"{dest}.partial/progress.json", encoding="ascii") as stream:
        assert json.load(stream)["phase"] == "build"
    outcomes = []
    second = threading.Thread(target=lambda: outcomes.append(ensure(dest, {"n": 1}, refuse)))
    second.start()
    second.join(0.3)
    assert second.is_alive() and not outcomes
    out, _err = child.communicate("go\n")
    second.join(60)
    assert out.startswith("True no artifact at")
    assert outcomes[0].changed is False
    assert outcomes[0].sentence == f"another run (pid {child.pid}) created it in the meantime"


def test_space_is_checked_on_the_file_system_of_dest(tmp_path):
    check_space(str(tmp_path / "not" / "yet"), 1, "weights")
    with pytest.raises(ArtifactError, match=r"no space left for weights in .*ENOSPC\): 1e\+06 TB needed, .* available"):
        check_space(str(tmp_path / "not" / "yet"), 10**18, "weights")


def test_running_out_of_space_is_one_sentence(dest):
    def make(draft):
        draft.begin()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ArtifactError, match=r"no space left for 0123456789abcdef .* available; free space"):
        ensure(dest, INPUTS, make)


def test_source_key(dest, tmp_path):
    ensure(dest, INPUTS, build())
    assert source_key(dest) == artifact_key(INPUTS)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "config.json").write_text("{}")
    before = source_key(str(plain))
    (plain / "config.json").write_text("{ }")
    assert source_key(str(plain)) != before
    assert source_key("/gone/0123456789abcdef") == "0123456789abcdef"
    with pytest.raises(ArtifactError, match="/gone/away does not exist"):
        source_key("/gone/away")


def test_engine_of_another_image(dest):
    ensure(dest, INPUTS, build())
    check_engine_image(dest, "sha256:aa")
    with pytest.raises(EngineImageMismatch, match="was built with image sha256:aa but would be served with sha256:bb"):
        check_engine_image(dest, "sha256:bb")
    with pytest.raises(ArtifactError, match="not a complete engine"):
        check_engine_image(os.path.dirname(dest), "sha256:aa")


def version(tmp_path, text):
    """A finished folder in a partial one, ready to be renamed to dest."""
    payload = tmp_path / f"{text}.partial/payload"
    payload.mkdir(parents=True)
    (payload / "content").write_text(text)
    _artifact.write_json(str(payload / "artifact.json"), _artifact.marked({"text": text}))
    return str(payload)


@pytest.fixture
def live(tmp_path, monkeypatch):
    """A folder in use, and what was there after each rename."""
    dest, seen = tmp_path / "live", []
    _artifact.replace_folder(version(tmp_path, "old"), str(dest))
    real = os.rename

    def rename(source, target):
        real(source, target)
        seen.append((dest / "content").read_text() if dest.exists() else None)

    monkeypatch.setattr(os, "rename", rename)
    return dest, seen


def test_a_folder_in_use_is_replaced_in_one_step(live, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    if not _artifact.exchange(str(one), str(other)):
        pytest.skip("this file system cannot exchange folders")
    dest, seen = live
    _artifact.replace_folder(version(tmp_path, "new"), str(dest))
    assert seen == ["old"]
    assert (dest / "content").read_text() == "new"
    assert list((tmp_path / "new.partial").iterdir()) == []


@pytest.mark.parametrize("lacks", ["function", "support"])
def test_without_an_exchange_the_old_folder_is_renamed(live, tmp_path, monkeypatch, lacks):
    libraries = {"function": SimpleNamespace(), "support": SimpleNamespace(renameat2=lambda *_arguments: -1)}
    monkeypatch.setattr(_artifact.ctypes, "CDLL", lambda _name: libraries[lacks])
    dest, seen = live
    _artifact.replace_folder(version(tmp_path, "new"), str(dest))
    assert seen == ["old", None, "new"]
    assert list((tmp_path / "new.partial").iterdir()) == []


def test_what_a_run_killed_in_between_left_is_removed(tmp_path):
    dest = tmp_path / "live"
    payload = version(tmp_path, "new")
    for name in ("ready", "replaced"):
        (tmp_path / "new.partial" / name).mkdir()
    _artifact.replace_folder(payload, str(dest))
    assert (dest / "content").read_text() == "new" and list((tmp_path / "new.partial").iterdir()) == []


def test_the_old_folder_is_never_continued_as_a_payload(tmp_path, monkeypatch):
    """A run killed after the exchange keeps the working folder, which the next run may continue."""
    inputs = {"a": 1}
    dest = str(tmp_path / "artifact")
    ensure(dest, inputs, build(b"old"))
    draft = _artifact.Draft(dest, inputs)
    draft.begin()
    _artifact.write_json(os.path.join(draft.payload, "artifact.json"), _artifact.marked(inputs))
    real = _artifact.remove

    def killed(path):
        if os.path.basename(path) == "ready" and os.path.exists(path):
            raise KeyboardInterrupt
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr(_artifact, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            _artifact.replace_folder(draft.payload, dest)
    draft.begin(keep=True)
    assert os.listdir(draft.payload) == []


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "others"),
    [
        (0, 0, 0o644, False),
        (1000, 1000, 0o644, False),
        (0, 0, 0o664, False),
        (1001, 0, 0o644, True),
        (1001, 0, 0o444, True),
        (0, 1001, 0o664, True),
        (0, 0, 0o646, True),
    ],
)
def test_who_can_write_to_a_file(monkeypatch, uid, gid, mode, others):
    """The owner of a file can change its mode."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    assert _artifact.others_can_write(SimpleNamespace(st_uid=uid, st_gid=gid, st_mode=mode)) is others
