# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Docker, through the Docker SDK for Python: images by digest, and tools that run in containers."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import traceback
import typing as t
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from threading import Event, Timer

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    CHUNK,
    ArtifactError,
    check_space,
    lock_if_free,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._registry_login import credentials, registry_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# In seconds: loading an image sends nothing while Docker unpacks a layer, which takes minutes for 10 GB.
TIMEOUT = 1800
KILLED = 137
# The label of a tool's container: the artifact that the tool makes.
DEST_LABEL = "tritonops.trtllm.dest"
# What MPI and NCCL need, in the notation of `docker run --ulimit`.
ULIMITS = ("memlock=-1", "stack=67108864")
# Threads count, too: a compiler or a converter of a large model has some for each processor.
_PIDS_LIMIT = 32768
# The user may have no name in the image, and Python needs one. Libraries have caches in the home folder. Without
# capabilities, Open MPI cannot copy between the memories of two ranks.
_ENVIRONMENT = {
    "HOME": "/tmp",
    "USER": "trtllm",
    "LOGNAME": "trtllm",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}
LOGIN_REMEDY = "set the registry's credentials (registry_auth, trtllm_image.registry_auth_file), or correct them"
# Remedies by text in the messages of Docker and registries, in lower case.
REMEDIES = (
    ("no space left", "free space in Docker's data folder, or move data-root to a larger file system"),
    ("x509", "copy the registry's CA certificate to /etc/docker/certs.d/<registry>/ca.crt on the host"),
    ("unauthorized", LOGIN_REMEDY),
    ("no basic auth credentials", LOGIN_REMEDY),
    ("authentication required", LOGIN_REMEDY),
    ("denied", LOGIN_REMEDY),
    ("toomanyrequests", "the registry limits anonymous pulls: log in (registry_auth) or run again later"),
    (
        "apparmor_parser",
        "install the package apparmor on the host: its kernel has AppArmor enabled, and Docker needs that program",
    ),
    ("manifest unknown", "correct reference or digest: the registry does not have that image"),
    ("not found", "correct reference or digest: the registry does not have that image"),
    ("no such host", "correct reference, or check the host's DNS and proxy settings"),
    ("connection refused", "check that the registry is running and reachable from the host"),
    ("could not select device driver", "install the NVIDIA Container Toolkit (role nvidia_ctk) or leave gpus empty"),
    ("error setting rlimit", "Docker may not raise its own limits (no CAP_SYS_RESOURCE): lower or empty ulimits"),
    ("no such image", "load or pull the image first, with tritonops.trtllm.trtllm_image"),
)


class DockerError(ArtifactError):
    """Docker reported an error."""


class ToolFailed(DockerError):
    """A tool in a container exited with an error, or was stopped at its deadline."""

    def __init__(self, exit_code: int, out_of_memory: bool, timed_out: bool) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code
        self.out_of_memory = out_of_memory
        self.timed_out = timed_out


def load_sdk() -> t.Any:
    """Import the Docker SDK for Python; ImportError if it is not installed."""
    return import_module("docker")


def docker_error(what: str, exc: BaseException, alternative: str = "") -> DockerError:
    """An error with what failed, Docker's own message and the remedy, if one is known."""
    said = " ".join(str(getattr(exc, "explanation", None) or exc).split()).rstrip(".")
    known = next((remedy for words, remedy in REMEDIES if words in said.lower()), "")
    remedy = "; or ".join(filter(None, [known, alternative]))
    return DockerError(f"{what}: {said}" + (f". Remedy: {remedy}" if remedy else ""))


