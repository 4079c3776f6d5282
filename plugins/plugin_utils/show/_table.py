# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Plans as text: what a run would do, how large it is, and what remains of memory and disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import ranges
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import gib
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import counted, refusal_line

Plan = Mapping[str, Any]
LIMITS = ("max_batch_size", "max_input_len", "max_seq_len", "max_num_tokens")
ROW = "{:<11} {:<8} {:>9}  {}"


def plan_table(hosts: Mapping[str, Plan], verbose: bool = False) -> str:
    """The tables of the hosts' deployments, once for hosts with the same tables. `verbose`: with notes and doubts."""
    hosts_by_table: dict[str, list[str]] = {}
    for host, plan in hosts.items():
        hosts_by_table.setdefault("\n".join(_of_host(plan, verbose)), []).append(host)
    return "\n\n".join(f"{_hosts(hosts)}\n{table}" for table, hosts in hosts_by_table.items())


def fanout_table(fanout: Mapping[str, Any], artifacts: Mapping[str, Any]) -> str:
    """Who makes or fetches what, and who copies it; empty if there is nothing to copy."""
    names = {index: name for host in fanout["hosts"].values() for name, index in host["groups"].items()}
    lines = [
        f"{names[index]} ({human_bytes(artifacts[names[index]]['bytes'])}): {_copied(names[index], group)}"
        for index, group in enumerate(fanout["groups"])
    ]
    return "\n".join(["\n\n== between the hosts", *lines]) if lines else ""


def _copied(name: str, group: Sequence[str], most: int = 5) -> str:
    maker, *others = group
    made = "made" if name.startswith(("checkpoint/", "engine/")) else "fetched"
    more = f" and {len(others) - most} more" if len(others) > most else ""
    return f"{made} by {maker}, copied by {', '.join(others[:most])}{more}"


def gateway_table(gateway: Mapping[str, Any]) -> str:
    """The routes of the gateways, which are the same for all; empty without gateways."""
    if gateway["unknown"]:
        return f"\n\n== gateways\nThere is no plan for {', '.join(gateway['unknown'])}, so the routes are not known."
    if not gateway["hosts"]:
        return ""
    routes = next(iter(gateway["hosts"].values()))["gateway"]["routes"]
    return "\n".join([f"\n\n{_hosts(list(gateway['hosts']))} (gateways)", *map(_route, routes)])


def _route(route: Mapping[str, Any]) -> str:
    servers = ", ".join(f"{entry['host']}:{entry['deployment']} {entry['weight']}" for entry in route["servers"])
    path = f"/{route['model']}/v2" if route["api"] == "triton" else f"/v1, model {route['model']}"
    return f"route     {path}: {servers} (host:deployment weight)"


def _hosts(hosts: list[str], most: int = 5) -> str:
    more = f" and {len(hosts) - most} more" if len(hosts) > most else ""
    return f"== {', '.join(hosts[:most])}{more}"


def _of_host(host: Plan, verbose: bool) -> Iterator[str]:
    """Deployments have headings if there are several. If anything is refused, only the refusals are shown."""
    if host["refusals"]:
        yield "This cannot work:"
        yield from map(refusal_line, host["refusals"])
        return
    several = len(host["deployments"]) > 1
    for name, plan in host["deployments"].items():
        yield from ([f"-- deployment {name}"] if several else [])
        yield from _lines(plan, verbose)
        yield from ([""] if several else [])
    yield from _gpus(host["gpus"])
    for text in host["warnings"]:
        yield f"warning   {text}"


def _gpus(gpus: Mapping[str, Any]) -> Iterator[str]:
    """Which deployment uses which GPUs, unless one deployment uses all of them."""
    if gpus["unused"] or len(gpus["used"]) > 1:
        used = [f"{ranges(indexes)} {name}" for name, indexes in gpus["used"].items() if indexes]
        unused = [f"{ranges(gpus['unused'])} unused"] if gpus["unused"] else []
        yield from ([f"GPUs      {', '.join([*used, *unused])}"] if used or unused else [])


def _lines(plan: Plan, verbose: bool) -> Iterator[str]:
    yield _title(plan)
    yield f"upstream  profile {plan['profile']}: {plan['upstream']}"
    yield ""
    yield ROW.format("what", "action", "size", "").rstrip()
    for step in plan["steps"]:
        size = human_bytes(step["bytes"]) if step["bytes"] else ""
        yield ROW.format(step["what"], step["action"], size, _detail(step, plan)).rstrip()
    yield ""
    yield from _budget(plan)
    for place, line in enumerate(speed_lines(plan["estimate"])):
        yield f"{'' if place else 'speed':<9} {line}"
    yield from _remarks(plan, verbose)


def _title(plan: Plan) -> str:
    parallelism = plan["parallelism"]
    gpus = f"on {counted(plan['gpus'], 'GPU')}" if plan["gpus"] else "without GPUs"
    return (
        f"{plan['model']['name']} with TensorRT-LLM {plan['release']}, profile {plan['profile']}, {plan['precision']}, "
        f"tensor {parallelism['tensor']} x pipeline {parallelism['pipeline']} {gpus}"
    )


