# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""trtllm_image against a stand-in for the Docker SDK's client; answers as a Docker 20.10 engine gave them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils import _containers
from ansible_collections.tritonops.trtllm.plugins.module_utils._artifact import read_artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_image

docker = pytest.importorskip("docker")

CONFIG = b'{"architecture": "amd64"}'
IMAGE_ID = "sha256:" + hashlib.sha256(CONFIG).hexdigest()
MANIFEST = "sha256:" + "cd" * 32
REFERENCE = "127.0.0.1:5000/nvidia/tritonserver"


class FakeEngine:
    """As much of docker.DockerClient as is used."""

    def __init__(self):
        self.there = {}
        self.api = self.images = self
        self.calls = []
        self.events = [{"status": "Status: Downloaded newer image"}]
        self.brings = IMAGE_ID

    def ping(self):
        return True

    def info(self):
        return {"DockerRootDir": "/"}

    def get(self, name):
        if name not in self.there:
            raise docker.errors.ImageNotFound("No such image: " + name)
        return SimpleNamespace(attrs=self.there[name])

    def arrive(self, name):
        self.there[name] = {"Id": self.brings, "Size": 77, "Config": {"Labels": {"a": "b"}}}

    def load_image(self, data, quiet):
        self.calls.append(("load", sum(len(block) for block in data), quiet))
        self.arrive(self.brings)
        yield {"stream": f"Loaded image ID: {self.brings}\n"}

    def reload_config(self, dockercfg_path):
        self.calls.append(("config", dockercfg_path))

    def pull(self, repository, tag, stream, decode):
        assert stream and decode
        self.calls.append(("pull", repository, tag))
        yield from self.events
        self.arrive(f"{repository}@{tag}")


@pytest.fixture
def engine(monkeypatch):
    fake = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda **_options: fake)
    return fake


def write_archive(path, members):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def saved(config=CONFIG):
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    return {"layer/layer.tar": b"x" * 5000, name: config, "manifest.json": json.dumps([{"Config": name}]).encode()}


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "image.tar", saved())


@pytest.fixture
def run(capsys, tmp_path):
    def call(check=False, **arguments):
        arguments = {"dest": str(tmp_path / "image/key"), "_ansible_check_mode": check, **arguments}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            trtllm_image.main()
        return json.loads(capsys.readouterr().out)

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


def test_an_image_that_is_there_only_gets_its_record(load, engine, tmp_path):
    engine.arrive(IMAGE_ID)
    assert load()["changed"] is False
    assert engine.calls == []
    assert read_artifact(str(tmp_path / "image/key"))["inputs"] == {"image": IMAGE_ID}


def test_an_image_that_was_pruned_is_loaded_again(load, engine):
    load()
    engine.there.clear()
    assert load()["reason"] == f"image {IMAGE_ID} is not in the engine"


def test_another_image_in_the_archive_is_refused_before_loading(load, engine, tmp_path):
    for check in (True, False):
        failed = load(digest=MANIFEST, check=check)
        assert f"image.tar holds image {IMAGE_ID}, not {MANIFEST}: correct digest" in failed["msg"]
    assert engine.calls == [] and not (tmp_path / "image").exists()


def test_an_engine_with_another_opinion(load, engine, tmp_path):
    engine.brings = MANIFEST
    assert f"does not know {IMAGE_ID} afterwards" in load()["msg"]
    assert not (tmp_path / "image/key").exists()


def test_archives_in_other_forms(tmp_path):
    index = {**saved(), "index.json": json.dumps({"manifests": [{"digest": MANIFEST}]}).encode()}
    assert _containers.archive_ids(write_archive(tmp_path / "i.tar.gz", index)) == {IMAGE_ID, MANIFEST}


@pytest.mark.parametrize(
    "members, words",
    [
        ({"rootfs": b""}, "is not an archive of `docker save`: it has no manifest.json"),
        ({"manifest.json": b'[{"Config": "x.json"}]'}, "is not a whole archive of `docker save`: 'x.json'"),
        ({"manifest.json": b"{"}, "is not a whole archive of `docker save`"),
    ],
)
def test_what_is_no_archive(load, engine, archive, members, words):
    write_archive(archive, members)
    assert words in load()["msg"]


def test_an_archive_cut_short_or_missing(load, engine, archive):
    archive.write_bytes(archive.read_bytes()[:3000])
    assert "is not a whole archive" in load()["msg"] or "no manifest.json" in load()["msg"]
    archive.unlink()
    assert load()["msg"] == f"the archive {archive} does not exist on this host"


def test_no_space_for_an_archive(load, engine, monkeypatch):
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
        ("unauthorized: authentication required", "give the registry's credentials"),
        ("x509: certificate signed by unknown authority", "/etc/docker/certs.d/<registry>/ca.crt"),
        ("write /x: no space left on device", "free space in the engine's data folder"),
    ],
)
def test_a_failed_pull_has_the_registrys_words_and_a_remedy(pull, engine, tmp_path, error, remedy):
    engine.events = [{"errorDetail": {"message": error}, "error": error}]
    failed = pull()
    assert f"cannot pull {REFERENCE}@{MANIFEST}: {error}. Remedy: " in failed["msg"] and remedy in failed["msg"]
    assert not (tmp_path / "image/key").exists()


def test_bad_digest(pull):
    assert "digest: 'latest' is not of the form" in pull(digest="latest")["msg"]


@pytest.fixture
def no_engine(monkeypatch):
    def from_env(**_options):
        raise docker.errors.DockerException("Connection refused")

    monkeypatch.setattr(docker, "from_env", from_env)


def test_check_mode_on_a_bare_host(load, archive, no_engine, tmp_path):
    assert load(check=True)["reason"] == f"no artifact at {tmp_path}/image/key"
    archive.unlink()
    assert load(check=True)["changed"]
    assert "does not answer" in load()["msg"]


def test_check_mode_without_the_sdk(load, monkeypatch):
    monkeypatch.setattr(trtllm_image, "load_sdk", mock.Mock(side_effect=ImportError()))
    assert load(check=True)["changed"]
    assert "docker" in load()["msg"]