class Docker:
    """A Docker daemon."""

    def __init__(self, sdk: t.Any, docker_host: str | None = None) -> None:
        self._sdk = sdk
        environment = {**os.environ, **({"DOCKER_HOST": docker_host} if docker_host else {})}
        try:
            self._client = sdk.from_env(timeout=TIMEOUT, environment=environment)
            self._client.ping()
        except sdk.errors.DockerException as exc:
            where = environment.get("DOCKER_HOST", "unix:///var/run/docker.sock")
            raise DockerError(
                f"Docker at {where} does not respond: {' '.join(str(exc).split())}. Start it"
                " (systemctl start docker), or correct docker_host"
            ) from exc

    def image(self, name: str) -> dict[str, t.Any] | None:
        """The output of `docker image inspect` for an image; None if Docker does not have it."""
        try:
            attributes: dict[str, t.Any] = self._client.images.get(name).attrs
        except self._sdk.errors.ImageNotFound:
            return None
        except self._sdk.errors.APIError as exc:
            raise docker_error(f"cannot inspect image {name}", exc) from exc
        return attributes

    def check_room(self, needed: int, what: str) -> None:
        """Fail if fewer than `needed` bytes are available in Docker's data folder, if that is on this host."""
        root = self._client.info().get("DockerRootDir", "")
        if os.path.isdir(root):
            check_space(root, needed, what)

    @property
    def containerd(self) -> bool:
        """Whether images are in containerd's image store, which Docker 29 uses on new hosts."""
        return ["driver-type", "io.containerd.snapshotter.v1"] in (self._client.info().get("DriverStatus") or [])

    def load(self, archive: str, progress: Progress) -> list[str]:
        """Load an archive, as `docker load` does; returns the names or ids of its images in Docker."""
        size = os.path.getsize(archive)
        self.check_room(size, f"the image of {archive}")
        progress.start("load", total=size)
        try:
            events = list(_checked(self._client.api.load_image(_blocks(archive, progress), quiet=True)))
        except (self._sdk.errors.DockerException, StreamError) as exc:
            raise docker_error(f"cannot load {archive}", exc) from exc
        lines = [event.get("stream", "") for event in events]
        return [
            line.split(": ", 1)[1].strip() for line in lines if line.startswith(("Loaded image: ", "Loaded image ID: "))
        ]

    def save(self, image: str, archive: str, progress: Progress) -> str:
        """Write an archive of the image, as `docker save` does; returns its SHA-256."""
        digest = hashlib.sha256()
        progress.start("save")
        try:
            with open(archive, "wb") as stream:
                for block in self._client.api.get_image(image, chunk_size=CHUNK):
                    stream.write(block)
                    digest.update(block)
                    progress.advance(len(block))
        except self._sdk.errors.DockerException as exc:
            raise docker_error(f"cannot save {image}", exc) from exc
        return digest.hexdigest()

    def pull(self, image: str, progress: Progress, login: Login) -> None:
        """Pull repository@digest or repository:tag."""
        repository, _at, digest = image.partition("@")
        self._log_in(login.config)
        progress.start("pull")
        try:
            answer = self._client.api.pull(
                repository, tag=digest or None, stream=True, decode=True, auth_config=login.of(repository)
            )
            for _event in _checked(_metered(answer, progress)):
                pass
        except (self._sdk.errors.DockerException, StreamError) as exc:
            raise docker_error(f"cannot pull {image}", exc) from exc

    def digest_of(self, reference: str, login: Login) -> str:
        """The digest that a tag currently has in the registry."""
        self._log_in(login.config)
        try:
            digest: str = self._client.images.get_registry_data(reference, auth_config=login.of(reference)).id
        except self._sdk.errors.DockerException as exc:
            alternative = "set the image's digest, which needs no look-up"
            raise docker_error(f"cannot look up the digest of {reference}", exc, alternative) from exc
        return digest

    def _log_in(self, config: str | None) -> None:
        if config is None:
            return
        if not os.path.isfile(config):
            raise DockerError(f"the file {config} (docker_config) does not exist on this host")
        try:
            self._client.api.reload_config(dockercfg_path=config)
        except self._sdk.errors.DockerException as exc:
            raise docker_error(f"cannot read {config} (docker_config)", exc) from exc

    def usage(self) -> dict[str, t.Any]:
        """The output of `docker system df`: images with the size of their own layers, and the cache of builds."""
        try:
            usage: dict[str, t.Any] = self._client.df()
        except self._sdk.errors.DockerException as exc:
            raise docker_error("cannot get the disk usage of Docker", exc) from exc
        return usage

    def containers(self) -> list[dict[str, t.Any]]:
        """The output of `docker ps --all`."""
        try:
            found: list[dict[str, t.Any]] = self._client.api.containers(all=True)
        except self._sdk.errors.DockerException as exc:
            raise docker_error("cannot list the containers", exc) from exc
        return found

    def remove_image(self, name: str) -> None:
        """Remove the name, and the image with its last name. Docker refuses if a container uses it."""
        try:
            self._client.images.remove(name)
        except self._sdk.errors.ImageNotFound:
            return
        except self._sdk.errors.DockerException as exc:
            raise docker_error(f"cannot remove image {name}", exc) from exc

    def remove_build_cache(self) -> int:
        """Remove the cache of builds that no build uses; the bytes that were freed."""
        try:
            return int(self._client.api.prune_builds(all=True).get("SpaceReclaimed") or 0)
        except self._sdk.errors.DockerException as exc:
            raise docker_error("cannot remove the cache of builds", exc) from exc

    def remove_container(self, name: str) -> None:
        """Remove a container that a killed run left behind, even if it is running."""
        try:
            self._client.containers.get(name).remove(force=True, v=True)
        except self._sdk.errors.NotFound:
            return
        except self._sdk.errors.APIError as exc:
            raise docker_error(f"cannot remove container {name} of an earlier run", exc) from exc

    def remove_orphans(self, root: str) -> None:
        """Remove the containers of killed runs, whose artifact is below root and whose lock nobody holds."""
        try:
            for container in self._client.containers.list(all=True, filters={"label": DEST_LABEL}, ignore_removed=True):
                dest = container.labels[DEST_LABEL]
                if dest.startswith(os.path.join(root, "")):
                    with lock_if_free(dest) as is_free:
                        if is_free:
                            self.remove_container(container.name)
        except self._sdk.errors.DockerException as exc:
            raise docker_error("cannot list the containers of earlier runs", exc) from exc

    def copy_out(self, image: str, path: str, spool: t.IO[bytes]) -> None:
        """Write a tar archive of a folder in the image to spool, using a container that is never started."""
        try:
            container = self._client.containers.create(image, command=["true"])
        except self._sdk.errors.DockerException as exc:
            raise docker_error(f"cannot create a container from {image}", exc) from exc
        try:
            blocks, _stat = container.get_archive(path)
            spool.writelines(blocks)
        except self._sdk.errors.DockerException as exc:
            raise docker_error(f"cannot copy {path} out of {image}", exc) from exc
        finally:
            container.remove()

    def run(self, tool: Tool, log: str) -> None:
        """Run a tool with its output in the file log; ToolFailed if its exit code is not 0."""
        try:
            container = self._client.containers.create(**self._creation(tool))
        except self._sdk.errors.DockerException as exc:
            raise docker_error(f"cannot create a container from {tool.image}", exc) from exc
        try:
            # Attached before the start, so that no line is lost, whatever Docker's logging driver is.
            output = container.attach(stdout=True, stderr=True, stream=True, logs=True)
            container.start()
            with self._deadline(container, tool.timeout) as timed_out, open(log, "wb") as stream:
                for block in output:
                    stream.write(block)
                    stream.flush()
                exit_code = container.wait()["StatusCode"]
            if exit_code:
                container.reload()
                raise ToolFailed(exit_code, bool(container.attrs["State"].get("OOMKilled")), timed_out.is_set())
        except self._sdk.errors.DockerException as exc:
            raise docker_error(f"cannot run {tool.command[0]} in {tool.image}", exc) from exc
        finally:
            self.remove_container(tool.name)

    @contextmanager
    def _deadline(self, container: t.Any, seconds: int) -> t.Iterator[Event]:
        """Kill the container after that time, which ends its output; yields an event that says whether it was."""
        timed_out = Event()

        def stop() -> None:
            timed_out.set()
            # If the container has just ended, Docker refuses to kill it.
            with suppress(self._sdk.errors.DockerException):
                container.kill()

        timer = Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield timed_out
        finally:
            timer.cancel()

    def _creation(self, tool: Tool) -> dict[str, t.Any]:
        types = self._sdk.types
        mounts = [types.Mount(target, source, type="bind", read_only=True) for target, source in tool.read_only.items()]
        mounts += [types.Mount(target, source, type="bind") for target, source in tool.writable.items()]
        return {
            "image": tool.image,
            "command": list(tool.command),
            "name": tool.name,
            "labels": {DEST_LABEL: tool.dest},
            "environment": {**_ENVIRONMENT, **tool.environment},
            "user": tool.user,
            "read_only": True,
            "tmpfs": {"/tmp": "exec,size=8g"},
            # trtllm-build writes its timing cache in the working folder.
            "working_dir": "/tmp",
            "pids_limit": _PIDS_LIMIT,
            "mem_limit": tool.memory or None,
            "mounts": mounts,
            "network_mode": "none",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "shm_size": tool.shm_size,
            "ulimits": [_ulimit(types, text) for text in tool.ulimits],
            "device_requests": _device_requests(types, tool.gpus),
        }


