# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""trtllm_image with a stand-in for the Docker SDK's client, which gives answers of Docker 20.10."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import read_artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker import _containers, _image
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_image
from ansible_collections.tritonops.trtllm.tests.unit.support.docker_engine import (
    IMAGE_ID,
    MANIFEST,
    OTHER_MANIFEST,
    REFERENCE,
    TAGGED,
    FakeEngine,
    saved,
    write_archive,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import run_module

docker = pytest.importorskip("docker")


@pytest.fixture
def engine(monkeypatch):
    fake = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda **_options: fake)
    return fake


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "image.tar", saved())


@pytest.fixture
def run(capsys, tmp_path):
    def call(check=False, **arguments):
        return run_module(trtllm_image, capsys, check, **{"dest": str(tmp_path / "image/key"), **arguments})

    return call


@pytest.fixture
def load(run, archive):
    return lambda **more: run(**{"source": "archive", "archive": str(archive), "digest": IMAGE_ID, **more})


@pytest.fixture
def pull(run):
    return lambda **more: run(**{"source": "registry", "reference": REFERENCE, "digest": MANIFEST, **more})


def test_an_archive_is_loaded_once(load, engine, archive, tmp_path):
    predicted = load(check=True)
    assert predicted["changed"] and engine.calls == [] and not (tmp_path / "image").exists()
    result = load()
    assert engine.calls == [("load", archive.stat().st_size, True)]
    assert (result["changed"], result["reason"]) == (True, predicted["reason"])
    assert (result["image"], result["image_id"], result["size"], result["labels"]) == (
        IMAGE_ID,
        IMAGE_ID,
        77,
        {"a": "b"},
    )
    assert read_artifact(str(tmp_path / "image/key"))["inputs"] == {"image": IMAGE_ID}
    archive.unlink()
    again = load()
    assert (again["changed"], again["reason"]) == (False, None)
    assert len(engine.calls) == 1


def test_an_existing_image_only_gets_a_record(load, engine, tmp_path):
    engine.arrive(IMAGE_ID)
    assert load()["changed"] is False
    assert engine.calls == []
    assert read_artifact(str(tmp_path / "image/key"))["inputs"] == {"image": IMAGE_ID}


def test_an_image_that_was_pruned_is_loaded_again(load, engine):
    load()
    engine.there.clear()
    assert load()["reason"] == f"Docker does not have image {IMAGE_ID}"


def test_another_image_in_the_archive_is_refused_before_loading(load, engine, tmp_path):
    for check in (True, False):
        failed = load(digest=MANIFEST, check=check)
        assert f"image.tar contains image {IMAGE_ID}, not {MANIFEST}: correct digest" in failed["msg"]
    assert engine.calls == [] and not (tmp_path / "image").exists()


def test_an_image_that_docker_does_not_find_afterwards(load, engine, tmp_path):
    engine.brings = MANIFEST
    assert f"does not have {IMAGE_ID} afterwards" in load()["msg"]
    assert not (tmp_path / "image/key").exists()


# --- one image with two digests

CONTAINERD = [["driver-type", "io.containerd.snapshotter.v1"]]


def blob(value):
    """The content, its name in an archive and its digest."""
    content = json.dumps(value).encode()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return {f"blobs/{digest.replace(':', '/')}": content}, digest


MANIFEST_BLOB, MANIFEST_ID = blob({"config": {"digest": IMAGE_ID}, "layers": []})
LIST_BLOB, LIST_ID = blob({"manifests": [{"digest": "sha256:" + "0" * 64}, {"digest": MANIFEST_ID}]})


def saved_by_25(digest=MANIFEST_ID, **blobs):
    """An archive of Docker 25 or later, which is also an OCI layout."""
    return {**saved(), **MANIFEST_BLOB, **blobs, "index.json": json.dumps({"manifests": [{"digest": digest}]}).encode()}


@pytest.fixture
def archive_of_25(archive):
    return write_archive(archive, saved_by_25())


