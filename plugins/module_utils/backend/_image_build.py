# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Builds the backend image with the Dockerfile or Makefile of its TensorRT-LLM version, and records it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import check_timeout
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    Draft,
    artifact_key,
    check_apart,
    difference,
    locked,
    read_artifact,
    reason_to_make,
    sha256_of,
    source_key,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import (
    open_appending,
    open_regular,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend import _dockerfile as dockerfile
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Docker, DockerError, Login
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LogPatterns,
    failure_text,
    log_tail,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

MAKE = "make"
# A build from the beginning writes a few megabytes.
LOG_LIMIT = 32 << 20
# The exit status of timeout(1), and after how many seconds it kills a build that does not end.
TIMED_OUT, KILL_AFTER = 124, 60
TIMEOUT_REMEDY = (
    "if the log shows that it was still working, increase timeout (trtllm_image.build.timeout). The next run"
    " continues with the steps in Docker's cache"
)
# BuildKit's predefined arguments: every step gets them, but they are not in the history of the image.
PREDEFINED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Since this version BuildKit is a plugin of the client.
BUILDX_SINCE = 23
BASE_REPOSITORY = "tritonops/base"
# Writes directly to the log, and dies with the module: a build must not continue unnoticed while the next run starts it
# again.
RUN = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, {int(signal.SIGTERM)})
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.dup2(log, 1)
os.dup2(log, 2)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class BuildRequest:
    """The options of trtllm_image_build."""

    src: str
    name: str
    dest: str
    log: str
    dockerfile: str
    directory: str
    target: str
    build_args: t.Mapping[str, str]
    cuda_architectures: str
    jobs: int | None
    pip_constraints: t.Sequence[str]
    ca_bundle: str
    network: str
    expected_bytes: int | None
    timeout: int
    login: Login
    log_patterns: LogPatterns
    check_mode: bool

    @property
    def method(self) -> str:
        return MAKE if self.directory else "dockerfile"

    @property
    def inputs(self) -> dict[str, t.Any]:
        """What identifies the image. The number of jobs and the CA certificates do not change it."""
        return {
            "image": self.name,
            "sources": source_key(self.src, may_be_absent=self.check_mode),
            "dockerfile": self.dockerfile,
            "target": self.target,
            "build_args": dict(self.build_args),
            "cuda_architectures": self.cuda_architectures,
            "pip_constraints": list(self.pip_constraints),
        }

    def check(self) -> None:
        check_timeout(self.timeout)
        if self.cuda_architectures and not dockerfile.ARCHITECTURES.fullmatch(self.cuda_architectures):
            raise ArtifactError(
                f"cuda_architectures: {self.cuda_architectures!r} does not have the form 80-real or 80-real;90-real"
            )
        if self.method == MAKE and not self.target:
            raise ArtifactError("target is missing: set it to the target of the Makefile in directory")


def build_result(request: BuildRequest, module: AnsibleModule, docker: Docker | None) -> dict[str, t.Any]:
    """Make sure that Docker has the image and that its record is at dest; returns the result of the module."""
    request.check()
    check_apart({"dest": request.dest}, {"src": request.src})
    inputs = request.inputs
    before = read_artifact(request.dest)
    reason = _reason(request, inputs, docker)
    if reason and docker and not request.check_mode:
        with locked(request.dest):
            # Another run may have built it while this one waited for the lock.
            reason = _reason(request, inputs, docker)
            if reason:
                _Build(request, inputs, module, docker).run()
    record = read_artifact(request.dest) or {}
    known = record if reason is None or not request.check_mode else {}
    return {
        "changed": reason is not None,
        "reason": reason,
        "image": known.get("image", request.name),
        "name": request.name,
        "commit": known.get("commit"),
        "log": known.get("log"),
        "command": known.get("command", []),
        "duration": known.get("duration_seconds") if reason and known else None,
        "diff": difference(before, request.dest, inputs, reason),
    }


def _reason(request: BuildRequest, inputs: dict[str, t.Any], docker: Docker | None) -> str | None:
    stale = reason_to_make(request.dest, inputs)
    if stale or docker is None:
        return stale
    image = (read_artifact(request.dest) or {}).get("image", "")
    return None if docker.image(image) else f"Docker does not have image {image}"