def connect(module: AnsibleModule, docker_host: str | None) -> Docker | None:
    """Docker; None in check mode on a host without it."""
    try:
        return Docker(load_sdk(), docker_host)
    except ImportError as exc:
        if not module.check_mode:
            raise DockerError(missing_required_lib("docker"), exception=traceback.format_exc()) from exc
    except DockerError:
        if not module.check_mode:
            raise
    return None


@dataclass(frozen=True)
class Login:
    """Credentials for registries: a Docker config file on the host, or the text of one that is not stored there."""

    config: str | None = None
    text: str | None = field(default=None, repr=False)

    def of(self, reference: str) -> dict[str, str] | None:
        """The credentials for the SDK; None to use the config file."""
        return credentials(self.text, registry_of(reference)) if self.text else None


@dataclass(frozen=True)
class Tool:
    """A command to run in a container with access to the listed folders only, for at most `timeout` seconds.

    `dest` is the artifact that it makes, whose lock is held while it runs.
    """

    name: str
    image: str
    command: t.Sequence[str]
    dest: str
    timeout: int
    read_only: t.Mapping[str, str]
    writable: t.Mapping[str, str]
    gpus: t.Sequence[str] = ()
    shm_size: str = "2g"
    ulimits: t.Sequence[str] = ()
    environment: t.Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    # In bytes; 0 for no limit.
    memory: int = 0