def test_archives_in_other_formats(tmp_path):
    def read(members, name="i.tar"):
        return _containers.archive_images(write_archive(tmp_path / name, members))

    assert read(saved()) == [(IMAGE_ID, "")]
    assert read(saved_by_25(), "i.tar.gz") == [(IMAGE_ID, MANIFEST_ID)]
    # Docker shows an image for several platforms by its list of manifests.
    assert read(saved_by_25(LIST_ID, **LIST_BLOB)) == [(IMAGE_ID, LIST_ID)]


@pytest.mark.parametrize(
    "members",
    [
        saved_by_25(MANIFEST),
        saved_by_25("sha256:" + "0" * 64, **{"blobs/sha256/" + "0" * 64: next(iter(MANIFEST_BLOB.values()))}),
        saved_by_25(LIST_ID),
    ],
    ids=["missing", "not of that digest", "list missing"],
)
def test_a_digest_that_the_archive_only_claims_does_not_identify_its_image(tmp_path, members):
    assert _containers.archive_images(write_archive(tmp_path / "i.tar", members)) == [(IMAGE_ID, "")]


@pytest.mark.parametrize(("store", "shown"), [([], IMAGE_ID), (CONTAINERD, MANIFEST_ID)])
@pytest.mark.parametrize("digest", [IMAGE_ID, MANIFEST_ID])
def test_both_digests_of_an_archive_identify_its_image(load, engine, archive_of_25, tmp_path, digest, store, shown):
    engine.store, engine.brings = store, shown
    predicted = load(check=True, digest=digest)
    other = f", as it will show {digest}" if shown != digest else ""
    assert predicted["reason"] == f"Docker does not have image {shown}{other}"
    assert engine.calls == []
    result = load(digest=digest)
    assert (result["image"], result["image_id"], result["reason"]) == (shown, shown, predicted["reason"])
    record = read_artifact(str(tmp_path / "image/key"))
    assert (record["inputs"], record["image"]) == ({"image": digest}, shown)
    archive_of_25.unlink()
    again = load(digest=digest)
    assert (again["changed"], again["image"], len(engine.calls)) == (False, shown, 1)


def test_an_existing_image_is_found_by_its_other_digest(load, engine, archive_of_25):
    engine.store, engine.brings = CONTAINERD, MANIFEST_ID
    engine.arrive(MANIFEST_ID)
    result = load()
    assert (result["changed"], result["image"], engine.calls) == (False, MANIFEST_ID, [])


def test_docker_with_another_image_store_than_before(load, engine, archive_of_25, tmp_path):
    """As after an upgrade to a Docker that uses containerd's."""
    load()
    engine.there.clear()
    engine.store, engine.brings = CONTAINERD, MANIFEST_ID
    assert load()["image"] == read_artifact(str(tmp_path / "image/key"))["image"] == MANIFEST_ID
    assert not load()["changed"]


@pytest.mark.parametrize("loaded", [None, "backend:1"])
def test_docker_makes_the_manifest_of_an_archive_without_one(load, engine, loaded):
    engine.store, engine.brings, engine.loaded = CONTAINERD, MANIFEST, loaded
    assert load()["image"] == MANIFEST
    assert not load()["changed"]


def test_two_images_without_manifests_cannot_be_told_apart(load, engine, archive, tmp_path):
    other = b'{"other": true}'
    both = {**saved(), "other.json": other}
    both["manifest.json"] = json.dumps([*json.loads(both["manifest.json"]), {"Config": "other.json"}]).encode()
    write_archive(archive, both)
    engine.store, engine.brings = CONTAINERD, MANIFEST
    engine.load_image = lambda data, quiet: [{"stream": f"Loaded image ID: {name}"} for name in (MANIFEST, "b")]
    assert "create the archive with docker save of Docker 25 or later, with one image in it" in load()["msg"]
    assert not (tmp_path / "image/key").exists()


def test_another_archive_is_refused_with_both_digests(load, engine, archive_of_25):
    words = f"contains image {IMAGE_ID} ({MANIFEST_ID} with containerd's image store), not {MANIFEST}"
    assert words in load(digest=MANIFEST)["msg"]
    assert engine.calls == []