class _Build:
    """One build, from the cloned sources to the record."""

    def __init__(self, request: BuildRequest, inputs: dict[str, t.Any], module: AnsibleModule, docker: Docker) -> None:
        self._request = request
        self._module = module
        self._docker = docker
        self._draft = Draft(request.dest, inputs)
        self._text = self._read(request.dockerfile)
        self._makefile = self._read(os.path.join(request.directory, "Makefile")) if request.directory else ""
        # The requested build arguments, and those of the base image that _wrap_base adds.
        self._args = dict(request.build_args)

    def run(self) -> None:
        request = self._request
        self._check_buildkit()
        _rotate(request.log)
        progress = self._draft.begin()
        if request.expected_bytes:
            self._docker.check_room(request.expected_bytes, f"the image {request.name}")
        self._fetch_bases(progress)
        if request.ca_bundle or request.pip_constraints:
            self._wrap_base(progress)
        command = self._make_command() if request.method == MAKE else self._docker_command()
        self._execute(command, progress, "build")
        known = self._docker.image(request.name)
        if known is None:
            raise DockerError(
                f"the build succeeded, but Docker has no image {request.name}: the Makefile gives the image another"
                f" name; see {request.log}"
            )
        self._draft.publish(self._record(known["Id"], command), progress)

    def _record(self, image: str, command: list[str]) -> dict[str, t.Any]:
        clone = read_artifact(self._request.src) or {}
        sources = clone.get("inputs", {}).get("sources", {})
        return {
            "image": image,
            "image_id": image,
            "source": self._request.src,
            "commit": clone.get("commit"),
            "ref": sources.get("backend", {}).get("ref"),
            "dockerfile_sha256": sha256_of(os.path.join(self._request.src, self._request.dockerfile)),
            "command": command,
            "log": self._request.log,
        }

    def _read(self, name: str) -> str:
        path = os.path.join(self._request.src, name)
        try:
            with open(path, encoding="utf-8") as stream:
                return stream.read()
        except OSError as exc:
            raise ArtifactError(
                f"cannot read {path}: {exc.strerror}; correct src, or image_build in the catalogue"
            ) from exc

    def _check_buildkit(self) -> None:
        """Check for BuildKit before gigabytes are downloaded."""
        code, version, err = self._module.run_command(["docker", "version", "--format", "{{.Client.Version}}"])
        if code:
            raise DockerError(f"cannot get the version of docker: {err.strip()}")
        major = int(re.match(r"\d*", version).group() or 0)  # type: ignore[union-attr]
        needs = "buildx" in self._makefile
        if major < BUILDX_SINCE and not needs:
            return
        if self._module.run_command(["docker", "buildx", "version"])[0]:
            why = "the release's Makefile calls it" if needs else f"docker {version.strip()} needs it for BuildKit"
            raise DockerError(
                f"docker buildx is not installed, and {why}: install docker-buildx-plugin (Docker's repository) or"
                " docker-buildx (the distribution's)"
            )

    def _fetch_bases(self, progress: Progress) -> None:
        """With registry credentials, pull the base images first: the build itself does not get the credentials."""
        if not self._request.login.text:
            return
        for image in dockerfile.images_from(self._text, self._args):
            if self._docker.image(image) is None:
                self._docker.pull(image, progress, self._request.login)

    def _wrap_base(self, progress: Progress) -> None:
        """Build a base image with the CA certificates and pip constraints, which upstream's files do not support."""
        base = dockerfile.base_image(self._text, self._args)
        context = self._draft.path("base")
        os.makedirs(os.path.join(context, "ca"))
        text, bundle = dockerfile.BASE_DOCKERFILE, ""
        if self._request.ca_bundle:
            with open(self._request.ca_bundle, encoding="utf-8") as stream:
                bundle = stream.read()
            for number, certificate in enumerate(dockerfile.certificates(bundle)):
                _write(os.path.join(context, "ca", f"tritonops-{number:03}.crt"), certificate)
            text += dockerfile.CA_ENV
        if self._request.pip_constraints:
            _write(os.path.join(context, "constraints.txt"), "\n".join([*self._request.pip_constraints, ""]))
            text += dockerfile.PIP_ENV
        _write(self._draft.path("Dockerfile.base"), text)
        tag = artifact_key({"base": base, "ca": bundle, "constraints": list(self._request.pip_constraints)})
        command = ["docker", "build", "--progress", "plain", "--network", self._request.network]
        command += ["--file", self._draft.path("Dockerfile.base"), "--tag", f"{BASE_REPOSITORY}:{tag}"]
        self._execute([*command, "--build-arg", f"BASE={base}", *_proxies(), context], progress, "base")
        self._args.update({dockerfile.BASE_IMAGE: BASE_REPOSITORY, dockerfile.BASE_TAG: tag})

    def _docker_command(self) -> list[str]:
        request = self._request
        options = dockerfile.wheel_options(request.cuda_architectures, request.jobs)
        text, args = dockerfile.with_wheel_options(self._text, options)
        path = os.path.join(request.src, request.dockerfile)
        if text != self._text:
            path = self._draft.path("Dockerfile")
            _write(path, text)
        target = ["--target", request.target] if request.target else []
        command = ["docker", "build", "--progress", "plain", "--file", path, "--tag", request.name, *target]
        return [*command, *self._options({**self._args, **args}), request.src]

    def _options(self, args: t.Mapping[str, str]) -> list[str]:
        given = [word for name, value in args.items() for word in ("--build-arg", f"{name}={value}")]
        return ["--network", self._request.network, *given, *_proxies()]

    def _make_command(self) -> list[str]:
        """Variables that upstream's Makefile does not use are refused, because make would ignore them."""
        request = self._request
        # The Makefile has variables of the same names and passes them on.
        own = {
            name: value for name, value in self._args.items() if name in (dockerfile.BASE_IMAGE, dockerfile.BASE_TAG)
        }
        others = {name: value for name, value in self._args.items() if name not in own}
        variables = {
            "IMAGE_WITH_TAG": request.name,
            "DOCKER_PROGRESS": "plain",
            # Instead of --pull: a base image that was built here cannot be pulled.
            "DOCKER_BUILD_OPTS": "--load" if "buildx" in self._makefile else "",
            "DOCKER_BUILD_ARGS": " ".join(shlex.quote(word) for word in self._options(others)).replace("$", "$$"),
            "CUDA_ARCHS": request.cuda_architectures,
            "BUILD_WHEEL_OPTS": " ".join(dockerfile.wheel_options("", request.jobs)),
            **own,
        }
        given = {name: value for name, value in variables.items() if value or name == "DOCKER_BUILD_OPTS"}
        dockerfile.check_makefile(self._makefile, given)
        folder = os.path.join(request.src, request.directory)
        # base_pull would pull without the credentials, and fails for a base image that was built here.
        words = [f"{name}={value}" for name, value in given.items()]
        return ["make", "-C", folder, "--old-file", "base_pull", request.target, *words]

    def _execute(self, command: list[str], progress: Progress, phase: str) -> None:
        """Run the command with its output in the log; after an interruption Docker's layer cache is used."""
        request = self._request
        os.makedirs(os.path.dirname(request.log), mode=0o755, exist_ok=True)
        progress.start(phase, unit="steps")
        with open_appending(request.log) as log:
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            log.write(f"\n=== {now} {shlex.join(command)}\n".encode())
            begin = log.tell()
        bounded = ["timeout", f"--kill-after={KILL_AFTER}", str(request.timeout)]
        with sampled(progress, _LogReader(request.log, begin, progress)):
            code, _out, _err = self._module.run_command(
                [sys.executable, "-c", RUN, request.log, *bounded, *command],
                # The builder of the daemon: others keep the image in their own store.
                environ_update={"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"},
                expand_user_and_vars=False,
            )
        if code:
            what = f"{' '.join(command[:2])} failed with exit code {code}"
            if code == TIMED_OUT:
                what = f"{' '.join(command[:2])} did not end within {request.timeout} seconds and was stopped"
                what = f"{what}. Remedy: {TIMEOUT_REMEDY}"
            raise ArtifactError(
                failure_text(what, log_tail(request.log, begin), request.log, request.log_patterns),
                rc=code,
                command=command,
                tool_log=request.log,
            )


def _proxies() -> list[str]:
    """Names only: the client reads the values, which may contain a password, from its environment."""
    names = [name for name in PREDEFINED if os.environ.get(name)]
    return [word for name in names for word in ("--build-arg", name)]


class _LogReader:
    """Updates the progress from the log that a build writes."""

    def __init__(self, path: str, begin: int, progress: Progress) -> None:
        self._path = path
        self._position = begin
        self._progress = progress
        self._build_log = dockerfile.BuildLog()

    def __call__(self) -> int:
        """Read the new lines; returns the number of finished steps."""
        with open_regular(self._path) as stream:
            stream.seek(self._position)
            lines = [line for line in stream if line.endswith(b"\n")]
        for line in lines:
            self._build_log.add_line(line.decode("utf-8", "replace").rstrip())
        self._position += sum(map(len, lines))
        self._progress.update(self._build_log.done, self._build_log.total)
        if self._build_log.current:
            self._progress.note(self._build_log.current)
        return self._build_log.done


def _rotate(log: str) -> None:
    """Keep what earlier builds wrote as <log>.1 once it is large, instead of what was there."""
    if os.path.lexists(log) and os.lstat(log).st_size > LOG_LIMIT:
        os.replace(log, f"{log}.1")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