class StreamError(Exception):
    """Docker reported an error in the stream of its response."""


def _checked(events: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[t.Mapping[str, t.Any]]:
    for event in events:
        if "error" in event:
            raise StreamError(event["error"])
        yield event


def _blocks(path: str, progress: Progress) -> t.Iterator[bytes]:
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(CHUNK), b""):
            yield block
            progress.advance(len(block))
    progress.start("unpack")


def _metered(events: t.Iterable[t.Mapping[str, t.Any]], progress: Progress) -> t.Iterator[t.Mapping[str, t.Any]]:
    """The events of a pull; the downloaded bytes of its layers are counted as progress."""
    layers: dict[str, tuple[int, int]] = {}
    for event in events:
        detail, layer = event.get("progressDetail") or {}, event.get("id", "")
        if event.get("status") == "Downloading" and detail.get("total"):
            layers[layer] = detail["current"], detail["total"]
        elif event.get("status") in ("Download complete", "Pull complete") and layer in layers:
            layers[layer] = layers[layer][1], layers[layer][1]
        if layers:
            progress.update(
                sum(done for done, _total in layers.values()), sum(total for _done, total in layers.values())
            )
        yield event


def _ulimit(types: t.Any, text: str) -> t.Any:
    """The limit in `name=soft[:hard]`, the notation of `docker run --ulimit`."""
    try:
        name, limits = text.split("=", 1)
        soft, _colon, hard = limits.partition(":")
        return types.Ulimit(name=name, soft=int(soft), hard=int(hard or soft))
    except ValueError as exc:
        raise DockerError(f"ulimits: {text!r} does not have the form name=soft[:hard]") from exc