@pytest.mark.parametrize(
    "members, words",
    [
        ({"rootfs": b""}, "is not a `docker save` archive: it has no manifest.json"),
        ({"manifest.json": b'[{"Config": "x.json"}]'}, "is not a complete `docker save` archive: 'x.json'"),
        ({"manifest.json": b"{"}, "is not a complete `docker save` archive"),
    ],
)
def test_files_that_are_not_archives_are_refused(load, engine, archive, members, words):
    write_archive(archive, members)
    assert words in load()["msg"]


def test_a_truncated_or_missing_archive_is_refused(load, engine, archive):
    archive.write_bytes(archive.read_bytes()[:3000])
    assert "is not a complete `docker save` archive" in load()["msg"] or "no manifest.json" in load()["msg"]
    archive.unlink()
    assert load()["msg"] == f"the archive {archive} does not exist on this host"


def test_too_little_space_for_an_archive_is_reported(load, engine, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1))
    assert "no space left for the image of" in load()["msg"]
    assert engine.calls == []


def test_a_pull_is_by_digest(pull, engine, tmp_path):
    result = pull(reference=f"{REFERENCE}:25.01")
    assert engine.calls == [("pull", REFERENCE, MANIFEST)]
    assert (result["changed"], result["image"], result["image_id"]) == (True, f"{REFERENCE}@{MANIFEST}", IMAGE_ID)
    assert pull(reference=f"{REFERENCE}:other")["changed"] is False


def test_credentials_come_from_a_file(pull, engine, tmp_path):
    config = tmp_path / "config.json"
    assert "(docker_config) does not exist" in pull(docker_config=str(config))["msg"]
    config.write_text("{}")
    pull(docker_config=str(config))
    assert engine.calls == [("config", str(config)), ("pull", REFERENCE, MANIFEST)]


def test_credentials_are_held_in_memory(pull_tag, engine, tmp_path):
    result = pull_tag(registry_auth="$oauthtoken\nsecret-key\n")
    login = {"username": "$oauthtoken", "password": "secret-key", "serveraddress": "127.0.0.1:5000"}
    assert engine.logins == [login, login] and not any(call[0] == "config" for call in engine.calls)
    assert "secret-key" not in json.dumps(result)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"secret-key" in path.read_bytes()]


def test_layers_are_counted(tmp_path):
    clock = iter(range(0, 1000, 5))
    progress = Progress(str(tmp_path / "p.json"), lambda: next(clock))
    progress.start("pull")
    events = [
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"},
        {"status": "Downloading", "progressDetail": {"current": 10, "total": 100}, "id": "a"},
        {"status": "Downloading", "progressDetail": {"current": 5, "total": 50}, "id": "b"},
        {"status": "Download complete", "progressDetail": {}, "id": "a"},
        {"status": "Extracting", "progressDetail": {"current": 1, "total": 100}, "id": "a"},
    ]
    seen = []
    for _event in _containers._metered(events, progress):
        state = json.loads((tmp_path / "p.json").read_text())
        seen.append((state["done"], state["total"]))
    assert seen == [(0, None), (10, 100), (15, 150), (105, 150), (105, 150)]


@pytest.mark.parametrize(
    "error, remedy",
    [
        ("manifest unknown: manifest unknown", "correct reference or digest"),
        ("unauthorized: authentication required", "set the registry's credentials"),
        ("x509: certificate signed by unknown authority", "/etc/docker/certs.d/<registry>/ca.crt"),
        ('exec: "apparmor_parser": executable file not found in $PATH', "install the package apparmor on the host"),
        ("write /x: no space left on device", "free space in Docker's data folder"),
    ],
)
def test_a_failed_pull_quotes_the_registry_and_has_a_remedy(pull, engine, tmp_path, error, remedy):
    engine.events = [{"errorDetail": {"message": error}, "error": error}]
    failed = pull()
    assert f"cannot pull {REFERENCE}@{MANIFEST}: {error}. Remedy: " in failed["msg"] and remedy in failed["msg"]
    assert not (tmp_path / "image/key").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"digest": "latest"}, "digest: 'latest' does not have the form"),
        ({"reference": f"{REFERENCE}@latest", "digest": None}, "digest: 'latest' does not have the form"),
        ({"reference": f"{REFERENCE}@{OTHER_MANIFEST}"}, f"reference has {OTHER_MANIFEST}, but digest is {MANIFEST}"),
        ({"digest": None}, f"reference: '{REFERENCE}' has neither a tag nor a digest: add one of them"),
        ({"source": "archive", "archive": "/image.tar", "digest": ""}, "digest is missing"),
        ({"source": "archive", "archive": "/image.tar", "digest": None}, "digest"),
    ],
)
def test_arguments_that_do_not_identify_an_image_are_refused(pull, engine, arguments, words):
    assert words in pull(**arguments)["msg"]
    assert engine.calls == []


