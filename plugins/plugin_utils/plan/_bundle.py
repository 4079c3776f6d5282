# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Planning with a bundle: what it must contain, and a plan that takes everything from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal, as_mapping

Plan = Mapping[str, Any]
VARIABLE = "trtllm_bundle"
AGAIN = "make a bundle for it with bundle.yml"
WEIGHTS, IMAGES, SOURCES = "weights", "images", "sources"
NETWORK_NEEDS = ("hub", "registry", "reach")


@dataclass(frozen=True)
class HostNeeds:
    """What a bundle must support on a host: its system (debian-12), its Python (3.11) and the source of its Docker.

    `haproxy`: whether the host has an endpoint with the distribution's HAProxy.
    """

    system: str
    python: str
    docker_source: str
    haproxy: bool


def contents(plan: Plan) -> dict[str, Any]:
    """What a deployment of this plan downloads, as recorded in the manifest of a bundle."""
    image, templates = plan["trtllm_backend"]["image"], plan["trtllm_backend"].get("templates")
    weights, *tokenizer = plan["model_weights"]["snapshots"]
    return {
        "release": plan["release"],
        "model": dict(plan["model"]),
        # Without the paths of archives, which differ between machines.
        "image": {"source": image["source"], "name": _image_name(plan)},
        "weights": snapshot(weights),
        "tokenizer": snapshot(tokenizer[0]) if tokenizer else {},
        "sources": _commits(plan) if templates and templates["source"] == "git" else {},
    }


def _commits(plan: Plan) -> dict[str, str]:
    return {name: source["commit"] for name, source in plan["trtllm_backend"]["clone"]["sources"].items()}


def _image_name(plan: Plan) -> str:
    """A built image is identified by its sources, because the GPUs are not known when the bundle is made."""
    image = plan["trtllm_backend"]["image"]
    if image["source"] == "build":
        return artifact_key(_commits(plan))
    return str(image["name"])


def snapshot(wanted: Mapping[str, Any]) -> dict[str, str]:
    """A snapshot from a hub, or a folder."""
    if wanted["src"]:
        return {"path": wanted["src"]}
    return {"repository": wanted["repository"], "revision": wanted["revision"]}


def bundle_contents(plan: Plan, request: Mapping[str, Any]) -> dict[str, Any]:
    """What bundle.yml must download, and the folders of the bundle for the snapshots."""
    about = contents(plan)
    model = as_mapping(request.get("model"))
    config = model.get("config") if isinstance(model, Mapping) else None
    return {
        "about": {**about, "plan": artifact_key(about), **({"config": config} if isinstance(config, Mapping) else {})},
        # In the order of the plan's snapshots.
        "folders": [folder_of(about[name]) for name in ("weights", "tokenizer") if about[name]],
    }


def folder_of(wanted: Mapping[str, str]) -> str:
    """The folder of a snapshot in a bundle. For a hub it has the layout of huggingface_hub's cache."""
    if "path" in wanted:
        return f"{WEIGHTS}/{artifact_key(wanted)}"
    return f"{WEIGHTS}/models--{wanted['repository'].replace('/', '--')}/snapshots/{wanted['revision']}"


def mismatches(plan: Plan, manifest: Mapping[str, Any]) -> list[Refusal]:
    """Why a bundle does not have the contents for this plan."""
    found = []
    for name, wanted in contents(plan).items():
        has = manifest.get(name)
        if has != wanted:
            message = (
                f"the bundle has {name} {_shown(has)}, but {_shown(wanted)} was requested: {AGAIN},"
                " or request what it contains"
            )
            found.append(Refusal(VARIABLE, _shown(has), message))
    return found


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(str(item) for item in value.values() if item) or "none"
    return str(value)


def lacks(manifest: Mapping[str, Any], needs: HostNeeds, gpus: int) -> list[Refusal]:
    """What the bundle lacks for this host."""
    found = []
    systems = manifest.get("systems", {})
    known = ", ".join(systems) or "none"
    if needs.system not in systems:
        message = (
            f"the bundle has packages of {known}, not of {needs.system}: add it to trtllm_bundle_systems and {AGAIN}"
        )
        found.append(Refusal(VARIABLE, known, message))
    else:
        found += _packages_lack(systems[needs.system], needs, gpus)
    pythons = manifest.get("pythons", [])
    if needs.python not in pythons:
        message = f"the bundle has wheels for Python {', '.join(pythons)}, this host has {needs.python}: "
        found.append(Refusal(VARIABLE, ", ".join(pythons), f"{message}add it to trtllm_bundle_pythons and {AGAIN}"))
    return found


