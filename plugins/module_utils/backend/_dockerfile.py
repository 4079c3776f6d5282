# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The Dockerfile and Makefile of a TensorRT-LLM version, and the output of BuildKit. No I/O."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError

BASE_IMAGE, BASE_TAG = "BASE_IMAGE", "BASE_TAG"
# The compile command in upstream's Dockerfile, and the build argument for its options, in versions that have it.
WHEEL_SCRIPT = re.compile(r"(?<=scripts/build_wheel\.py)(?=\s)")
WHEEL_ARGS = "BUILD_WHEEL_ARGS"
ARCHITECTURES = re.compile(r"[0-9]+[a-z]?-(real|virtual)(;[0-9]+[a-z]?-(real|virtual))*")
ARG = re.compile(r"^[ \t]*ARG[ \t]+(\w+)(?:=(.*?))?[ \t]*$", re.MULTILINE | re.IGNORECASE)
FROM = re.compile(
    r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?[ \t]*$", re.MULTILINE | re.IGNORECASE
)
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
STEP = re.compile(r"^#(\d+) \[(?:([^\]]*?)\s+)?(\d+)/(\d+)\] (.*)$")
DONE = re.compile(r"^#(\d+) (?:DONE|CACHED)\b")
NOTE_LENGTH = 60

BASE_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY ./ /opt/tritonops/
RUN set -e; for file in /opt/tritonops/ca/*.crt; do \\
      [ -e "$file" ] || continue; \\
      mkdir -p /usr/local/share/ca-certificates /etc/ssl/certs; cp "$file" /usr/local/share/ca-certificates/; \\
      command -v update-ca-certificates >/dev/null || cat "$file" >>/etc/ssl/certs/ca-certificates.crt; \\
    done; ! command -v update-ca-certificates >/dev/null || update-ca-certificates
"""
CA_ENV = "".join(
    f"ENV {name}=/etc/ssl/certs/ca-certificates.crt\n"
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")
)
PIP_ENV = "ENV PIP_CONSTRAINT=/opt/tritonops/constraints.txt\n"


def defaults(dockerfile: str) -> dict[str, str]:
    """The ARGs before the first FROM, with their default values; only FROM lines can use them."""
    first = FROM.search(dockerfile)
    head = dockerfile[: first.start()] if first else dockerfile
    return {name: value.strip("\"'") for name, value in ARG.findall(head)}


def base_image(dockerfile: str, args: t.Mapping[str, str]) -> str:
    """The base image of the build, from BASE_IMAGE and BASE_TAG."""
    known = {**defaults(dockerfile), **args}
    if not (known.get(BASE_IMAGE) and known.get(BASE_TAG)):
        raise ArtifactError(
            f"the Dockerfile does not set its base image with the arguments {BASE_IMAGE} and {BASE_TAG}, so"
            " certificates and pip constraints cannot be added to it: leave ca_bundle and pip_constraints empty"
        )
    return f"{known[BASE_IMAGE]}:{known[BASE_TAG]}"


def images_from(dockerfile: str, args: t.Mapping[str, str]) -> list[str]:
    """The images that a build pulls: everything after FROM that is not another stage."""
    known = {**defaults(dockerfile), **args}
    stages: set[str] = set()
    images: list[str] = []
    for name, stage in FROM.findall(dockerfile):
        image = VARIABLE.sub(lambda match: known.get(match.group(1) or match.group(2), ""), name)
        if image not in stages and image != "scratch" and not image.endswith(":") and image not in images:
            images.append(image)
        stages.add(stage)
    return images


def wheel_options(architectures: str, jobs: int | None) -> list[str]:
    """Options of build_wheel.py: the GPU architectures to compile for, and the number of parallel jobs."""
    options = ["--cuda_architectures", architectures] if architectures else []
    return [*options, "--job_count", str(jobs)] if jobs else options


def with_wheel_options(dockerfile: str, options: t.Sequence[str]) -> tuple[str, dict[str, str]]:
    """The Dockerfile and the build arguments that compile with these options.

    Up to 0.19.0 upstream's Dockerfile has no argument for them, so they are added to the command in a copy.
    """
    if not options:
        return dockerfile, {}
    declared = dict(ARG.findall(dockerfile))
    if WHEEL_ARGS in declared:
        return dockerfile, {WHEEL_ARGS: " ".join([declared[WHEEL_ARGS].strip("\"'"), *options]).strip()}
    words = " ".join(f'"{word}"' if ";" in word else word for word in options)
    changed, count = WHEEL_SCRIPT.subn(f" {words}", dockerfile)
    if not count:
        raise ArtifactError(
            "the Dockerfile does not call scripts/build_wheel.py, so the GPU architectures and the number of jobs"
            " cannot be set: leave cuda_architectures and jobs empty"
        )
    return changed, {}


def check_makefile(makefile: str, variables: t.Iterable[str]) -> None:
    """Refuse variables that the Makefile does not use: make would ignore them silently."""
    unknown = [name for name in variables if not re.search(rf"\b{name}\b", makefile)]
    if unknown:
        raise ArtifactError(
            f"the release's Makefile does not use {', '.join(unknown)}: leave out the options that need it"
            " (CUDA_ARCHS: cuda_architectures, BUILD_WHEEL_OPTS: jobs, DOCKER_BUILD_ARGS: build_args and network,"
            " BASE_IMAGE: ca_bundle and pip_constraints)"
        )


def certificates(bundle: str) -> list[str]:
    """The certificates one by one, because update-ca-certificates needs a file for each."""
    found = CERTIFICATE.findall(bundle)
    if not found:
        raise ArtifactError("ca_bundle contains no PEM certificate (-----BEGIN CERTIFICATE-----)")
    return [f"{text}\n" for text in found]


class BuildLog:
    """The progress of a build, read from the output of `--progress plain`."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._steps: dict[str, str] = {}
        self._done: set[str] = set()

    def add_line(self, line: str) -> None:
        step, done = STEP.match(line), DONE.match(line)
        if step:
            number, stage, _position, size, words = step.groups()
            self._sizes[stage or ""] = int(size)
            self._steps[number] = words
        elif done and done.group(1) in self._steps:
            self._done.add(done.group(1))

    @property
    def done(self) -> int:
        return len(self._done)

    @property
    def total(self) -> int:
        """The steps known so far: BuildKit prints the size of a stage only when it begins."""
        return max(sum(self._sizes.values()), len(self._steps))

    @property
    def current(self) -> str:
        """The command of the running step, shortened."""
        open_steps = [words for number, words in self._steps.items() if number not in self._done]
        return open_steps[-1][:NOTE_LENGTH] if open_steps else ""