@pytest.fixture
def pull_tag(run):
    return lambda **more: run(**{"source": "registry", "reference": TAGGED, **more})


def test_a_tag_is_looked_up_once(pull_tag, engine, tmp_path):
    result = pull_tag()
    assert engine.calls == [("look up", TAGGED), ("pull", REFERENCE, MANIFEST)]
    assert (result["changed"], result["image"], result["image_id"]) == (True, f"{REFERENCE}@{MANIFEST}", IMAGE_ID)
    record = read_artifact(str(tmp_path / "image/key"))
    assert record["inputs"] == {"image": TAGGED}
    assert (record["source"], record["image"]) == (TAGGED, f"{REFERENCE}@{MANIFEST}")
    for check in (True, False):
        again = pull_tag(check=check)
        assert (again["changed"], again["image"], again["image_id"]) == (False, result["image"], IMAGE_ID)
    assert engine.calls[2:] == [("look up", TAGGED)] * 2


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("check", [True, False])
def test_a_tag_that_was_moved_is_refused(pull_tag, engine, tmp_path, check, there):
    pull_tag()
    engine.tags[TAGGED] = OTHER_MANIFEST
    if not there:
        engine.there.clear()
    engine.calls.clear()
    assert pull_tag(check=check)["msg"] == (
        f"the tag {TAGGED} was moved: it was {MANIFEST} (recorded in {tmp_path}/image/key), and is {OTHER_MANIFEST}"
        f" now. To use the new image, pin its digest (digest, trtllm_image.digest): {OTHER_MANIFEST}; everything built"
        " with the old one is then built again. To keep the recorded one, pin that, or set tag_moved"
        " (trtllm_image.tag_moved) to keep"
    )
    assert engine.calls == [("look up", TAGGED)]


def test_with_tag_moved_keep_the_tag_is_not_looked_up(pull_tag, engine):
    pull_tag()
    engine.tags[TAGGED] = OTHER_MANIFEST
    engine.calls.clear()
    again = pull_tag(tag_moved="keep")
    assert (again["changed"], again["image"], engine.calls) == (False, f"{REFERENCE}@{MANIFEST}", [])


def test_without_a_registry_an_existing_image_is_enough(pull_tag, engine):
    pull_tag()
    engine.tags.clear()
    again = pull_tag()
    assert (again["changed"], again["image"]) == (False, f"{REFERENCE}@{MANIFEST}")
    assert f"cannot check whether {TAGGED} is still {MANIFEST}, which is used" in str(again["warnings"])


def test_a_pruned_image_is_pulled_again_by_the_recorded_digest(pull_tag, engine):
    pull_tag()
    engine.tags[TAGGED] = OTHER_MANIFEST
    engine.there.clear()
    engine.calls.clear()
    result = pull_tag(tag_moved="keep")
    assert result["reason"] == f"Docker does not have image {REFERENCE}@{MANIFEST}"
    assert (result["image"], engine.calls) == (f"{REFERENCE}@{MANIFEST}", [("pull", REFERENCE, MANIFEST)])


def test_another_tag_is_looked_up(pull_tag, engine):
    pull_tag()
    engine.tags[f"{REFERENCE}:26.01"] = OTHER_MANIFEST
    assert pull_tag(reference=f"{REFERENCE}:26.01")["image"] == f"{REFERENCE}@{OTHER_MANIFEST}"


