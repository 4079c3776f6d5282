# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What Prometheus can scrape of a fleet, by the name of the job, in the format of its file based service discovery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gateway import (
    Gateways,
    Member,
    endpoint_port,
    exporters_of,
    in_url,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts

Plan = Mapping[str, Any]
Group = dict[str, Any]

MODEL_SERVER, ENDPOINT = "trtllm-model-server", "trtllm-endpoint"
GATEWAY, KEYS, CERTIFICATES = "trtllm-gateway", "trtllm-gateway-keys", "trtllm-certificates"


def targets_of(
    plans: Mapping[str, Plan], gateways: Gateways, options: Mapping[str, Any], shapes: Mapping[str, str]
) -> dict[str, list[Group]]:
    """`options` are those of the gateways, `shapes` the labels of hosts. A host without an endpoint has no targets."""
    found: dict[str, list[Group]] = {job: [] for job in (MODEL_SERVER, ENDPOINT, GATEWAY, KEYS, CERTIFICATES)}
    # In an order that does not depend on the inventory, so that a run that changes nothing writes the same files.
    for name, plan in sorted(plans.items()):
        for job, group in _of_host(gateways.hosts[name], plan, shapes[name]) if plan["endpoint"] else ():
            found.setdefault(job, []).append(group)
    for name, made in sorted(options.items()):
        member, gateway = gateways.by_name[name], made["gateway"]
        metrics, port = member.connect_to("metrics_address"), gateway["metrics_port"]
        found[GATEWAY].append(_group(metrics, port, host=name))
        # Not of the same job, in which it would have the same labels.
        found[KEYS].append(_group(metrics, port, __metrics_path__="/metrics/keys", host=name))
        address = next((one for one in gateway["addresses"] if one not in ("*", "0.0.0.0")), member.address)
        found[CERTIFICATES].append(_group(address, gateway["port"], host=name))
    return found


def shape_of(facts: HostFacts, catalogue: Catalogue) -> str:
    """The name of the catalogue's first shape with the same GPUs; otherwise the GPUs."""
    names = [gpu.name for gpu in facts.gpus]
    for shape, known in catalogue.shapes.items():
        gpus = known["gpus"]
        if names and names == [gpus.get("name")] * gpus["count"]:
            return shape
    return f"{len(names)}x {', '.join(sorted(set(names)))}" if names else "no GPUs"


def _of_host(host: Member, plan: Plan, shape: str) -> Iterator[tuple[str, Group]]:
    address, port = host.connect_to("address"), endpoint_port(host)
    for deployment in plan["endpoint"]["deployments"]:
        served = plan["served"][deployment["name"]]
        labels = {
            "deployment": deployment["name"],
            "model": served["repository"],
            "version": served["version"],
            "profile": served["profile"],
            "shape": shape,
        }
        path = f"/{deployment['name']}/metrics"
        yield MODEL_SERVER, _group(address, port, __metrics_path__=path, host=host.name, **labels)
    yield ENDPOINT, _group(address, port, __metrics_path__="/metrics", host=host.name, shape=shape)
    for exporter in exporters_of(host):
        path = f"/metrics/{exporter['name']}"
        yield f"trtllm-{exporter['name']}", _group(address, port, __metrics_path__=path, host=host.name, shape=shape)


def _group(address: str, port: int, **labels: str) -> Group:
    return {"targets": [f"{in_url(address)}:{port}"], "labels": labels}
