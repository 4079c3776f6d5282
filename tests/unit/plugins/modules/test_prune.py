# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With real folders, hard links, locks and processes. Docker is a stand-in; test_prune_docker.py has a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import locked, make_partial
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker import _containers
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune import _prune
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._root import prunable
from ansible_collections.tritonops.trtllm.plugins.modules import prune
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import SIZE, RootFolder


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path) -> RootFolder:
    return RootFolder(tmp_path / "trtllm")


Run = t.Callable[..., Result]


class NoDocker:
    """A host without Docker."""

    def __init__(self, *_arguments: t.Any) -> None:
        raise _containers.DockerError("Docker does not respond")


@pytest.fixture(name="run")
def fixture_run(host: RootFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(_prune, "Docker", NoDocker)
    record = str(host.path.parent / "host_record.json")
    return lambda check=False, **arguments: run_module(
        prune, capsys, check, **{"path": str(host.path), "host_record": record, "keep": 0, **arguments}
    )


def paths(result: Result) -> list[str]:
    return sorted(entry["path"] for entry in result["removed"])


def used(folder: Path) -> int:
    """The bytes of disk space, with each file counted once."""
    files = {(found.st_dev, found.st_ino): found for found in map(Path.lstat, folder.rglob("*"))}
    return sum(found.st_blocks * 512 for found in files.values())


# --- what is kept


def test_the_current_the_previous_and_the_last_proved_release_are_kept(host: RootFolder, run: Run) -> None:
    chains = [host.chain() for _release in range(5)]
    for number, chain in enumerate(chains):
        host.release(f"release-{number}", proved=number != 4, engine=chain["engine"])
    # A new release was switched to and not proved; the one before it was made later than the last proved one.
    host.serve("release-4", "release-1")
    result = run()
    assert paths(result) == sorted(
        path
        for number in (0, 2)
        for path in [*chains[number].values(), f"{host.path}/deployments/default/releases/release-{number}"]
    )
    assert all(Path(path).exists() for number in (1, 3, 4) for path in chains[number].values())
    assert not any(Path(path).exists() for path in paths(result))
    assert not run()["changed"]


@pytest.mark.parametrize(("keep", "left"), [(0, [4]), (1, [4]), (3, [2, 3, 4]), (9, [0, 1, 2, 3, 4])])
def test_the_newest_releases_are_kept(host: RootFolder, run: Run, keep: int, left: list[int]) -> None:
    for number in range(5):
        host.release(f"release-{number}", engine=host.artifact("engine"))
    host.serve("release-4")
    run(keep=keep)
    assert sorted(os.listdir(host.path / "deployments/default/releases")) == [f"release-{number}" for number in left]


def test_each_deployment_keeps_its_own(host: RootFolder, run: Run) -> None:
    shared = host.chain()
    for deployment in ("default", "small"):
        host.release("old", deployment, engine=shared["engine"])
        host.release("new", deployment, engine=shared["engine"])
    host.serve("new")
    host.serve("old", "new", deployment="small")
    assert paths(run()) == [f"{host.path}/deployments/default/releases/old"]


def test_artifacts_of_a_release_without_a_readable_record_are_kept(host: RootFolder, run: Run) -> None:
    """Nobody knows which ones it needs."""
    host.chain()
    folder = host.release("current")
    Path(folder, "release.json").write_bytes(b"\xff")
    host.serve("current")
    assert paths(run()) == []


def test_what_the_plan_names_is_kept(host: RootFolder, run: Run) -> None:
    wanted, other = host.chain(), host.chain()
    make_partial(f"{host.path}/weights/00000000000000aa", {})
    make_partial(f"{host.path}/weights/00000000000000bb", {})
    plan = {"needs": [{"disk": [{"path": wanted["engine"]}, {"path": f"{host.path}/weights/00000000000000aa"}]}]}
    result = run(wanted=plan)
    assert paths(result) == sorted([*other.values(), f"{host.path}/weights/00000000000000bb.partial"])


def test_a_log_is_kept_with_its_image(host: RootFolder, run: Run) -> None:
    (host.path / "logs").mkdir()
    key = os.path.basename(host.artifact("image", image="example/backend:1"))
    for name in (
        f"image-{key}.log",
        f"image-{key}.log.1",
        "image-00000000000000aa.log",
        "image-00000000000000aa.log.1",
    ):
        (host.path / "logs" / name).write_text("step 1\n")
    host.release("current", run="example/backend:1")
    host.serve("current")
    assert paths(run()) == [f"{host.path}/logs/image-00000000000000aa.log{suffix}" for suffix in ("", ".1")]


def test_a_cache_of_compiled_kernels_is_kept_with_its_image(host: RootFolder, run: Run) -> None:
    key = os.path.basename(host.artifact("image", image="example/backend:1"))
    caches = host.path / "deployments/default/cache"
    for name in (key, "00000000000000aa", "00000000000000bb", "mine"):
        (caches / name).mkdir(parents=True)
        (caches / name / "kernel.so").write_bytes(os.urandom(SIZE))
    (caches / "00000000000000cc").symlink_to(caches / "mine")
    host.release("current", run="example/backend:1")
    host.serve("current")
    process = holder(
        "import os, sys; os.chdir(sys.argv[1]); print(1, flush=True); input()", str(caches / "00000000000000bb")
    )
    try:
        result = run(check=True)
    finally:
        process.kill()
        process.wait()
    assert paths(result) == [f"{caches}/00000000000000aa"] and result["freed_bytes"] >= SIZE
    assert paths(run(check=True, wanted={"cache": f"{caches}/00000000000000aa"})) == [f"{caches}/00000000000000bb"]
    run()
    assert sorted(os.listdir(caches)) == ["00000000000000cc", key, "mine"]


# --- what is not ours


THEIRS = (
    *("thesis.tex", "weights/my-model/config.json", "engine/0123456789abcdee/artifact.json", "backend/poetry.lock"),
    *("checkpoint/mine.partial/payload/x", "weights/z.partial/inputs.json", "logs/nginx.log", "secrets/hf_token"),
    *("deployments/default/notes.md", "deployments/default/releases/mine/index.html", "deployments/other/index.html"),
    *("deployments/default/releases/mine.partial/index.html", "venv-0123456789ab/bin/python"),
)


def test_files_of_others_stay(host: RootFolder, run: Run) -> None:
    ours = host.chain()
    for name in THEIRS:
        (host.path / name).parent.mkdir(parents=True, exist_ok=True)
        (host.path / name).write_text("theirs")
    assert paths(run()) == sorted(ours.values())
    assert all((host.path / name).read_text() == "theirs" for name in THEIRS)


@pytest.mark.parametrize(
    "place", ["weights", "deployments", "deployments/default", "deployments/default/releases", "logs"]
)
def test_links_out_of_the_root_folder_are_not_followed(host: RootFolder, run: Run, place: str) -> None:
    """The folder outside has everything that makes a folder ours, except the mark of its root folder."""
    other = RootFolder(host.path.parent / "other")
    other.chain()
    other.release("old")
    (other.path / "logs").mkdir()
    (other.path / "logs/image-00000000000000aa.log").write_text("")
    before = other.files()
    (host.path / place).parent.mkdir(parents=True, exist_ok=True)
    (host.path / place).symlink_to(other.path / place)
    assert paths(run()) == [] and other.files() == before


def test_links_in_place_of_artifacts_and_releases_stay(host: RootFolder, run: Run) -> None:
    other = RootFolder(host.path.parent / "other")
    artifact, release = other.artifact("engine"), other.release("old")
    before = other.files()
    for folder, target in (("engine", artifact), ("deployments/default/releases", release)):
        (host.path / folder).mkdir(parents=True)
        (host.path / folder / "0123456789abcdef").symlink_to(target)
    assert paths(run()) == [] and other.files() == before


def test_links_in_an_artifact_are_removed_and_not_followed(host: RootFolder, run: Run) -> None:
    theirs = host.path.parent / "theirs"
    theirs.mkdir()
    (theirs / "precious").write_text("theirs")
    artifact = host.artifact("weights")
    Path(artifact, "link").symlink_to(theirs)
    assert paths(run()) == [artifact] and (theirs / "precious").read_text() == "theirs"


@pytest.mark.parametrize("path", ["/", "/etc", "/opt"])
def test_folders_of_the_system_are_refused(run: Run, path: str) -> None:
    assert "is a system folder" in run(check=True, path=path)["msg"]


def test_a_folder_without_the_mark_is_refused(host: RootFolder, run: Run) -> None:
    artifact = host.artifact("weights")
    (host.path / ".trtllm").unlink()
    assert "has no .trtllm" in run()["msg"] and Path(artifact).exists()
    assert prunable(str(host.path)) == {}


# --- what is in use


def test_what_another_run_makes_is_kept(host: RootFolder, run: Run) -> None:
    dest = f"{host.path}/weights/00000000000000aa"
    with locked(dest):
        make_partial(dest, {})
        predicted, result = run(check=True), run()
    assert paths(predicted) == []
    assert (paths(result), result["kept"]) == ([], [{"path": f"{dest}.partial", "why": _prune.BUSY}])
    assert paths(run()) == [f"{dest}.partial"]


def holder(*command: str) -> subprocess.Popen[bytes]:
    """A process that has printed a line, and waits."""
    process = subprocess.Popen([sys.executable, "-c", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline()
    return process


@pytest.mark.parametrize(
    "code",
    [
        "import sys; f = open(sys.argv[1] + '/payload/x', 'w'); print(1, flush=True); input()",
        "import os, sys; os.chdir(sys.argv[1]); print(1, flush=True); input()",
    ],
)
def test_a_partial_of_a_running_process_is_kept(host: RootFolder, run: Run, code: str) -> None:
    """Such as that of a container whose run was killed, and which therefore holds no lock."""
    dest = f"{host.path}/engine/00000000000000aa"
    make_partial(dest, {})
    process = holder(code, f"{dest}.partial")
    try:
        result = run()
        assert (paths(result), [entry["path"] for entry in result["kept"]]) == ([], [f"{dest}.partial"])
    finally:
        process.kill()
        process.wait()
    assert paths(run()) == [f"{dest}.partial"]


def test_a_file_that_the_served_release_has_open_does_not_keep_an_old_one(host: RootFolder, run: Run) -> None:
    engine = host.artifact("engine")
    old, new = host.release("old", engine=engine), host.release("new", engine=engine)
    host.serve("new")
    process = holder("import sys; f = open(sys.argv[1]); print(1, flush=True); input()", f"{new}/model/rank0.engine")
    try:
        assert paths(run()) == [old]
    finally:
        process.kill()
        process.wait()


def test_a_release_that_a_container_serves_is_kept_with_what_it_needs(host: RootFolder, run: Run) -> None:
    """A run was killed after the switch: the container still serves the release before it. It has it mounted."""
    served, current = host.chain(), host.chain()
    old = host.release("old", proved=False, engine=served["engine"])
    host.release("new", engine=current["engine"])
    host.serve("new")
    mount = "mount --bind $1 /mnt && echo mounted && read wait"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", mount, "sh", old], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        if not process.stdout.readline():
            pytest.skip("namespaces cannot be made here")
        result = run()
        assert paths(result) == []
        assert [entry["path"] for entry in result["kept"]] == sorted([old, *served.values()])
    finally:
        process.kill()
        process.wait()
    assert paths(run()) == sorted([old, *served.values()])


# --- what is freed


def test_hard_links_count_once(host: RootFolder, run: Run) -> None:
    engine, other = host.artifact("engine"), host.artifact("engine")
    host.release("old", engine=engine)
    host.release("older", engine=other)
    host.release("new", engine=engine)
    host.serve("new")
    predicted = run(check=True)
    sizes = {entry["path"]: entry["bytes"] for entry in predicted["removed"]}
    releases = f"{host.path}/deployments/default/releases"
    # The served release keeps the file of the old one. That of the oldest is freed once, with both of its links.
    assert sizes[f"{releases}/old"] < SIZE and sizes[f"{releases}/older"] < SIZE <= sizes[other] < 2 * SIZE
    assert prunable(str(host.path)).keys() == {"deployments/default/releases/old"}
    os.sync()
    before = used(host.path)
    result = run()
    assert result["removed"] == predicted["removed"] and result["freed_bytes"] == predicted["freed_bytes"]
    assert abs(before - used(host.path) - result["freed_bytes"]) < SIZE


def test_check_mode_changes_nothing_and_predicts(host: RootFolder, run: Run) -> None:
    host.chain()
    make_partial(f"{host.path}/weights/00000000000000aa", {})
    before = host.files()
    predicted = run(check=True)
    assert predicted["changed"] and host.files() == before
    result = run()
    assert result["removed"] == predicted["removed"] and result["diff"] == predicted["diff"]
    assert result["diff"] == {"before": "".join(f"{entry['path']}\n" for entry in result["removed"]), "after": ""}
    again = run()
    assert (again["changed"], again["removed"], again["freed_bytes"]) == (False, [], 0)


def test_the_facts_of_a_host_are_what_is_removed(host: RootFolder, run: Run) -> None:
    host.chain()
    host.release("old")
    facts = prunable(str(host.path))
    result = run(keep=2)
    assert facts == {os.path.relpath(entry["path"], host.path): entry["bytes"] for entry in result["removed"]}


def as_another_user(call: t.Callable[[], t.Any]) -> t.Any:
    """What the call returns in a process without privileges."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writing, json.dumps(call()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        return json.loads(stream.read())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_facts_need_no_privileges() -> None:
    """The playbook plan has none."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        host = RootFolder(Path(folder, "trtllm"))
        host.chain()
        make_partial(f"{host.path}/weights/00000000000000aa", {})
        facts = prunable(str(host.path))
        # Only root may look into unfinished folders.
        del facts["weights/00000000000000aa.partial"]
        assert len(facts) == 3 and as_another_user(lambda: prunable(str(host.path))) == facts


# --- Docker


class StandIn:
    """Docker with two images that share a layer, and a cache of builds."""

    images: t.ClassVar[dict[str, dict[str, t.Any]]] = {}
    used: t.ClassVar[list[str]] = []
    removed: t.ClassVar[list[str]] = []

    def __init__(self, *_arguments: t.Any) -> None:
        pass

    def usage(self) -> dict[str, t.Any]:
        cache = [{"Size": 700, "InUse": False}, {"Size": 40, "InUse": True}]
        return {"Images": list(self.images.values()), "BuildCache": cache}

    def containers(self) -> list[dict[str, t.Any]]:
        return [{"Names": ["/theirs"], "ImageID": image} for image in self.used]

    def image(self, name: str) -> dict[str, t.Any] | None:
        return next((entry for entry in self.images.values() if name in [*entry["RepoTags"], entry["Id"]]), None)

    def remove_image(self, name: str) -> None:
        self.removed.append(name)

    def remove_build_cache(self) -> int:
        self.removed.append("cache")
        return 700


@pytest.fixture(name="docker")
def fixture_docker(run: Run, monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    images = {
        name: {
            "Id": f"sha256:{name}",
            "Size": 1000,
            "SharedSize": 900,
            "RepoTags": [f"example/{name}:1"],
            "RepoDigests": None,
        }
        for name in ("served", "old")
    }
    monkeypatch.setattr(_prune, "Docker", StandIn)
    for name, value in (("images", images), ("used", []), ("removed", [])):
        monkeypatch.setattr(StandIn, name, value)
    return StandIn


def test_images_of_no_release_are_removed(host: RootFolder, run: Run, docker: type[StandIn]) -> None:
    served, old = (host.artifact("image", image=f"example/{name}:1") for name in ("served", "old"))
    host.release("current", run="example/served:1")
    host.serve("current")
    (entry,) = run(check=True)["removed"]
    assert entry["path"] == old and entry["bytes"] - 100 >= SIZE and docker.removed == []
    assert run()["removed"] == [entry]
    assert docker.removed == ["example/old:1"] and Path(served).exists() and not Path(old).exists()


def test_an_image_of_a_tag_is_removed_by_its_digest(host: RootFolder, run: Run, docker: type[StandIn]) -> None:
    """It was pulled by its digest, so that Docker does not know the tag."""
    record = Path(host.artifact("image", image="example/old:latest"), "artifact.json")
    record.write_text(
        json.dumps({**json.loads(record.read_text()), "image": "example/old:1", "image_id": "sha256:old"})
    )
    assert run(check=True)["freed_bytes"] >= SIZE + 100
    run()
    assert docker.removed == ["example/old:1"]


def test_an_image_that_a_container_uses_is_kept(host: RootFolder, run: Run, docker: type[StandIn]) -> None:
    image = host.artifact("image", image="example/old:1")
    docker.used.append("sha256:old")
    result = run()
    assert result["kept"] == [{"path": image, "why": "the container theirs uses its image"}]
    assert (paths(result), docker.removed) == ([], []) and Path(image).exists()


def test_an_image_with_a_tag_of_others_frees_nothing(host: RootFolder, run: Run, docker: type[StandIn]) -> None:
    host.artifact("image", image="example/old:1")
    own = run(check=True)["freed_bytes"]
    docker.images["old"]["RepoTags"].append("theirs:1")
    assert run(check=True)["freed_bytes"] == own - 100


def test_images_are_kept_if_docker_does_not_answer(host: RootFolder, run: Run) -> None:
    image, weights = host.artifact("image", image="example/old:1"), host.artifact("weights")
    result = run()
    assert paths(result) == [weights]
    assert [entry["path"] for entry in result["kept"]] == [image] and "does not respond" in result["kept"][0]["why"]


@pytest.mark.parametrize("installed", [True, False])
def test_the_cache_of_builds_is_removed_if_docker_is_ours(
    host: RootFolder, run: Run, docker: type[StandIn], installed: bool
) -> None:
    packages = {"docker.io": {"part": "docker"}} if installed else {"git": {"part": "trtllm_backend"}}
    record = {"version": 2, "packages": {"installed": packages}}
    (host.path.parent / "host_record.json").write_text(json.dumps(record))
    assert [entry["bytes"] for entry in run(check=True)["removed"]] == [700] * installed
    assert docker.removed == []
    run()
    assert docker.removed == ["cache"] * installed