def _packages_lack(system: Mapping[str, Any], needs: HostNeeds, gpus: int) -> list[Refusal]:
    found = []
    source = system["docker_source"]
    if needs.docker_source not in ("existing", source):
        message = (
            f"the bundle contains Docker from the {source}, but trtllm_docker_source is {needs.docker_source}:"
            f" set it to {source}, or {AGAIN}"
        )
        found.append(Refusal(VARIABLE, source, message))
    if gpus and not system["nvidia"]:
        message = (
            f"the bundle has no container toolkit, and this host has GPUs: set trtllm_bundle_nvidia to true and {AGAIN}"
        )
        found.append(Refusal(VARIABLE, False, message))
    if needs.haproxy and not system.get("has_haproxy"):
        message = (
            "the bundle has no HAProxy, which gateways and hosts that read metrics need on this host: make it with an"
            " inventory that has them, or set haproxy_source to existing if there is one"
        )
        found.append(Refusal(VARIABLE, False, message))
    return found


def bundled_request(request: Mapping[str, Any], path: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the bundle at path as the source of all downloads."""
    wanted = manifest["image"]
    given = as_mapping(request.get("image") or {})
    image = {
        **({"layout": given["layout"]} if isinstance(given, Mapping) and given.get("layout") else {}),
        **({"layout": "self_built"} if wanted["source"] == "build" else {}),
        "source": "archive",
        "archive": f"{path}/{IMAGES}/image.tar",
        "digest": manifest["image_id"],
    }
    weights = manifest["weights"]
    bundled = {
        **request,
        "image": image,
        "weights": {"offline": True, **({"path": f"{path}/{folder_of(weights)}"} if "path" in weights else {})},
    }
    if "path" in manifest["tokenizer"]:
        bundled["tokenizer"] = {"path": f"{path}/{folder_of(manifest['tokenizer'])}"}
    if manifest["sources"]:
        bundled["sources"] = {
            name: {"repository": f"{path}/{SOURCES}/{name}/{name}.git", "commit": commit}
            for name, commit in manifest["sources"].items()
        }
    return bundled


def described_request(request: Mapping[str, Any], manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request, with the config.json from the manifest if the model's shape would be looked up from the hub."""
    model = as_mapping(request.get("model"))
    config = manifest.get("config")
    if not config or not isinstance(model, Mapping) or {"preset", "shape", "config"} & set(model):
        return request
    return {**request, "model": {**model, "config": config}}


def bundled_plan(
    request: Mapping[str, Any], bundle: Mapping[str, Any], plan: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The plan that downloads nothing, or a refused plan if the bundle is not suitable.

    `bundle` has the keys path and manifest, and those of HostNeeds. `plan` makes a plan for a request.
    """
    manifest = bundle["manifest"]
    request = described_request(request, manifest)
    weights = as_mapping(request.get("weights") or {})
    # The model's shape must not be looked up from the hub either.
    unbundled = {**request, "weights": {**weights, "offline": True}} if isinstance(weights, Mapping) else request
    online = plan(unbundled)
    if online["refusals"]:
        return _without_network_needs(online)
    needs = HostNeeds(**{name: bundle[name] for name in ("system", "python", "docker_source", "haproxy")})
    wrong = [*mismatches(online, manifest), *lacks(manifest, needs, online["gpus"])]
    if wrong:
        return _without_network_needs({**online, "refusals": [refusal.as_dict() for refusal in wrong]})
    return plan(bundled_request(request, bundle["path"].rstrip("/"), manifest))


def _without_network_needs(refused: Mapping[str, Any]) -> dict[str, Any]:
    """A refused plan that was made without the bundle, without the needs that concern the network."""
    needs = {name: need for name, need in refused["needs"].items() if name not in NETWORK_NEEDS}
    return {**refused, "needs": needs}
