# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What a deployment needs of the host and the network, as far as it is known even if the request is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import (
    Archive,
    Disk,
    Gpus,
    Hub,
    Needs,
    Port,
    Runtime,
    Shm,
    Source,
    read,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker import _registry_login
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import unit_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import (
    Catalogue,
    Release,
    load_container_runtimes,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_fit import Sized, load_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import PRECISIONS, pulled_bytes
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._keys import image_key, pulled_image, weights_key
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import (
    Image,
    Model,
    Reader,
    Server,
    Spec,
    Weights,
    ports_of_profile,
)

ARCHITECTURES = ("x86_64", "aarch64")
SYSTEMS = {"almalinux": "8", "debian": "12", "ol": "8", "rhel": "8", "rocky": "8", "ubuntu": "22.04"}
DOCKER_ROOT = "/var/lib/docker"
# The registry of references without a host name.
DOCKER_HUB = "registry-1.docker.io"
MIB = 1 << 20
# The oldest driver branch for a major version of CUDA (CUDA compatibility, minor version compatibility).
DRIVER_OF_CUDA = {12: 525, 13: 580}
CAPABILITY_OF_DTYPE = {"bfloat16": (8, 0), "fp8": (8, 9)}
CAPABILITY_OF_CACHE = {"fp8": (8, 9), "nvfp4": (10, 0)}

Value = TypeVar("Value")


def container_of(deployment: str) -> str:
    return f"trtllm-{deployment}"


def basic_needs(root: str, deployment: str) -> Needs:
    """The needs that do not depend on the request."""
    return Needs(
        architectures=ARCHITECTURES,
        systems=SYSTEMS,
        systemd=True,
        clock=True,
        runtimes=[read(Runtime, entry) for entry in load_container_runtimes()],
        root=root,
        units=[unit_of(deployment)],
        containers=[container_of(deployment)],
        planned=True,
    )


def known_needs(request: Mapping[str, Any], host: HostFacts, catalogue: Catalogue, deployment: str) -> Needs:
    """The needs of a request with mistakes, as far as they follow from its correct variables."""
    reader = Reader(request, catalogue)
    root = _known(reader, reader.root) or DEFAULT_ROOT
    needs = replace(basic_needs(root, deployment), gpus=_expected_gpus(reader), **_server_needs(reader))
    image, weights = _image_needs(reader, host), _weights_needs(reader, root)
    disk = [*image.pop("disk", ()), *weights.pop("disk", ())]
    return replace(needs, disk=disk, **image, **weights)


def _known(reader: Reader, read: Callable[[], Value]) -> Value | None:
    """The value, or None if it is wrong."""
    before = len(reader.refusals)
    value = read()
    return value if len(reader.refusals) == before else None


def _expected_gpus(reader: Reader) -> Gpus | None:
    required = _known(reader, lambda: reader.boolean("gpus_required", reader.get("gpus_required", True)))
    return (_known(reader, reader.expected_gpus) or Gpus()) if required else None


def _server_needs(reader: Reader) -> dict[str, Any]:
    server = _known(reader, lambda: reader.server(reader.profile()))
    profile = _known(reader, reader.profile) or "engine"
    return {"ports": ports_of(server, profile), "shm": Shm(server.shm_size)} if server else {}


def _image_needs(reader: Reader, host: HostFacts) -> dict[str, Any]:
    profile = _known(reader, reader.profile) or "engine"
    image, release = _known(reader, reader.image), _known(reader, lambda: reader.release(reader.profile()))
    if image is None or image.source != "registry":
        return {"archive": archive_of(image)} if image else {}
    reference = image.reference or (newest_image(release) if release else "")
    if not reference or f"image/{image_key(pulled_image(reference, image.digest))}" in host.artifacts:
        return {}
    return {"registry": registry_of(reference), "disk": [Disk(DOCKER_ROOT, pulled_bytes(profile), "image")]}


def _weights_needs(reader: Reader, root: str) -> dict[str, Any]:
    weights, source = _known(reader, reader.weights), reader.model_source()
    if weights is None or source is None:
        return {}
    repository, revision = source
    dest = f"{root}/weights/{weights_key(repository, revision, weights.path)}"
    model = _known(reader, reader.model)
    disk = [Disk(dest, weights_bytes(model), "weights")] if model else []
    return {"hub": hub_of(repository, revision, weights, dest), "disk": disk}


def ports_of(server: Server, profile: str) -> list[Port]:
    names = {"grpc": "gRPC", "http": "HTTP", "metrics": "metrics"}
    return [Port(getattr(server, f"{kind}_port"), server.address, names[kind]) for kind in ports_of_profile(profile)]


def hub_of(repository: str, revision: str, weights: Weights, dest: str) -> Hub | None:
    """None if no hub is used."""
    if weights.path or weights.offline:
        return None
    return Hub(repository, revision, weights.endpoint, dest=dest)


def archive_of(image: Image) -> Archive | None:
    return Archive(image.archive, image.digest) if image.source == "archive" else None


def newest_image(release: Release) -> str:
    """The newest image of the version on NGC; empty if there is none."""
    return str(release["images"][-1]["reference"]) if release["images"] else ""


def weights_bytes(model: Model) -> int:
    """The size of the downloaded files."""
    element = 1 if model.quantization else PRECISIONS.get(model.dtype, PRECISIONS["bfloat16"]).dtype_bytes
    return model.shape.stored * element


def gpu_needs(spec: Spec, host: HostFacts, sized: Sized | None) -> Gpus | None:
    """The GPUs that the plan needs and that the user expects; None if the model runs without a GPU.

    Their number and memory are only known if the model is `sized`.
    """
    if not host.gpus and not spec.gpus_required:
        return None
    image, expected = spec.known_image, spec.expected_gpus
    supported = supported_capability(spec.release, spec.profile)
    for_dtype = dotted(capability_needed(spec) or ())
    count, memory = expected.count, expected.memory_mib
    if sized:
        count = max(count, sized.parallelism.world_size)
    if sized and host.gpus:
        memory = max(memory, -(-load_of(spec, 0).least_memory(sized.parallelism) // MIB))
    return replace(
        expected,
        count=count,
        memory_mib=memory,
        compute_capability=max(expected.compute_capability, supported["least"], for_dtype, key=version),
        compute_capability_most=expected.compute_capability_most or supported["most"],
        driver=expected.driver or str(driver_needed(image) or ""),
        driver_listed=expected.driver_listed or str(image.get("driver") or ""),
    )


def supported_capability(release: Release, profile: str) -> Mapping[str, str]:
    """The `least` and `most` of the GPUs that a version supports: engines also run on some that are not tested."""
    found = release["compute_capability"]
    least = found["least"] if profile == "engine" else found.get("tested", found["least"])
    return {"least": least, "most": found.get("most", "")}


def capability_needed(spec: Spec) -> tuple[int, ...] | None:
    """The minimum compute capability for the data type; None if there is no minimum."""
    known = spec.release.get("checkpoint_formats", {}).get(dtype_of(spec))
    return version(known["compute_capability"]) if known else CAPABILITY_OF_DTYPE.get(dtype_of(spec))


def dtype_of(spec: Spec) -> str:
    """The data type of the computation, or the format of quantised weights if trtllm-serve reads them."""
    if spec.profile == "serve" and spec.model.checkpoint_format:
        return spec.model.checkpoint_format
    return "fp8" if "fp8" in (spec.model.quantization, spec.precision) else PRECISIONS[spec.precision].dtype


def driver_needed(image: Mapping[str, Any]) -> int | None:
    """The oldest driver branch that supports the CUDA version of an image."""
    return DRIVER_OF_CUDA.get(version(str(image.get("cuda") or "0"))[0])


def dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)


def registry_of(reference: str) -> str:
    """Host and port of the registry. Docker Hub has another address than the one in image names."""
    registry = _registry_login.registry_of(reference)
    return DOCKER_HUB if registry == _registry_login.DOCKER_HUB else registry


def repositories(sources: Iterable[Mapping[str, Any]]) -> list[Source]:
    """The repositories with an HTTP URL, each once."""
    urls = dict.fromkeys(str(source["repository"]) for source in sources)
    return [Source(url, "sources") for url in urls if re.match(r"https?://", url)]
