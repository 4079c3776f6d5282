# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The image artifact by building: the release's own Dockerfile or Makefile, BuildKit, and a record."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    Draft,
    artifact_key,
    check_apart,
    difference,
    locked,
    read_artifact,
    sha256_of,
    source_key,
    state_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import (
    open_appending,
    open_regular,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend import _dockerfile as dockerfile
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Engine, EngineError, Login
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LogPatterns,
    failure_text,
    log_tail,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

MAKE = "make"
# BuildKit's own: they reach every step, and are in no image's history.
PREDEFINED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Since then the client has BuildKit in a plugin.
PLUGIN_SINCE = 23
BASE_REPOSITORY = "tritonops/base"
# Writes straight to the log, and ends with the module: a build must not go on unseen while the next run begins it anew.
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
    """What trtllm_image_build is asked for."""

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
    login: Login
    log_patterns: LogPatterns
    check_mode: bool

    @property
    def method(self) -> str:
        return MAKE if self.directory else "dockerfile"

    @property
    def inputs(self) -> dict[str, t.Any]:
        """What makes it another image: neither how fast it is built nor what the host has to trust for it."""
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
        if self.cuda_architectures and not dockerfile.ARCHITECTURES.fullmatch(self.cuda_architectures):
            raise ArtifactError(
                f"cuda_architectures: {self.cuda_architectures!r} is not like 80-real or 80-real;90-real"
            )
        if self.method == MAKE and not self.target:
            raise ArtifactError("target is missing: directory has a Makefile, which target is it")


def build_result(request: BuildRequest, module: AnsibleModule, engine: Engine | None) -> dict[str, t.Any]:
    """Have the image in the engine and its record at dest; the result of the module."""
    request.check()
    check_apart({"dest": request.dest}, {"src": request.src})
    inputs = request.inputs
    before = read_artifact(request.dest)
    reason = _reason(request, inputs, engine)
    if reason and engine and not request.check_mode:
        with locked(request.dest):
            # Another run may have built it while we waited.
            reason = _reason(request, inputs, engine)
            if reason:
                _Build(request, inputs, module, engine).run()
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


def _reason(request: BuildRequest, inputs: dict[str, t.Any], engine: Engine | None) -> str | None:
    stale = state_of(request.dest, inputs)
    if stale or engine is None:
        return stale
    image = (read_artifact(request.dest) or {}).get("image", "")
    return None if engine.image(image) else f"image {image} is not in the engine"


class _Build:
    """One build, from the clone to the record."""

    def __init__(self, request: BuildRequest, inputs: dict[str, t.Any], module: AnsibleModule, engine: Engine) -> None:
        self._request = request
        self._module = module
        self._engine = engine
        self._draft = Draft(request.dest, inputs)
        self._text = self._read(request.dockerfile)
        self._makefile = self._read(os.path.join(request.directory, "Makefile")) if request.directory else ""
        # What the build is given beside what was asked for.
        self._args = dict(request.build_args)

    def run(self) -> None:
        request = self._request
        self._check_buildkit()
        progress = self._draft.begin()
        if request.expected_bytes:
            self._engine.check_room(request.expected_bytes, f"the image {request.name}")
        self._fetch_bases(progress)
        if request.ca_bundle or request.pip_constraints:
            self._wrap_base(progress)
        command = self._make_command() if request.method == MAKE else self._docker_command()
        self._execute(command, progress, "build")
        known = self._engine.image(request.name)
        if known is None:
            raise EngineError(
                f"the build ended well, but the engine does not know {request.name} afterwards: its Makefile names the"
                f" image otherwise; see {request.log}"
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
                f"cannot read {path}: {exc.strerror}; correct src, or what the catalogue says of image_build"
            ) from exc

    def _check_buildkit(self) -> None:
        """Before gigabytes are fetched: the client may have no BuildKit."""
        code, version, err = self._module.run_command(["docker", "version", "--format", "{{.Client.Version}}"])
        if code:
            raise EngineError(f"cannot ask docker for its version: {err.strip()}")
        major = int(re.match(r"\d*", version).group() or 0)  # type: ignore[union-attr]
        needs = "buildx" in self._makefile
        if major < PLUGIN_SINCE and not needs:
            return
        if self._module.run_command(["docker", "buildx", "version"])[0]:
            why = "the release's Makefile calls it" if needs else f"docker {version.strip()} has BuildKit in it"
            raise EngineError(
                f"docker buildx is not installed, and {why}: install docker-buildx-plugin (Docker's repository) or"
                " docker-buildx (the distribution's)"
            )

    def _fetch_bases(self, progress: Progress) -> None:
        """With a login the images that the build begins with are pulled before it: it then needs no credentials."""
        if not self._request.login.text:
            return
        for image in dockerfile.images_from(self._text, self._args):
            if self._engine.image(image) is None:
                self._engine.pull(image, progress, self._request.login)

    def _wrap_base(self, progress: Progress) -> None:
        """Upstream's files know nothing of certificates: they get a base that has them."""
        base = dockerfile.base_image(self._text, self._args)
        context = self._draft.path("base")
        os.makedirs(os.path.join(context, "ca"))
        text, bundle = dockerfile.TRUST, ""
        if self._request.ca_bundle:
            with open(self._request.ca_bundle, encoding="utf-8") as stream:
                bundle = stream.read()
            for number, certificate in enumerate(dockerfile.certificates(bundle)):
                _write(os.path.join(context, "ca", f"tritonops-{number:03}.crt"), certificate)
            text += dockerfile.TRUSTING
        if self._request.pip_constraints:
            _write(os.path.join(context, "constraints.txt"), "\n".join([*self._request.pip_constraints, ""]))
            text += dockerfile.CONSTRAINED
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
        """The variables that upstream's Makefile has; what it does not know is refused rather than lost."""
        request = self._request
        # Their names are the Makefile's own, which passes them on.
        own = {
            name: value for name, value in self._args.items() if name in (dockerfile.BASE_IMAGE, dockerfile.BASE_TAG)
        }
        others = {name: value for name, value in self._args.items() if name not in own}
        variables = {
            "IMAGE_WITH_TAG": request.name,
            "DOCKER_PROGRESS": "plain",
            # Bases are pulled where they are not there; what was made here could not be.
            "DOCKER_BUILD_OPTS": "--load" if "buildx" in self._makefile else "",
            "DOCKER_BUILD_ARGS": " ".join(shlex.quote(word) for word in self._options(others)).replace("$", "$$"),
            "CUDA_ARCHS": request.cuda_architectures,
            "BUILD_WHEEL_OPTS": " ".join(dockerfile.wheel_options("", request.jobs)),
            **own,
        }
        given = {name: value for name, value in variables.items() if value or name == "DOCKER_BUILD_OPTS"}
        dockerfile.check_makefile(self._makefile, given)
        folder = os.path.join(request.src, request.directory)
        # Its own pull of the base would be without the login, and cannot find a base that was made here.
        words = [f"{name}={value}" for name, value in given.items()]
        return ["make", "-C", folder, "--old-file", "base_pull", request.target, *words]

    def _execute(self, command: list[str], progress: Progress, phase: str) -> None:
        """Run it to its end with its output in the log; a run that was ended goes on by the engine's layer cache."""
        request = self._request
        os.makedirs(os.path.dirname(request.log), mode=0o755, exist_ok=True)
        progress.start(phase, unit="steps")
        with open_appending(request.log) as log:
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            log.write(f"\n=== {now} {shlex.join(command)}\n".encode())
            begin = log.tell()
        with sampled(progress, _Listener(request.log, begin, progress)):
            code, _out, _err = self._module.run_command(
                [sys.executable, "-c", RUN, request.log, *command],
                # The engine's own builder: another one would keep the image to itself.
                environ_update={"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"},
                expand_user_and_vars=False,
            )
        if code:
            what = f"{' '.join(command[:2])} failed with exit code {code}"
            raise ArtifactError(
                failure_text(what, log_tail(request.log, begin), request.log, request.log_patterns),
                rc=code,
                command=command,
                tool_log=request.log,
            )


def _proxies() -> list[str]:
    """By name only: the client takes the values, which may have a password, out of its environment."""
    names = [name for name in PREDEFINED if os.environ.get(name)]
    return [word for name in names for word in ("--build-arg", name)]


class _Listener:
    """Turns what a build writes into its log into progress."""

    def __init__(self, path: str, begin: int, progress: Progress) -> None:
        self._path = path
        self._position = begin
        self._progress = progress
        self._heard = dockerfile.BuildLog()

    def __call__(self) -> int:
        """Read on; the number of steps that are done."""
        with open_regular(self._path) as stream:
            stream.seek(self._position)
            lines = [line for line in stream if line.endswith(b"\n")]
        for line in lines:
            self._heard.hear(line.decode("utf-8", "replace").rstrip())
        self._position += sum(map(len, lines))
        self._progress.update(self._heard.done, self._heard.total)
        if self._heard.current:
            self._progress.note(self._heard.current)
        return self._heard.done


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
