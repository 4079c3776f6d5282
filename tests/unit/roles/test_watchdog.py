# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's files are those that the watchdog's program reads."""

from __future__ import annotations

import configparser
import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _lease
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._decision import Policy
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._install import PROGRAM, UNIT
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._probe import (
    ENDPOINTS,
    PROBES,
    PROOFS,
    Prompt,
    probe_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._program import Settings, read_settings
from ansible_collections.tritonops.trtllm.plugins.modules import deployment_watchdog
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Watchdog
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import host_plan
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Role


def role(**options: Any) -> Role:
    known = {"ansible_managed": "managed", "watchdog_root": "/opt/trtllm", "playbook_dir": "/"}
    return Role("watchdog", "debian-12", **{**known, **options})


def settings(folder: Path, **options: Any) -> Settings:
    path = folder / "settings.json"
    path.write_text(json.dumps(role(**options)["__watchdog_settings"]), encoding="utf-8")
    return read_settings(str(path))


def unit(name: str, **options: Any) -> configparser.ConfigParser:
    made = role(**options)
    text = (made.folder / f"templates/{name}.j2").read_text(encoding="utf-8")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(made.render(trust_as_template(text)))
    return parser


def test_the_program_reads_the_role_s_settings(tmp_path: Path) -> None:
    read = settings(tmp_path, watchdog_name="chat", watchdog_metrics_dir="/metrics")
    assert (read.unit, read.container) == ("trtllm@chat.service", "trtllm-chat")
    assert read.state_file == "/opt/trtllm/deployments/chat/watchdog.json"
    assert read.metrics_file == "/metrics/trtllm_watchdog_chat.prom"
    assert read.policy == Policy()
    assert read.prompt == Prompt("What is cloud computing?", 64)
    assert read.lease_file == _lease.PATH
    assert settings(tmp_path).metrics_file == ""


def test_the_endpoint_s_files_are_those_of_its_role(tmp_path: Path) -> None:
    endpoint, read = Role("endpoint", "debian-12"), settings(tmp_path)
    assert read.rotation_map == f"{endpoint['__endpoint_folder']}/rotation.map"
    assert read.rotation_socket == endpoint["__endpoint_socket"]


def test_with_the_defaults_a_hung_server_is_out_of_rotation_within_30_seconds() -> None:
    made = role()
    # Each run takes a second more than the request, and gateways ask the endpoint every second or two.
    # The first check may still see progress, from before the server hung.
    checks = made["watchdog_failures"] + 1
    assert checks * (made["watchdog_interval"] + made["watchdog_timeout"] + 1) + 3 < 30


def test_the_service_runs_the_program_with_the_deployment_s_settings() -> None:
    service = unit("trtllm-watchdog@.service", watchdog_python="/opt/trtllm/venv/bin/python")["Service"]
    assert service["ExecStart"] == (
        "/opt/trtllm/venv/bin/python -I /opt/trtllm/watchdog/watchdog.pyz /opt/trtllm/watchdog/%i.json"
    )
    # Less important messages than LogLevelMax are not in the journal.
    assert service["SyslogLevel"] == service["LogLevelMax"]
    assert service["ExecStart"].split()[2].endswith(f"/{PROGRAM}")
    made = Role("watchdog", "debian-12")
    assert {path.stem for path in (made.folder / "templates").iterdir()} == {f"{UNIT}.service", f"{UNIT}.timer"}


def test_the_timer_waits_for_the_interval_after_each_run() -> None:
    assert unit("trtllm-watchdog@.timer", watchdog_interval=7)["Timer"]["OnUnitInactiveSec"] == "7"


def test_what_a_release_does_not_say_is_as_the_role_release_service_assumes() -> None:
    service = Role("release_service", "debian-12")
    assert set(PROBES) == set(ENDPOINTS) == set(PROOFS)
    for name, known in (("endpoints", ENDPOINTS), ("proofs", PROOFS)):
        for api, values in service[f"__release_service_{name}"].items():
            assert {key: values[key] for key in known[api]} == known[api]


def test_the_variable_and_the_role_have_the_same_defaults() -> None:
    made = role()
    for field in dataclasses.fields(Watchdog):
        assert made[f"watchdog_{field.name}"] == field.default, field.name


def test_the_module_accepts_the_settings() -> None:
    accepted: dict[str, Any] = {}

    def validate(argument_spec: dict[str, Any], **_more: Any) -> None:
        accepted.update(argument_spec)
        raise SystemExit

    with mock.patch.object(deployment_watchdog, "AnsibleModule", validate), pytest.raises(SystemExit):
        deployment_watchdog.main()
    given = {"settings": role()["__watchdog_settings"]}
    checked = ArgumentSpecValidator({"settings": accepted["settings"]}).validate(given)
    assert checked.error_messages == []
    assert set(given["settings"]) == set(accepted["settings"]["options"])


SERVER = {"http_port": 9000, "grpc_port": 9001, "metrics_port": 9002}


def planned(**request: Any) -> dict[str, Any]:
    plan = host_plan(**request)
    assert plan["refusals"] == []
    made: dict[str, Any] = plan["deployments"]["default"]
    return made


def test_the_record_of_a_planned_release_says_what_to_ask() -> None:
    prompt = Prompt("What is cloud computing?", 64)
    triton = planned(model="mixtral-8x7b", server=SERVER)["model_repo"]["release"]["manifest"]
    probe: Any = probe_of(triton["service"], prompt)
    assert (probe._url, probe._metrics_url) == ("http://127.0.0.1:9000", "http://127.0.0.1:9002/metrics")
    llm_api = planned(model="mixtral-8x7b", profile="llmapi")["model_repo"]["release"]["manifest"]
    probe = probe_of(llm_api["service"], prompt)
    assert (probe._model, probe._max_tokens_field) == ("tensorrt_llm", "sampling_param_max_tokens")
    serve = planned(model="mixtral-8x7b", profile="serve", release="1.2.1", served_model_name="chat")["serve_service"]
    probe = probe_of(serve["release"]["manifest"]["service"], prompt)
    assert (probe._url, probe._model, probe._request.max_tokens) == ("http://127.0.0.1:8000", "chat", 64)


def test_the_plan_has_the_options_of_the_variable() -> None:
    small = {"model": "smollm2-135m-instruct", "gpus": 1, "server": SERVER}
    options = {"enabled": False, "patience": 90, "metrics_dir": "/srv/metrics"}
    plan = host_plan(
        model="mixtral-8x7b", gpus=4, parallelism={"tensor": 4}, watchdog=options, deployments={"small": small}
    )
    for name, made in plan["deployments"].items():
        assert made["watchdog"] == {**dataclasses.asdict(Watchdog()), "root": "/opt/trtllm", "name": name, **options}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"patience": 0}, "must be a whole number of at least 1"),
        ({"paitence": 90}, "did you mean patience?"),
        ({"metrics_dir": "metrics"}, "must be an absolute path"),
        ({"enabled": "perhaps"}, "must be true or false"),
    ],
)
def test_a_wrong_option_is_refused(option: dict[str, Any], message: str) -> None:
    [refusal] = host_plan(model="mixtral-8x7b", watchdog=option)["refusals"]
    assert refusal["variable"] == f"trtllm_watchdog.{next(iter(option))}" and message in refusal["message"]
