# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans all hosts in one task, because running a task for a host takes longer than planning for it.

Its documentation is in the module of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._filters import import_filters
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue, load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._converter import conversions
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._estimate import with_measured
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fanout import Peer, peer_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import Host, Vendors, plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gateway import Gateways, Member, haproxy_needed
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import deployments_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._files import (
    InputError,
    ReadToken,
    read_benchmarks,
    read_facts,
    read_text,
    saved_facts,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._secrets import (
    unencrypted_token,
    without_secrets,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import (
    PREFIX,
    VARIABLES,
    role_default,
    variable_refusals,
    wrong_values,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import (
    fanout_table,
    gateway_table,
    plan_table,
)

import_filters()

# Options of roles with the repositories that they download packages from, and with the HAProxy that they use.
OF_ROLES = {
    f"{role}_{name}": role_default(role, name)
    for role, name in (
        ("docker", "vendor_url"),
        ("nvidia_ctk", "repository_url"),
        ("haproxy", "source"),
        ("haproxy", "executable"),
    )
}
DOCKER_SOURCE = role_default("docker", "source")
# The others are not read, because templates in them may only be valid later.
READ = {name for name, variable in VARIABLES.items() if variable.request or variable.spec or variable.plan}


class ActionModule(ActionBase):
    """Reads the variables and facts of each host, makes the plans, and prints and writes them."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        mapping = {"type": "dict", "default": {}}
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str", "required": True},
                "others": {"type": "list", "elements": "str", "default": []},
                "gateways": {"type": "list", "elements": "str", "default": []},
                "monitoring": {"type": "list", "elements": "str", "default": []},
                "request": mapping,
                "deployment": {"type": "str", "default": ""},
                "host_facts": mapping,
                "host_facts_file": {"type": "path"},
                "host_shape": {"type": "str"},
                "bundles": mapping,
                "show": {"type": "bool", "default": False},
                "benchmarks_file": {"type": "path"},
                "plan_file": {"type": "path"},
                "record_file": {"type": "path"},
            },
        )
        sources = [name for name in ("host_facts", "host_facts_file", "host_shape") if arguments[name]]
        if len(sources) > 1:
            names = " and ".join(f"trtllm_{name}" for name in sources)
            raise AnsibleActionFail(f"{names} are both set: plan with one of them, and remove the other")
        variables = _Variables(task_vars or {}, self._templar.template, arguments["request"])
        catalogue = load_catalogue()
        try:
            facts, recorded = self._facts(arguments, catalogue)
            measured = read_benchmarks(arguments["benchmarks_file"])
        except InputError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        of_hosts = {name: variables.of(name) for name in facts}
        has_endpoints = bool(arguments["gateways"] or arguments["monitoring"])
        hosts = {
            name: _host(of_hosts[name], known, arguments["bundles"].get(name), has_endpoints, self._decrypted)
            for name, known in facts.items()
        }
        unknown = [name for name in arguments["others"] if name not in facts]
        gateways = _gateways(variables, arguments["gateways"], of_hosts, unknown, arguments["monitoring"])
        # Hosts that are not in this play cannot send anything.
        peers = _peers(variables, {name: of_hosts[name] for name in arguments["hosts"]})
        fleet = plan_fleet(hosts, catalogue, arguments["deployment"], gateways, peers)
        own = {name: _with_measured(fleet["hosts"][name], measured) for name in arguments["hosts"]}
        result["refused"] = [name for name, plan in own.items() if plan["refusals"]]
        result["conversions"] = _with_tokens(conversions(own), hosts)
        changes = [
            *self._write(arguments["plan_file"], {**fleet, "hosts": own}),
            *self._write(arguments["record_file"], {"hosts": {**recorded, **facts}}),
        ]
        result["changed"] = bool(changes)
        if self._task.diff:
            result["diff"] = changes
        if arguments["show"]:
            # The plans of a fleet are large, and they have just been printed.
            table = "".join(
                (
                    plan_table(own, verbose=Display().verbosity > 0),
                    fanout_table(fleet["fanout"], fleet["artifacts"]),
                    gateway_table(fleet["gateway"]),
                )
            )
            Display().display(f"{table}\n")
            result["table"] = table.splitlines()
        else:
            result.update({**fleet, "hosts": {**fleet["hosts"], **own}}, warnings=_warnings(own))
        return result

    def _decrypted(self, path: str) -> str:
        """The content of a file, which may be encrypted with ansible-vault. A copy that Ansible makes is removed."""
        try:
            real = self._loader.get_real_file(path)
        except AnsibleError as exc:
            raise ValueError(str(exc)) from exc
        try:
            return read_text(real)
        finally:
            self._loader.cleanup_tmp_file(real)

    def _facts(self, arguments: Mapping[str, Any], catalogue: Catalogue) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """The facts of the hosts, and of those others that were recorded; all recorded facts."""
        hosts, file = arguments["hosts"], arguments["host_facts_file"]
        known = {**read_facts(hosts, file, arguments["host_shape"], catalogue), **arguments["host_facts"]}
        missing = [host for host in hosts if host not in known]
        if missing:
            where = f"{file} has" if file else "There are"
            raise AnsibleActionFail(f"{where} no facts of {', '.join(missing[:5])}: record them again")
        earlier = saved_facts(arguments["record_file"])
        others = {host: earlier[host] for host in arguments["others"] if host in earlier and host not in known}
        return {**{host: known[host] for host in hosts}, **others}, earlier

    def _write(self, path: str | None, content: Any) -> list[dict[str, str]]:
        """The change of the file, or what it would be in check mode; empty if there is none."""
        if not path:
            return []
        file, after = Path(path), json.dumps(content, indent=2, sort_keys=True) + "\n"
        try:
            before = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
            if before == after:
                return []
            if not self._task.check_mode:
                file.write_text(after, encoding="utf-8")
        except OSError as exc:
            raise AnsibleActionFail(f"cannot write the plan or the facts to {path}: {exc}") from exc
        return [{"before_header": path, "before": before, "after_header": path, "after": after}]


class _Variables:
    """The `trtllm_*` variables of hosts. `request` has values for all of them, without their prefix."""

    def __init__(self, task_vars: Mapping[str, Any], template: Any, request: Mapping[str, Any]) -> None:
        self._hostvars = task_vars["hostvars"]
        of_host = self._hostvars.raw_get(task_vars["inventory_hostname"])
        names = [name for name in task_vars if name.startswith(PREFIX)]
        # Variables that a play, a role or an import sets apply to every host of the play.
        of_play = [name for name in names if name not in of_host or of_host[name] != task_vars[name]]
        self._common = {name: template(task_vars[name]) if name in READ else None for name in of_play}
        self._common.update({f"{PREFIX}{name}": value for name, value in request.items()})

    def of(self, host: str) -> dict[str, Any]:
        """With the options of roles. Variables that are not read have a name, but no value."""
        # Ansible combines them on each access.
        variables = self._hostvars[host]
        names = [name for name in variables if name.startswith(PREFIX) and name not in self._common]
        of_roles = {name: variables.get(name) or default for name, default in OF_ROLES.items()}
        return {**of_roles, **{name: variables[name] if name in READ else None for name in names}, **self._common}

    def address(self, host: str) -> str:
        """Where the control node, and by default other hosts, reach it."""
        return str(self._hostvars[host].get("ansible_host") or host)


def _host(
    variables: Mapping[str, Any],
    facts: Any,
    bundle: Mapping[str, Any] | None,
    has_endpoint: bool,
    read_token: ReadToken,
) -> Host:
    docker_source = variables.get("trtllm_docker_source") or DOCKER_SOURCE
    haproxy = has_endpoint and variables["haproxy_source"] == "distribution"
    variables, secrets = without_secrets(variables)
    unencrypted = unencrypted_token(variables)
    return Host(
        deployments_of(variables),
        facts,
        # The plan itself must not send it either.
        token_file=(None if unencrypted else variables.get("trtllm_token_file")) or None,
        refusals=[*secrets, *unencrypted, *variable_refusals(variables, variables)],
        # The bundle must contain the packages of the host's trtllm_docker_source, and HAProxy for an endpoint.
        bundle={"docker_source": docker_source, "haproxy": haproxy, **bundle} if bundle else None,
        vendors=Vendors(
            docker=variables["docker_vendor_url"] if docker_source == "vendor" else "",
            nvidia_ctk=variables["nvidia_ctk_repository_url"],
        ),
        storage=variables.get("trtllm_storage"),
        read_token=read_token,
    )


def _peers(variables: _Variables, of_hosts: Mapping[str, Any]) -> dict[str, Peer]:
    """The hosts that copy artifacts from each other. Wrong settings are refused elsewhere, and left out."""
    found = {}
    for name, own in of_hosts.items():
        address = _settings(own, "trtllm_endpoint").get("address") or variables.address(name)
        peer = peer_of(address, _settings(own, "trtllm_fanout"))
        if peer:
            found[name] = peer
    return found


def _gateways(
    variables: _Variables,
    gateways: Sequence[str],
    of_hosts: Mapping[str, Any],
    unknown: Sequence[str],
    monitoring: Sequence[str],
) -> Gateways | None:
    """None if nobody needs the endpoints of hosts."""
    if not gateways and not monitoring:
        return None
    of_gateways = {name: variables.of(name) for name in gateways}
    # Once for all gateways, whose variables are usually those of their group.
    wrong = (refusal for own in of_gateways.values() for refusal in variable_refusals(own, own))
    return Gateways(
        {name: _member(name, variables, own, "trtllm_gateway") for name, own in of_gateways.items()},
        {name: _member(name, variables, own, "trtllm_endpoint") for name, own in of_hosts.items()},
        unknown,
        list({refusal.text: refusal for refusal in wrong}.values()),
        monitoring,
    )


def _member(name: str, variables: _Variables, own: Mapping[str, Any], settings: str) -> Member:
    given = _settings(own, settings)
    return Member(
        name,
        variables.address(name),
        _absolute(own.get("trtllm_gateway_authority")),
        {**given, "certificate": _absolute(given.get("certificate"))} if given else {},
        _absolute(own.get("trtllm_gateway_keys")),
        haproxy_needed(own["haproxy_source"], own["haproxy_executable"]),
    )


def _settings(own: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Wrong ones are refused elsewhere, and left out."""
    given = own.get(name) or {}
    right = isinstance(given, Mapping) and not any(wrong_values({name: given}))
    return given if right else {}


def _absolute(path: Any) -> str:
    """Roles would look for a relative path below themselves."""
    return str(Path(str(path)).expanduser().absolute()) if path else ""


def _with_measured(host: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    return {**host, "deployments": {name: with_measured(plan, measured) for name, plan in host["deployments"].items()}}


def _with_tokens(entries: list[dict[str, Any]], hosts: Mapping[str, Host]) -> list[dict[str, Any]]:
    return [{**entry, "token_file": hosts[entry["hosts"][0]].token.readable or ""} for entry in entries]


def _warnings(plans: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each warning once, with its hosts unless it applies to all."""
    hosts: dict[str, list[str]] = {}
    for host, plan in plans.items():
        for text in (*plan["warnings"], *(text for made in plan["deployments"].values() for text in made["warnings"])):
            hosts.setdefault(text, []).append(host)
    return [text if len(names) == len(plans) else f"{', '.join(names)}: {text}" for text, names in hosts.items()]