def _device_requests(types: t.Any, gpus: t.Sequence[str]) -> list[t.Any]:
    if not gpus:
        return []
    which = {"count": -1} if list(gpus) == ["all"] else {"device_ids": list(gpus)}
    return [types.DeviceRequest(capabilities=[["gpu"]], **which)]


# Exceptions when JSON is invalid, or lacks a key or has another type there.
INVALID_JSON = (LookupError, TypeError, AttributeError, ValueError, RecursionError)


# Images of several gigabytes have metadata of a few kilobytes.
LARGEST_METADATA = 16 << 20


class ArchiveImage(t.NamedTuple):
    """An image in an archive, by the digests of its configuration and of its manifest.

    Archives of Docker before 25 and of skopeo have no manifest.
    """

    config: str
    manifest: str = ""

    def shown(self, containerd: bool) -> str:
        """Its id in Docker, which depends on Docker's image store; empty if only loading it will tell."""
        return self.manifest if containerd else self.config

    def __str__(self) -> str:
        return f"{self.config} ({self.manifest} with containerd's image store)" if self.manifest else self.config


def listed(images: t.Iterable[ArchiveImage]) -> str:
    return " or ".join(map(str, images)) or "none"


def with_digest(images: t.Iterable[ArchiveImage], digest: str) -> ArchiveImage | None:
    """The image with this digest: of its configuration or of its manifest, as both identify it."""
    return next((image for image in images if digest in image), None)


def archive_images(path: str) -> list[ArchiveImage]:
    """The images of a `docker save` archive."""
    try:
        with tarfile.open(path) as archive:
            # In one pass, because a compressed archive would be unpacked again for each file.
            members = (member for member in archive if member.isfile() and member.size <= LARGEST_METADATA)
            files = {member.name: t.cast(t.IO[bytes], archive.extractfile(member)).read() for member in members}
        if "manifest.json" not in files:
            raise DockerError(f"{path} is not a `docker save` archive: it has no manifest.json")
        manifests = _manifests(files)
        configs = [_sha256(files[entry["Config"]]) for entry in json.loads(files["manifest.json"])]
        return [ArchiveImage(config, manifests.get(config, "")) for config in configs]
    except FileNotFoundError as exc:
        raise DockerError(f"the archive {path} does not exist on this host") from exc
    except (tarfile.TarError, OSError, EOFError, *INVALID_JSON) as exc:
        raise DockerError(f"{path} is not a complete `docker save` archive: {exc}") from exc


def _manifests(files: t.Mapping[str, bytes]) -> dict[str, str]:
    """The digest of each image's manifest, or of its list of manifests, by the digest of its configuration."""
    entries = json.loads(files.get("index.json", b"{}")).get("manifests", [])
    return {config: entry["digest"] for entry in entries for config in _configs(files, entry["digest"])}


def _configs(files: t.Mapping[str, bytes], digest: str) -> list[str]:
    """The configurations of a manifest; none if the archive has another file under that digest."""
    content = files.get(f"blobs/{digest.replace(':', '/')}")
    if content is None or _sha256(content) != digest:
        return []
    manifest = json.loads(content)
    if "config" in manifest:
        return [manifest["config"]["digest"]]
    return [config for entry in manifest.get("manifests", []) for config in _configs(files, entry["digest"])]


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
