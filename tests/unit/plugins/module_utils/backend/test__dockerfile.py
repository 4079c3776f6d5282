# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend import _dockerfile

OLD = """\
ARG BASE_IMAGE=registry.example.com/server
ARG BASE_TAG=24.02-py3
ARG OTHER=registry.example.com/torch:1

FROM ${OTHER} AS torch
FROM ${BASE_IMAGE}:${BASE_TAG} as base
RUN true
FROM base AS final
COPY --from=torch /a /b
RUN cd tensorrt_llm && python3 scripts/build_wheel.py --trt_root="${TRT_ROOT}" -i -c && cd ..
"""
NEW = """\
ARG BASE_IMAGE="registry.example.com/server"
ARG BASE_TAG=25.12
FROM ${BASE_IMAGE}:${BASE_TAG} AS wheel
ARG BUILD_WHEEL_ARGS="--clean --benchmarks"
RUN python3 scripts/build_wheel.py ${BUILD_WHEEL_ARGS}
"""


def test_the_base_image_is_set_by_arguments() -> None:
    assert _dockerfile.base_image(OLD, {}) == "registry.example.com/server:24.02-py3"
    assert _dockerfile.base_image(NEW, {"BASE_TAG": "26.01"}) == "registry.example.com/server:26.01"
    with pytest.raises(ArtifactError, match="does not set its base image with the arguments BASE_IMAGE and BASE_TAG"):
        _dockerfile.base_image("FROM debian\nARG BASE_TAG=1\n", {})


def test_images_that_a_build_pulls() -> None:
    assert _dockerfile.images_from(OLD, {}) == ["registry.example.com/torch:1", "registry.example.com/server:24.02-py3"]
    assert _dockerfile.images_from("FROM scratch\nFROM --platform=linux/amd64 debian:12 AS a\nFROM a\n", {}) == [
        "debian:12"
    ]


def test_options_are_added_to_the_command_of_the_build_script() -> None:
    options = _dockerfile.wheel_options("80-real;90-real", 3)
    text, args = _dockerfile.with_wheel_options(OLD, options)
    added = ' --cuda_architectures "80-real;90-real" --job_count 3'
    assert f"build_wheel.py{added} --trt_root=" in text and args == {}
    # Nothing else changes.
    assert text.replace(added, "") == OLD


def test_options_use_the_build_argument_if_there_is_one() -> None:
    text, args = _dockerfile.with_wheel_options(NEW, ["--job_count", "3"])
    assert (text, args) == (NEW, {"BUILD_WHEEL_ARGS": "--clean --benchmarks --job_count 3"})


def test_options_without_a_place_are_refused() -> None:
    assert _dockerfile.with_wheel_options("FROM debian\n", []) == ("FROM debian\n", {})
    with pytest.raises(ArtifactError, match="leave cuda_architectures and jobs empty"):
        _dockerfile.with_wheel_options("FROM debian\n", ["--job_count", "3"])


def test_a_makefile_that_ignores_a_variable_is_refused() -> None:
    _dockerfile.check_makefile("CUDA_ARCHS ?=\nIMAGE_WITH_TAG ?= x\n", ["CUDA_ARCHS", "IMAGE_WITH_TAG"])
    with pytest.raises(ArtifactError, match="does not use BUILD_WHEEL_OPTS: leave out"):
        _dockerfile.check_makefile("CUDA_ARCHS ?=\n", ["CUDA_ARCHS", "BUILD_WHEEL_OPTS"])


@pytest.mark.parametrize("text", ["80-real", "90a-real", "80-real;90-virtual"])
def test_architectures_are_parsed(text: str) -> None:
    assert _dockerfile.ARCHITECTURES.fullmatch(text)


@pytest.mark.parametrize("text", ["80", "A100", "80-real,90-real", "80-real; rm", '80-real"'])
def test_invalid_architectures_are_refused(text: str) -> None:
    assert not _dockerfile.ARCHITECTURES.fullmatch(text)


def test_certificates_are_split() -> None:
    one = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"
    assert _dockerfile.certificates(f"# a\n{one}# b\n{one}") == [one, one]
    with pytest.raises(ArtifactError, match="contains no PEM certificate"):
        _dockerfile.certificates("")


def test_progress_is_read_from_buildkits_output() -> None:
    log = _dockerfile.BuildLog()
    assert (log.done, log.total, log.current) == (0, 0, "")
    for line in (
        "#1 [internal] load build definition from Dockerfile",
        "#1 DONE 0.2s",
        "#4 [base 1/2] FROM docker.io/library/debian:12",
        "#4 DONE 1.2s",
        "#5 [base 2/2] RUN make",
        "#5 0.502 [99/100] compiling",
        "#7 [final 1/2] COPY x /x",
        "#7 CACHED",
    ):
        log.add_line(line)
    assert (log.done, log.total, log.current) == (2, 4, "RUN make")
    # A Dockerfile of one stage names none.
    log.add_line("#8 [2/3] RUN true")
    assert log.total == 7
