# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a release's Dockerfile and Makefile take, and what BuildKit says while it works by them. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError

BASE_IMAGE, BASE_TAG = "BASE_IMAGE", "BASE_TAG"
# Where upstream's Dockerfile compiles, and what it takes its options by where it takes any.
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

TRUST = """\
ARG BASE
FROM ${BASE}
COPY ./ /opt/tritonops/
RUN set -e; for file in /opt/tritonops/ca/*.crt; do \\
      [ -e "$file" ] || continue; \\
      mkdir -p /usr/local/share/ca-certificates /etc/ssl/certs; cp "$file" /usr/local/share/ca-certificates/; \\
      command -v update-ca-certificates >/dev/null || cat "$file" >>/etc/ssl/certs/ca-certificates.crt; \\
    done; ! command -v update-ca-certificates >/dev/null || update-ca-certificates
"""
TRUSTING = "".join(
    f"ENV {name}=/etc/ssl/certs/ca-certificates.crt\n"
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")
)
CONSTRAINED = "ENV PIP_CONSTRAINT=/opt/tritonops/constraints.txt\n"


def defaults(dockerfile: str) -> dict[str, str]:
    """The ARGs before the first FROM, which stages are named by."""
    first = FROM.search(dockerfile)
    head = dockerfile[: first.start()] if first else dockerfile
    return {name: value.strip("\"'") for name, value in ARG.findall(head)}


def base_image(dockerfile: str, args: t.Mapping[str, str]) -> str:
    """The image that the build begins with, which BASE_IMAGE and BASE_TAG name."""
    known = {**defaults(dockerfile), **args}
    if not (known.get(BASE_IMAGE) and known.get(BASE_TAG)):
        raise ArtifactError(
            f"the Dockerfile does not name its base by the arguments {BASE_IMAGE} and {BASE_TAG}: certificates and"
            " constraints for pip cannot be put into it; leave ca_bundle and pip_constraints empty"
        )
    return f"{known[BASE_IMAGE]}:{known[BASE_TAG]}"


def images_from(dockerfile: str, args: t.Mapping[str, str]) -> list[str]:
    """The images that a build fetches: what stages are made from that are not stages themselves."""
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
    """For the script that compiles: for which GPUs, and how many compilers at once."""
    options = ["--cuda_architectures", architectures] if architectures else []
    return [*options, "--job_count", str(jobs)] if jobs else options


def with_wheel_options(dockerfile: str, options: t.Sequence[str]) -> tuple[str, dict[str, str]]:
    """The Dockerfile, and build arguments, that compile with the options.

    Up to 0.19.0 upstream's Dockerfile has no argument for them: they are put into a copy, where it calls the script.
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
            "the Dockerfile does not call scripts/build_wheel.py, so that it cannot be told which GPUs to compile for,"
            " nor how many jobs to use: leave cuda_architectures and jobs empty"
        )
    return changed, {}


def check_makefile(makefile: str, variables: t.Iterable[str]) -> None:
    """A Makefile takes any variable, and does nothing with one that it does not know."""
    unknown = [name for name in variables if not re.search(rf"\b{name}\b", makefile)]
    if unknown:
        raise ArtifactError(
            f"the release's Makefile does not know {', '.join(unknown)}: leave out what is passed by it"
            " (CUDA_ARCHS: cuda_architectures, BUILD_WHEEL_OPTS: jobs, DOCKER_BUILD_ARGS: build_args and network,"
            " BASE_IMAGE: ca_bundle and pip_constraints)"
        )


def certificates(bundle: str) -> list[str]:
    """One by one, as update-ca-certificates wants them."""
    found = CERTIFICATE.findall(bundle)
    if not found:
        raise ArtifactError("ca_bundle has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return [f"{text}\n" for text in found]


class BuildLog:
    """What a build has done, by the lines that `--progress plain` writes."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._steps: dict[str, str] = {}
        self._done: set[str] = set()

    def hear(self, line: str) -> None:
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
        """As far as it is known: a stage tells its size when it is reached."""
        return max(sum(self._sizes.values()), len(self._steps))

    @property
    def current(self) -> str:
        """What is being done, in short."""
        open_steps = [words for number, words in self._steps.items() if number not in self._done]
        return open_steps[-1][:NOTE_LENGTH] if open_steps else ""