def _detail(step: Mapping[str, Any], plan: Plan) -> str:
    weights, server = plan["model_weights"]["snapshots"][0], plan["server"]
    details = {
        "image": plan["trtllm_backend"]["image"]["name"],
        "weights": weights["src"] or f"{weights['repository']} at {weights['revision'][:12]}",
        "service": ", ".join(f"{kind} at {server['address']}:{port}" for kind, port in server["ports"].items()),
    }
    return str(details.get(step["what"], step["path"]))


def _budget(plan: Plan) -> Iterator[str]:
    budget, gpu = plan["budget"], plan["budget"]["gpu"]
    if gpu:
        yield (
            f"each GPU  {gib(gpu['memory'])}: runtime {gib(gpu['runtime'])}, weights {gib(gpu['weights'])}, "
            f"activations {gib(gpu['activations'])}, KV cache {gib(gpu['kv_cache'])}"
        )
        yield (
            f"KV cache  {gpu['kv_tokens']} tokens of {gpu['kv_bytes_per_token'] / 1024:g} KiB: "
            f"{counted(gpu['sequences'], 'sequence')} of {plan['limits']['max_seq_len']} tokens at once"
        )
    yield f"limits    {_limits(plan)}"
    yield f"disk      {human_bytes(budget['disk_missing'])} to write ({human_bytes(budget['disk_total'])} in total)"
    if plan["converter"]["name"]:
        yield f"convert   {plan['converter']['reason']}"
    if budget["host_memory"]:
        yield f"memory    {human_bytes(budget['host_memory'])} on the host while converting"


def speed_lines(estimate: Mapping[str, Any]) -> Iterator[str]:
    """A heading, and a line for each number of requests; nothing if the speed is not known."""
    if not estimate["rows"]:
        return
    kind = "measured" if estimate["measured"] else "estimated, not measured,"
    yield f"{kind} for prompts of {estimate['prompt_tokens']} and answers of {estimate['answer_tokens']} tokens:"
    for row in estimate["rows"]:
        cost = row.get("cost_per_million_tokens")
        yield (
            f"{counted(row['at_once'], 'request')} at once: {row['tokens_per_second']:.0f} tokens/s"
            f"{_time(row, 'first_token')}{_time(row, 'between_tokens')}"
            f"{'' if cost is None else f', {cost:g} per million tokens'}"
        )


def _time(row: Mapping[str, Any], name: str) -> str:
    """Nothing if it was measured without a stream."""
    seconds = row[name]
    return "" if seconds is None else f", {name.replace('_', ' ')} {seconds * 1000:.4g} ms"


def _limits(plan: Plan) -> str:
    chosen, limits = plan["chosen_limits"], plan["limits"]
    sizes = ", ".join(f"{name} {limits[name]}" for name in LIMITS)
    given = [name for name in LIMITS if name not in chosen]
    if not chosen:
        return f"{sizes} (set by trtllm_limits)"
    return f"{sizes} (chosen by the plan{', except ' if given else ''}{', '.join(given)})"


def _remarks(plan: Plan, verbose: bool) -> Iterator[str]:
    known = plan["vulnerabilities"]
    if known:
        some = ", ".join([*known[:3], *(["…"] if len(known) > 3 else [])])
        exposed = not ip_address(plan["server"]["address"]).is_loopback
        server = "trtllm-serve" if plan["profile"] == "serve" else "Triton"
        where = f"only a gateway may reach {server}" if exposed else f"keep {server} on loopback, behind a gateway"
        yield f"security  {counted(len(known), 'known CVE')} ({some}): {where}, with Docker 28 or later"
    stream_model = plan.get("triton_service", {}).get("proof", {}).get("stream_model")
    if stream_model:
        yield f"clients   stream from generate_stream of {stream_model}; generate rejects requests that stream"
    if "serve_service" in plan:
        parsers = ", ".join(f"{name} {parser}" for name, parser in plan["parsers"].items() if parser)
        yield (
            f"clients   the OpenAI API, with the model {plan['serve_service']['endpoint']['model']}; parsers: "
            f"{parsers or 'none'}"
        )
    if plan["image_driver"]:
        yield f"driver    not known, so not checked; the image was built for {plan['image_driver']}"
    yield from _facts_of_version(f"notes     {len(plan['notes'])}", plan, "notes", verbose)
    doubts = counted(len(plan["unverified"]), "unverified fact")
    yield from _facts_of_version(f"catalogue {doubts}", plan, "unverified", verbose)
    for text in plan.get("defaults", ()):
        yield f"default   {text}"
    for text in plan["warnings"]:
        yield f"warning   {text}"


def _facts_of_version(title: str, plan: Plan, facts: str, verbose: bool) -> Iterator[str]:
    if plan[facts]:
        yield f"{title} about TensorRT-LLM {plan['release']}{':' if verbose else ' (shown with -v)'}"
        yield from (f"- {text}" for text in plan[facts] if verbose)
