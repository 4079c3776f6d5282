# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""trtllm_image_build with stand-ins for docker and make that record their calls."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    read_artifact,
    write_json,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend import _image_build
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_image_build
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option

IMAGE_ID = "sha256:" + "ab" * 32
NAME = "tritonops/backend:built"
DOCKERFILE = """\
ARG BASE_IMAGE=registry.example.com/server
ARG BASE_TAG=1
FROM ${BASE_IMAGE}:${BASE_TAG}
RUN python3 scripts/build_wheel.py -i -c
"""
MAKEFILE = "\n".join(
    f"{name} ?="
    for name in (
        *("IMAGE_WITH_TAG", "DOCKER_PROGRESS", "DOCKER_BUILD_OPTS", "DOCKER_BUILD_ARGS", "CUDA_ARCHS"),
        *("BASE_IMAGE", "BASE_TAG"),
    )
)
PROGRAM = """\
#!/bin/sh
case "$1 $2" in
    "version --format") echo "$DOCKER_VERSION"; exit ;;
    "buildx version") exit "$NO_BUILDX" ;;
esac
printf '%s\\n' "$0 $*" >>"$CALLS"
echo "$BUILD_SAYS"
sleep "$BUILD_TAKES"
exit "$BUILD_CODE"
"""


class FakeEngine:
    def __init__(self) -> None:
        self.there: dict[str, Any] = {NAME: {"Id": IMAGE_ID}, IMAGE_ID: {"Id": IMAGE_ID}}
        self.pulled: list[Any] = []

    def image(self, name: str) -> Any:
        return self.there.get(name)

    def check_room(self, needed: int, what: str) -> None:
        if needed > 1000:
            raise ArtifactError(f"no space left for {what}")

    def pull(self, image: str, _progress: Any, login: Any) -> None:
        self.pulled.append((image, login.of(image)["password"]))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(trtllm_image_build, "connect", lambda _module, _host: fake)
    return fake


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("docker", "make"):
        (programs / name).write_text(PROGRAM)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name, value in {
        "DOCKER_VERSION": "20.10.24",
        "NO_BUILDX": "1",
        "BUILD_SAYS": "#1 DONE",
        "BUILD_CODE": "0",
        "BUILD_TAKES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


@pytest.fixture
def build(capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: FakeEngine, calls: Path) -> Callable[..., Any]:
    clone = tmp_path / "clone"
    (clone / "docker").mkdir(parents=True)
    (clone / "Dockerfile").write_text(DOCKERFILE)
    (clone / "docker/Makefile").write_text(MAKEFILE)
    sources = {"backend": {"ref": "v1"}}
    write_json(str(clone / "artifact.json"), {"inputs": {"sources": sources, "whole": True}, "commit": "c0ffee"})

    def call(check: bool = False, **more: Any) -> Any:
        arguments = {
            "src": str(clone),
            "name": NAME,
            "dest": str(tmp_path / "image"),
            "log": str(tmp_path / "logs/build.log"),
            "dockerfile": "Dockerfile",
            "log_patterns": log_patterns_option(),
            "_ansible_check_mode": check,
            **more,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            trtllm_image_build.main()
        return json.loads(capsys.readouterr().out)

    return call


@pytest.mark.parametrize("args", [{"HF_TOKEN": "S3CRETCANARY"}, {"INDEX": "https://ops:S3CRETCANARY@pypi.example.com"}])
def test_secrets_are_not_build_arguments(build: Callable[..., Any], calls: Path, args: dict[str, str]) -> None:
    failed = build(build_args=args)
    assert f"build_args: {next(iter(args))}: secrets must not be in the history of an image" in failed["msg"]
    assert "S3CRETCANARY" not in json.dumps(failed) and not calls.exists()


def test_the_log_does_not_grow_for_ever(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_image_build, "LOG_LIMIT", 1000)
    monkeypatch.setenv("BUILD_CODE", "1")
    log = tmp_path / "logs/build.log"
    for number in range(30):
        monkeypatch.setenv("BUILD_SAYS", f"#1 build {number}")
        build()
    assert {path.name for path in log.parent.iterdir()} == {"build.log", "build.log.1"}
    assert sum(path.stat().st_size for path in log.parent.iterdir()) < 5000
    assert "#1 build 29\n" in log.read_text() or "#1 build 29\n" in (tmp_path / "logs/build.log.1").read_text()


@pytest.mark.parametrize("target", ["elsewhere", "nowhere/at-all"])
def test_a_log_that_is_a_link_is_not_followed(build: Callable[..., Any], tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").write_text("theirs\n" * 10)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/build.log").symlink_to(tmp_path / target)
    assert build()["failed"] and (tmp_path / "elsewhere").read_text() == "theirs\n" * 10


@pytest.mark.parametrize("more", [{}, {"directory": "docker", "target": "release"}])
def test_a_build_that_hangs_is_stopped(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: dict[str, str]
) -> None:
    monkeypatch.setenv("BUILD_TAKES", "30")
    monkeypatch.setenv("BUILD_SAYS", "#7 waiting for a mirror")
    failed = build(timeout=1, **more)
    assert " did not end within 1 seconds and was stopped. Remedy: if the log shows" in failed["msg"]
    assert failed["msg"].endswith("#7 waiting for a mirror")
    assert not (tmp_path / "image").exists()


def test_an_image_is_built_once(build: Callable[..., Any], calls: Path, tmp_path: Path) -> None:
    predicted = build(check=True)
    assert (predicted["changed"], predicted["image"]) == (True, NAME) and not calls.exists()
    result = build()
    assert (result["changed"], result["reason"], result["image"]) == (True, predicted["reason"], IMAGE_ID)
    record = read_artifact(str(tmp_path / "image"))
    assert record and (record["image"], record["commit"], record["ref"]) == (IMAGE_ID, "c0ffee", "v1")
    assert len(record["dockerfile_sha256"]) == 64
    again = build()
    assert (again["changed"], again["image"], again["duration"]) == (False, IMAGE_ID, None)
    assert len(calls.read_text().splitlines()) == 1


def test_check_mode_before_the_clone_exists(build: Callable[..., Any], tmp_path: Path) -> None:
    assert build(check=True, src=str(tmp_path / "later"))["changed"]
    assert "later does not exist: create it first" in build(src=str(tmp_path / "later"))["msg"]


@pytest.mark.parametrize(
    "more", [{"build_args": {"A": "1"}}, {"cuda_architectures": "80-real"}, {"pip_constraints": ["numpy<2"]}]
)
def test_changes_that_need_another_build(build: Callable[..., Any], more: dict[str, Any]) -> None:
    build()
    assert build(check=True, **more)["changed"]
    assert not build(check=True, jobs=3)["changed"]


def test_an_image_that_was_removed_is_built_again(build: Callable[..., Any], engine: FakeEngine) -> None:
    build()
    del engine.there[IMAGE_ID]
    assert build(check=True)["reason"] == f"Docker does not have image {IMAGE_ID}"


def test_options_for_compiling_are_in_a_copy(build: Callable[..., Any], calls: Path, tmp_path: Path) -> None:
    build(cuda_architectures="80-real", jobs=2)
    assert f"--file {tmp_path}/image.partial/Dockerfile --tag {NAME}" in calls.read_text()
    assert (tmp_path / "clone/Dockerfile").read_text() == DOCKERFILE


def test_certificates_and_constraints_need_an_intermediate_base_image(
    build: Callable[..., Any], calls: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n")
    build(ca_bundle=str(bundle), pip_constraints=["numpy<2"])
    base, image = calls.read_text().splitlines()
    assert "--build-arg BASE=registry.example.com/server:1" in base and "--tag tritonops/base:" in base
    tag = base.partition("--tag tritonops/base:")[2].split()[0]
    assert f"--build-arg BASE_IMAGE=tritonops/base --build-arg BASE_TAG={tag}" in image


def test_proxies_are_passed_by_name_only(
    build: Callable[..., Any], calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy:3128")
    result = build()
    assert "--build-arg https_proxy " in calls.read_text()
    assert "secret" not in calls.read_text() + json.dumps(result)


def test_base_images_are_pulled_with_the_login(build: Callable[..., Any], engine: FakeEngine, calls: Path) -> None:
    build(registry_auth="user\nsecret\n")
    assert engine.pulled == [("registry.example.com/server:1", "secret")]
    assert "secret" not in calls.read_text()


def test_a_makefile_is_configured_with_its_variables(build: Callable[..., Any], calls: Path, tmp_path: Path) -> None:
    build(directory="docker", target="x_build", cuda_architectures="80-real", build_args={"SAYS": "it's $5"})
    assert (
        calls.read_text()
        .rstrip()
        .endswith(
            f"make -C {tmp_path}/clone/docker --old-file base_pull x_build IMAGE_WITH_TAG={NAME} DOCKER_PROGRESS=plain"
            " DOCKER_BUILD_OPTS= DOCKER_BUILD_ARGS=--network default --build-arg 'SAYS=it'\"'\"'s $$5'"
            " CUDA_ARCHS=80-real"
        )
    )
    failed = build(directory="docker", target="x_build", dest=f"{tmp_path}/other", jobs=2)
    assert "does not use BUILD_WHEEL_OPTS" in failed["msg"]


@pytest.mark.parametrize(
    ("version", "makefile", "says"),
    [
        ("28.5.1", MAKEFILE, "docker 28.5.1 needs it for BuildKit"),
        ("20.10.24", f"{MAKEFILE}\n\tdocker buildx build", "the release's Makefile calls it"),
    ],
)
def test_missing_buildkit_is_reported_first(
    build: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    calls: Path,
    version: str,
    makefile: str,
    says: str,
) -> None:
    monkeypatch.setenv("DOCKER_VERSION", version)
    (tmp_path / "clone/docker/Makefile").write_text(makefile)
    message = build(directory="docker", target="x_build")["msg"]
    assert says in message and "install docker-buildx-plugin" in message and not calls.exists()


def test_a_failed_build_is_reported_with_cause_log_and_last_lines(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUILD_CODE", "3")
    monkeypatch.setenv("BUILD_SAYS", "#9 812.5 nvcc error   : 'cicc' died due to signal 9 (Kill signal)")
    failed = build()
    assert failed["msg"].startswith("docker build failed with exit code 3\nCause: The host ran out of memory")
    assert f"The last lines of its log ({tmp_path}/logs/build.log):" in failed["msg"] and "'cicc' died" in failed["msg"]
    assert failed["rc"] == 3 and not (tmp_path / "image").exists()


def test_an_image_that_docker_does_not_find_afterwards(build: Callable[..., Any], engine: FakeEngine) -> None:
    engine.there.clear()
    assert f"Docker has no image {NAME}" in build()["msg"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"cuda_architectures": "A100"}, "cuda_architectures: 'A100' does not have the form 80-real"),
        ({"directory": "docker"}, "target is missing"),
        ({"dockerfile": "none"}, "clone/none: No such file or directory; correct src"),
        ({"expected_bytes": 2000}, f"no space left for the image {NAME}"),
        ({"timeout": -1}, "timeout: -1 is not a positive number of seconds"),
    ],
)
def test_invalid_builds_are_refused(build: Callable[..., Any], calls: Path, more: dict[str, Any], says: str) -> None:
    assert says in build(**more)["msg"]
    assert not calls.exists()