def test_an_existing_image_of_a_tag_is_not_pulled(pull_tag, engine, tmp_path):
    engine.arrive(f"{REFERENCE}@{MANIFEST}")
    result = pull_tag()
    assert engine.calls == [("look up", TAGGED)]
    # The image was unknown before.
    assert (result["changed"], result["reason"]) == (
        True,
        f"the digest of {TAGGED} is not recorded in {tmp_path}/image/key",
    )


def test_check_mode_predicts_a_tag_without_a_registry(pull_tag, engine, tmp_path):
    predicted = pull_tag(check=True)
    assert engine.calls == [] and not (tmp_path / "image").exists()
    assert (predicted["changed"], predicted["image"], predicted["image_id"]) == (True, TAGGED, None)
    assert pull_tag()["reason"] == predicted["reason"]


def test_a_failed_look_up_of_a_tag_is_reported(pull_tag, engine, tmp_path):
    engine.tags.clear()
    assert pull_tag()["msg"] == (
        f"cannot look up the digest of {TAGGED}: manifest unknown: manifest unknown. Remedy: correct reference or"
        " digest: the registry does not have that image; or set the image's digest, which needs no look-up"
    )
    assert not (tmp_path / "image/key").exists()


def test_a_tag_is_looked_up_with_the_credentials(pull_tag, engine, tmp_path):
    config = tmp_path / "config.json"
    config.write_text("{}")
    pull_tag(docker_config=str(config))
    assert engine.calls[:2] == [("config", str(config)), ("look up", TAGGED)]


def test_a_digest_in_the_reference(pull_tag, engine):
    assert pull_tag(reference=f"{TAGGED}@{MANIFEST}")["image"] == f"{REFERENCE}@{MANIFEST}"
    assert engine.calls == [("pull", REFERENCE, MANIFEST)]


def test_a_digest_recorded_by_a_concurrent_run_is_used(pull_tag, engine, tmp_path, monkeypatch):
    pull_tag()
    folder = tmp_path / "image/key"
    folder.rename(tmp_path / "aside")

    @contextmanager
    def waited_for(_dest):
        (tmp_path / "aside").rename(folder)
        yield "1"

    engine.tags[TAGGED] = OTHER_MANIFEST
    monkeypatch.setattr(_image, "locked", waited_for)
    assert (pull_tag()["image"], len(engine.calls)) == (f"{REFERENCE}@{MANIFEST}", 2)


@pytest.fixture
def no_engine(monkeypatch):
    def from_env(**_options):
        raise docker.errors.DockerException("Connection refused")

    monkeypatch.setattr(docker, "from_env", from_env)


def test_check_mode_on_a_bare_host(load, archive, no_engine, tmp_path):
    assert load(check=True)["reason"] == f"no artifact at {tmp_path}/image/key"
    archive.unlink()
    assert load(check=True)["changed"]
    assert "does not respond" in load()["msg"]


def test_check_mode_without_the_sdk(load, monkeypatch):
    monkeypatch.setattr(_containers, "load_sdk", mock.Mock(side_effect=ImportError()))
    assert load(check=True)["changed"]
    assert "docker" in load()["msg"]


def test_a_known_digest_of_a_tag_is_not_looked_up(pull_tag, engine):
    engine.tags = {}
    assert pull_tag(resolved=MANIFEST)["image"] == f"{REFERENCE}@{MANIFEST}"
    assert engine.calls == [("pull", REFERENCE, MANIFEST)]
    assert not pull_tag(resolved=MANIFEST)["changed"]
    assert f"was moved: it was {MANIFEST}" in pull_tag(resolved=OTHER_MANIFEST)["msg"]
    assert pull_tag(resolved=OTHER_MANIFEST, tag_moved="keep")["image"] == f"{REFERENCE}@{MANIFEST}"


def test_a_tag_is_only_looked_up(pull_tag, engine, tmp_path):
    result = pull_tag(look_up=True)
    assert (result["digest"], result["changed"], engine.calls) == (MANIFEST, False, [("look up", TAGGED)])
    assert not (tmp_path / "image").exists()
