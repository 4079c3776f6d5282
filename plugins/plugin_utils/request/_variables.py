# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The inventory variables of the playbooks: names, meanings, and checks of a host's variables."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._packages import REPOSITORY
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import KEY_OPTIONS
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import (
    Checker,
    Refusal,
    hint,
    not_a_mapping,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.roll._roll import problems as roll_problems
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._comparison import LIMITS

COLLECTION = Path(__file__).resolve().parents[3]
PREFIX = "trtllm_"
HOST, INHERITED, MODEL = "host", "inherited", "model"
# Whoever can write to the root folder can replace the scripts in it, which root runs.
ROOT_MODES = ["0755", "0751", "0750", "0711", "0710", "0700"]

# The options of the role gateway that users set; the plan and other variables set the rest.
GATEWAY = (
    "addresses",
    "port",
    "certificate",
    "certificate_names",
    "share",
    "peer_address",
    "peer_port",
    "maxconn",
    "queue_timeout",
    "metrics_address",
    "metrics_port",
)

# Those of the role fanout.
FANOUT = ("enabled", "address", "port", "https_port", "rate")

# Those of the role endpoint.
ENDPOINT = ("address", "port", "maxconn", "exporters")

ArgumentSpec = Mapping[str, Any]


@dataclass(frozen=True)
class Variable:
    """`request`: the scope of a variable that the planner reads (under its name without the prefix) and checks.

    MODEL variables are set for each deployment, HOST variables once for the host. Named deployments inherit INHERITED
    variables from the host, unless they set them.
    `plan`: read for planning, but not part of the request.
    `spec`: the argument spec that the value must match. `check` refuses options of a mapping that matches it: with the
    option, its value and a message.
    """

    meaning: str
    request: str = ""
    plan: bool = False
    spec: Callable[[], ArgumentSpec] | None = None
    check: Callable[[Any], Iterable[tuple[str, Any, str]]] | None = None


def _option(role: str, name: str) -> Callable[[], ArgumentSpec]:
    return lambda: _role_options(role)[f"{role}_{name}"]


def _options(role: str, without: Container[str] = ()) -> Callable[[], ArgumentSpec]:
    """A mapping whose keys are the options of a role without their prefix. `without`: those that its playbook sets."""

    def spec() -> ArgumentSpec:
        named = {name[len(role) + 1 :]: option for name, option in _role_options(role).items()}
        return _mapping({name: option for name, option in named.items() if name not in without})

    return spec


def _only(role: str, *names: str) -> Callable[[], ArgumentSpec]:
    """The same, with some of the options."""
    return lambda: _mapping({name: _role_options(role)[f"{role}_{name}"] for name in names})


def _mapping(options: Mapping[str, ArgumentSpec]) -> ArgumentSpec:
    return {"type": "dict", "options": options}


def _fanout() -> ArgumentSpec:
    options = _only("fanout", *FANOUT)()["options"]
    return _mapping({**options, "images": {"type": "bool"}})


def _names(names: Iterable[str]) -> ArgumentSpec:
    return {"type": "list", "elements": "str", "choices": list(names)}


def _mirrors() -> ArgumentSpec:
    return _mapping({name: {"type": "str"} for name in _bundling()["bundling_default_mirrors"]})


def _repositories() -> ArgumentSpec:
    of_system = {"type": "list", "elements": "dict", "options": REPOSITORY}
    return _mapping(dict.fromkeys(_bundling()["bundling_known"], of_system))


def _number() -> ArgumentSpec:
    return {"type": "int"}


def _roll() -> ArgumentSpec:
    return _mapping({"batch": {"type": "str"}, "canary": _number(), "min_ready": _number(), "pause": _number()})


def _comparison_limits() -> ArgumentSpec:
    return _mapping({name: {"type": "float"} for name in LIMITS})


@lru_cache(maxsize=None)
def _role_options(role: str) -> Mapping[str, ArgumentSpec]:
    entry_points = _yaml(f"roles/{role}/meta/argument_specs.yml")["argument_specs"].values()
    return {name: spec for entry_point in entry_points for name, spec in entry_point["options"].items()}


def role_default(role: str, option: str) -> Any:
    return _role_options(role)[f"{role}_{option}"].get("default")


@lru_cache(maxsize=None)
def role_variables(role: str) -> Mapping[str, Any]:
    """As they are written, with templates."""
    variables: Mapping[str, Any] = _yaml(f"roles/{role}/vars/main.yml")
    return variables


@lru_cache(maxsize=None)
def _bundling() -> Mapping[str, Any]:
    variables: Mapping[str, Any] = _yaml("playbooks/vars/bundle.yml")
    return variables


def _yaml(path: str) -> Any:
    return yaml_load((COLLECTION / path).read_text(encoding="utf-8"))


VARIABLES: Mapping[str, Variable] = {
    "trtllm_deployments": Variable("further deployments on the host by name, each with options of its own", plan=True),
    "trtllm_model": Variable("the model: the name of a preset, or a mapping that describes it", request=MODEL),
    "trtllm_release": Variable("the TensorRT-LLM version", request=INHERITED),
    "trtllm_profile": Variable("how the model is served: `engine`, `llmapi` or `serve`", request=MODEL),
    "trtllm_parallelism": Variable("how the model is split over GPUs", request=MODEL),
    "trtllm_precision": Variable("the data type of the computation, or a weight-only quantisation", request=MODEL),
    "trtllm_gpus": Variable("the GPUs of the host that the model uses: how many, or their indexes", request=MODEL),
    "trtllm_limits": Variable("batch size, lengths and the KV cache's share of GPU memory", request=MODEL),
    "trtllm_image": Variable("the backend image and where it comes from", request=INHERITED),
    "trtllm_sources": Variable("Git repositories to use instead of the release's own", request=INHERITED),
    "trtllm_git_mirrors": Variable(
        "prefixes of Git URLs and what replaces them", spec=_option("trtllm_backend", "git_mirrors")
    ),
    "trtllm_git_auth_file": Variable("file on the control node with credentials for Git servers"),
    "trtllm_root": Variable("the root folder on the host", request=HOST),
    "trtllm_root_mode": Variable("mode of the root folder", spec=lambda: {"type": "str", "choices": ROOT_MODES}),
    "trtllm_root_group": Variable("group of the root folder", spec=lambda: {"type": "str"}),
    "trtllm_storage": Variable("root file system and local drives to prepare", spec=_options("storage")),
    "trtllm_weights": Variable("where the weights come from: a hub, or a folder on the host", request=INHERITED),
    "trtllm_converter": Variable("what converts the weights: `native` or `upstream`", request=MODEL),
    "trtllm_convert_options": Variable("further options of upstream's converter, by name", request=MODEL),
    "trtllm_build_options": Variable("further options of `trtllm-build`, by name", request=MODEL),
    "trtllm_tokenizer": Variable("a tokenizer other than that of the weights", request=MODEL),
    "trtllm_token_file": Variable("file on the control node with the hub's access token", plan=True),
    "trtllm_engine_dir": Variable("folder on the host with a TensorRT engine to serve", request=MODEL),
    "trtllm_server": Variable("address, ports, shared memory and limits of Triton", request=MODEL),
    "trtllm_streaming": Variable("whether responses can be streamed", request=MODEL),
    "trtllm_stop_timeout": Variable("seconds that requests get to finish when a server is stopped", request=HOST),
    "trtllm_watchdog": Variable("when a server that hangs is out of rotation and restarted", request=HOST),
    "trtllm_gpus_required": Variable("whether a host without GPUs is refused", request=INHERITED),
    "trtllm_repository_parameters": Variable("values for placeholders of the model repository", request=MODEL),
    "trtllm_repository_overrides": Variable("fields of the Triton models' configuration", request=MODEL),
    "trtllm_served_model_name": Variable("the model's name in the OpenAI API of profile `serve`", request=MODEL),
    "trtllm_serve": Variable("parsers, guided decoding, chunks and KV cache of profile `serve`", request=MODEL),
    "trtllm_serve_config": Variable("further keys of the configuration file of `trtllm-serve`", request=MODEL),
    "trtllm_gateway": Variable(
        "address, port, certificate, limits and other settings of the gateways",
        plan=True,
        spec=_only("gateway", *GATEWAY),
    ),
    "trtllm_gateway_authority": Variable(
        "folder on the control node with the certificate authority of gateways and hosts", plan=True
    ),
    "trtllm_gateway_keys": Variable("file on the control node with the hashes and limits of API keys", plan=True),
    "trtllm_endpoint": Variable(
        "address, port and exporters of the host, for gateways and Prometheus",
        plan=True,
        spec=_only("endpoint", *ENDPOINT),
    ),
    "trtllm_fanout": Variable(
        "address, ports and bound of the rate for copying artifacts between hosts, and whether images are copied",
        plan=True,
        spec=_fanout,
    ),
    "trtllm_prometheus_source": Variable(
        "whether the distribution's Prometheus is installed", spec=_option("observability", "source")
    ),
    "trtllm_weight": Variable("the deployment's share of its model's requests at the gateways", request=INHERITED),
    "trtllm_session_header": Variable(
        "the header whose value sends a client's requests to the same host", request=INHERITED
    ),
    "trtllm_roll": Variable(
        "how many hosts switch to another release at once, and how many must stay in rotation",
        spec=_roll,
        check=roll_problems,
    ),
    "trtllm_price_per_hour": Variable("price of the host per hour, for the price of tokens", request=HOST),
    "trtllm_waive": Variable("preflight findings and refusals of the plan to ignore, by name", request=INHERITED),
    "trtllm_preflight_gpus": Variable("what the GPUs must be, beyond what the plan needs", request=HOST),
    "trtllm_preflight_report": Variable("file on the control node for preflight's findings, as JSON"),
    "trtllm_report": Variable("HTML file on the control node for a report of the run; with `-e` only"),
    "trtllm_docker_source": Variable("where Docker comes from", spec=_option("docker", "source")),
    "trtllm_proxy": Variable("the proxy for the hosts' outgoing connections", spec=_option("egress", "proxy")),
    "trtllm_ca_certificates": Variable(
        "PEM files on the control node with CA certificates to trust", spec=_option("ca_certificates", "files")
    ),
    "trtllm_ca_bundle": Variable("CA bundle on the host for the hub and PyPI"),
    "trtllm_wheelhouse": Variable("folder on the host with Python wheels, instead of PyPI"),
    "trtllm_keep": Variable("what `teardown` keeps of the root folder"),
    "trtllm_status_file": Variable("file on the control node to write the state of the fleet to, as JSON"),
    "trtllm_prune": Variable(
        "whether `prune` lists what no release needs, or removes it",
        spec=lambda: {"type": "str", "choices": ["list", "remove"]},
    ),
    "trtllm_prune_keep": Variable("releases of each deployment that `prune` keeps", spec=lambda: {"type": "int"}),
    "trtllm_lease_wait": Variable("seconds to wait for another run that changes the host"),
    "trtllm_deployment": Variable("the deployment that a playbook acts on, if not all of the host"),
    "trtllm_compare_old": Variable("for `compare`, the deployment to compare with", spec=lambda: {"type": "str"}),
    "trtllm_compare_new": Variable("for `compare`, the deployment that is judged", spec=lambda: {"type": "str"}),
    "trtllm_compare_prompts": Variable(
        "file on the control node with prompts for `compare`, as a list in YAML or JSON", spec=lambda: {"type": "str"}
    ),
    "trtllm_compare_max_tokens": Variable("tokens of each completion that `compare` requests", spec=_number),
    "trtllm_compare_at_once": Variable("how many prompts `compare` sends at once", spec=_number),
    "trtllm_compare_limits": Variable("what makes `compare` fail", spec=_comparison_limits),
    "trtllm_compare_report": Variable(
        "file on the control node for the comparison, as JSON", spec=lambda: {"type": "str"}
    ),
    "trtllm_hosts": Variable("the hosts, as a group or pattern; with `-e` only"),
    "trtllm_remove": Variable("the host that `site` removes from the fleet; with `-e` only"),
    "trtllm_convert_host": Variable("the host on which `convert` runs"),
    "trtllm_convert_root": Variable("the root folder on that host"),
    "trtllm_host_shape": Variable("host shape to plan for, without contacting a host"),
    "trtllm_host_facts_file": Variable("file on the control node with recorded host facts to plan with"),
    "trtllm_host_facts_save": Variable("file on the control node to record host facts in"),
    "trtllm_benchmark": Variable(
        "what `benchmark` measures, and where", spec=_options("benchmark", without=("settings", "tokenizer"))
    ),
    "trtllm_benchmark_host": Variable("the host on which the load generator of `benchmark` runs"),
    "trtllm_benchmarks": Variable("file on the control node with measured speeds, which replace estimates"),
    "trtllm_plan_file": Variable("file on the control node to write the plan to, as JSON"),
    "trtllm_gateway_hosts": Variable("the gateways, as a group or pattern; with `-e` only"),
    "trtllm_key": Variable(
        "an API key that `keys` issues, changes or revokes; with `-e` only", spec=lambda: _mapping(KEY_OPTIONS)
    ),
    "trtllm_bundle": Variable("folder on the host with a bundle to install everything from"),
    "trtllm_bundle_keyring": Variable("file on the control node with the public key of the bundle's signature"),
    "trtllm_bundle_fingerprint": Variable("fingerprint of that key"),
    "trtllm_bundle_dest": Variable("folder that `bundle` writes the bundle to"),
    "trtllm_bundle_systems": Variable(
        "distributions that the bundle is for", spec=lambda: _names(_bundling()["bundling_known"])
    ),
    "trtllm_bundle_nvidia": Variable("whether the bundle has the NVIDIA Container Toolkit"),
    "trtllm_bundle_gpg_key": Variable("key to sign the bundle with"),
    "trtllm_bundle_host": Variable("the host on which `bundle` runs"),
    "trtllm_bundle_python": Variable("the Python interpreter of that host"),
    "trtllm_bundle_pythons": Variable("Python versions of the hosts that the bundle is for"),
    "trtllm_bundle_architecture": Variable("processor architecture of the hosts that the bundle is for"),
    "trtllm_bundle_mirrors": Variable("mirrors of Debian and Ubuntu for the bundle's packages", spec=_mirrors),
    "trtllm_bundle_repositories": Variable("package repositories by distribution", spec=_repositories),
    "trtllm_bundle_extra_packages": Variable("further packages for the bundle"),
    "trtllm_bundle_authfile": Variable("file with the registry's credentials, to fetch the image for the bundle"),
    "trtllm_bundle_ca_bundle": Variable("CA bundle for the hub, to fetch the weights for the bundle"),
}
"""By name. The sample inventory shows all of them."""

REQUEST = tuple(name[len(PREFIX) :] for name, variable in VARIABLES.items() if variable.request)
"""The options of a request. All except `model` have a default."""

RETIRED = {"trtllm_plan_waive": "trtllm_waive", "trtllm_preflight_waive": "trtllm_waive"}
"""Variables of earlier versions, and their new names."""

INTERNAL = frozenset({"trtllm_planned", "trtllm_backend_images"})
"""Names with the same prefix that playbooks and the role trtllm_backend set themselves."""


def variable_refusals(names: Iterable[str], values: Mapping[str, Any]) -> list[Refusal]:
    """Mistakes in a host's variables, except in the values that the planner checks."""
    return [*unknown_names(names), *wrong_values(values)]


def unknown_names(names: Iterable[str]) -> list[Refusal]:
    """Unknown names with the prefix of this collection. Roles whose names begin with it have more options."""
    unknown = {name for name in names if name.startswith(PREFIX)} - VARIABLES.keys() - INTERNAL
    if not unknown:
        return []
    roles = (path.name for path in (COLLECTION / "roles").glob(f"{PREFIX}*"))
    known = [*VARIABLES, *(option for role in roles for option in _role_options(role))]
    return [_unknown(name, known) for name in sorted(unknown.difference(known))]


def _unknown(name: str, known: Iterable[str]) -> Refusal:
    if name in RETIRED:
        return Refusal(name, None, f"is now called {RETIRED[name]}: move its value there")
    what = f"is not a variable of this collection{hint(name, known, PREFIX)}"
    return Refusal(name, None, f"{what}: correct the name, or use another prefix for your own variables")


def wrong_values(values: Mapping[str, Any]) -> Iterator[Refusal]:
    """Wrong values of variables that the planner does not check."""
    for name, variable in VARIABLES.items():
        if variable.spec and name in values:
            refusals = _wrong_value(name, values[name], variable.spec())
            yield from refusals
            if variable.check and not refusals:
                yield from (Refusal(f"{name}.{option}", *wrong) for option, *wrong in variable.check(values[name]))


def _wrong_value(name: str, value: Any, spec: ArgumentSpec) -> list[Refusal]:
    """Ansible's validator does not suggest names, and accepts text as a list, which the playbooks do not."""
    checker = Checker()
    _check_names(checker, name[len(PREFIX) :], value, spec)
    if checker.refusals:
        return checker.refusals
    messages = ArgumentSpecValidator({name: spec}).validate({name: value}).error_messages
    return [Refusal(name, None, message) for message in messages]


def _check_names(checker: Checker, variable: str, value: Any, spec: ArgumentSpec) -> None:
    """Values are not shown, because they may be secret."""
    if spec["type"] == "list":
        if not isinstance(value, (list, tuple)):
            checker.refuse(variable, None, "must be a list; on the command line, write it as JSON")
            return
        for item in value:
            _check_names(checker, variable, item, {**spec, "type": spec["elements"]})
    elif spec["type"] == "dict":
        known = spec.get("options", {})
        if not isinstance(value, Mapping):
            checker.refuse(variable, None, not_a_mapping(value, known))
            return
        for key, item in value.items() if known else ():
            if checker.choice(f"{variable}.{key}", key, known, "key"):
                _check_names(checker, f"{variable}.{key}", item, known[key])
    elif isinstance(value, (Mapping, list, tuple)):
        checker.refuse(variable, None, "must be a single value")
    elif "choices" in spec:
        checker.choice(variable, value, spec["choices"], "value")
