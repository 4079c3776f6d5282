# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action run by Ansible, which passes templated values to the planner as its own types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import refusal_message
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import host

GOOD = {"model": "smollm2-135m-instruct", "release": "0.17.0"}


class Played:
    """A play that plans for the hosts in the group trtllm, after the tasks `before`, with its result and output."""

    def __init__(
        self,
        folder: Path,
        hosts: dict[str, dict[str, Any]],
        arguments: dict[str, Any],
        *options: str,
        play: dict[str, Any] | None = None,
        before: tuple[dict[str, Any], ...] = (),
    ) -> None:
        inventory, playbook, result = (folder / name for name in ("hosts.json", "play.json", "result.json"))
        result.unlink(missing_ok=True)
        inventory.write_text(json.dumps({"trtllm": {"hosts": hosts, "vars": {"ansible_connection": "local"}}}))
        known = {name: host() for name in hosts}
        arguments = {"hosts": "{{ ansible_play_hosts }}", "host_facts": known, **arguments}
        if {"host_facts_file", "host_shape"} & set(arguments):
            del arguments["host_facts"]
        tasks = [
            *before,
            {
                "name": "Plan",
                "tritonops.trtllm.trtllm_plan": arguments,
                "register": "planned",
                "run_once": True,
                "ignore_errors": True,
            },
            {
                "ansible.builtin.copy": {"content": "{{ planned | to_json }}", "dest": str(result)},
                "run_once": True,
                "check_mode": False,
            },
        ]
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks, **(play or {})}]))
        program = Path(sys.executable).with_name("ansible-playbook")
        interpreter = f"ansible_python_interpreter={sys.executable}"
        command = [str(program), "-i", str(inventory), str(playbook), "-e", interpreter, *options]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment, cwd=folder)
        self.said = done.stdout + done.stderr
        self.result: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}

    def default(self, name: str = "a") -> dict[str, Any]:
        found: dict[str, Any] = self.result["hosts"][name]["deployments"]["default"]
        return found

    def refused(self, name: str = "a") -> list[str]:
        return [entry["variable"] for entry in self.result["hosts"][name]["refusals"]]


def variables(**options: Any) -> dict[str, Any]:
    return {f"trtllm_{name}": value for name, value in options.items()}


def test_every_host_is_planned_with_its_own_variables(tmp_path: Path) -> None:
    ports = {"http_port": 8010, "grpc_port": 8011, "metrics_port": 8012}
    small = {"small": {"model": "{{ named }}", "gpus": 1, "server": ports}}
    hosts = {
        "a": variables(**GOOD, gpus=1),
        "b": variables(model="{{ other }}", release="0.17.0", gpus=1, deployments=small),
    }
    for name, model in (("a", "unused"), ("b", "mistral-7b")):
        hosts[name].update(other=model, named=GOOD["model"])
    played = Played(tmp_path, hosts, {"deployment": "default"})
    assert (played.result["changed"], played.result["refused"]) == (False, [])
    assert played.default("a")["model"]["name"] == GOOD["model"]
    assert played.default("b")["model"]["name"] == "mistral-7b"
    assert list(played.result["hosts"]["b"]["deployments"]) == ["default"]
    assert played.result["hosts"]["b"]["gpus"]["used"] == {"default": [0], "small": [1]}
    assert played.result["hosts"]["a"]["message"] == ""
    engines = [name for name in played.result["artifacts"] if name.startswith("engine/")]
    assert len(engines) == 2


@pytest.mark.long
def test_play_variables_override_the_inventory_and_the_request_overrides_both(tmp_path: Path) -> None:
    """Templates in the inventory may use variables that only the play sets."""
    flat = {"a": variables(**GOOD), "b": variables(**GOOD, precision="float16")}
    play = {"vars": {"trtllm_precision": "{{ wanted }}", "wanted": "float32", "trtllm_limits": {"max_batch_size": 3}}}
    played = Played(tmp_path, flat, {}, play=play)
    assert {played.default(name)["precision"] for name in "ab"} == {"float32"}
    assert {played.default(name)["limits"]["max_batch_size"] for name in "ab"} == {3}
    played = Played(tmp_path, flat, {"request": {"precision": "bfloat16"}}, play=play)
    assert {played.default(name)["precision"] for name in "ab"} == {"bfloat16"}
    played = Played(tmp_path, flat, {}, "-e", "trtllm_precision=bfloat16", play=play)
    assert {played.default(name)["precision"] for name in "ab"} == {"bfloat16"}


def test_variables_of_one_host_are_not_taken_for_the_plays(tmp_path: Path) -> None:
    """The task only runs on the first host, so it sees the variables of that host."""
    flat = {"a": variables(**GOOD, precision="float32"), "b": variables(**GOOD)}
    fact = {"ansible.builtin.set_fact": {"trtllm_limits": {"max_batch_size": 3}}, "when": "inventory_hostname == 'a'"}
    played = Played(tmp_path, flat, {}, before=(fact,))
    assert [played.default(name)["precision"] for name in "ab"] == ["float32", "float16"]
    assert [played.default(name)["limits"]["max_batch_size"] for name in "ab"] == [3, 128]


def test_an_unknown_variable_is_refused_with_other_problems(tmp_path: Path) -> None:
    wrong = variables(**GOOD, limit={}, proxy={"htp": "x"}, precision="int3")
    played = Played(tmp_path, {"a": wrong, "b": variables(**GOOD)}, {})
    assert played.refused("a") == ["trtllm_limit", "trtllm_proxy.htp", "trtllm_precision"]
    assert (played.refused("b"), played.result["refused"]) == ([], ["a"])


def test_an_unknown_variable_of_the_play_is_refused_for_every_host(tmp_path: Path) -> None:
    play = {"vars": {"trtllm_preflight_waive": ["clock"]}}
    played = Played(tmp_path, {"a": variables(**GOOD), "b": variables(**GOOD)}, {}, play=play)
    assert played.result["refused"] == ["a", "b"]
    said = "- trtllm_preflight_waive: is now called trtllm_waive: move its value there"
    assert said in played.result["hosts"]["b"]["message"]
    assert played.default("b")["needs"]["hub"]["repository"]


@pytest.mark.long
def test_variables_that_planning_does_not_read_may_be_undefined_templates(tmp_path: Path) -> None:
    later = {"trtllm_ca_bundle": "{{ a_fact_of_a_later_task }}"}
    played = Played(
        tmp_path, {"a": {**variables(**GOOD), **later}}, {}, play={"vars": {"trtllm_wheelhouse": "{{ x }}"}}
    )
    assert played.result["refused"] == []


def test_all_refusals_are_in_one_message_and_the_task_succeeds(tmp_path: Path) -> None:
    played = Played(tmp_path, {"a": variables(**GOOD)}, {"request": {"model": "nothing", "precision": "int3"}})
    assert not played.result.get("failed")
    message = played.result["hosts"]["a"]["message"]
    assert message.startswith("This cannot work for 2 reasons. Nothing was changed.")
    assert "- trtllm_model = 'nothing': " in message and "- trtllm_precision = 'int3': " in message


def test_a_single_reason_is_in_the_singular() -> None:
    refusal = {"variable": "trtllm_root", "value": None, "message": "is missing", "waive": "disk_space"}
    assert refusal_message([refusal]).splitlines() == [
        "This cannot work for 1 reason. Nothing was changed.",
        "- trtllm_root: is missing (or accept it: trtllm_waive: [disk_space])",
    ]
    assert refusal_message([]) == ""


@pytest.mark.long
def test_a_warning_names_its_hosts_unless_it_applies_to_all(tmp_path: Path) -> None:
    limits = {"max_batch_size": 1}
    hosts = {"a": variables(**GOOD, limits=limits), "b": variables(**GOOD), "c": variables(**GOOD, limits=limits)}
    facts = {"a": host(), "b": host(deployments={"old": "x-1"}), "c": host()}
    played = Played(tmp_path, hosts, {"host_facts": facts})
    assert "[WARNING]: a, c: trtllm_limits.max_batch_size 1" in played.said
    assert "[WARNING]: b: deployment old is served on this host" in " ".join(played.said.split())
    played = Played(tmp_path, {name: variables(**GOOD, limits=limits) for name in "ab"}, {})
    assert "[WARNING]: trtllm_limits.max_batch_size 1" in played.said


def test_a_table_includes_the_warnings(tmp_path: Path) -> None:
    options = variables(**GOOD, limits={"max_batch_size": 1})
    played = Played(tmp_path, dict.fromkeys("ab", options), {"show": True})
    assert played.result["table"][0] == "== a, b" and "== a, b\n" in played.said
    assert any(line.startswith("warning ") for line in played.result["table"])
    assert "[WARNING]: trtllm_limits" not in played.said
    assert not [line for line in played.result["table"] if line.startswith("- ")]


def test_a_verbose_table_has_what_is_not_verified(tmp_path: Path) -> None:
    played = Played(tmp_path, {"a": variables(**GOOD)}, {"show": True}, "-v")
    assert [line for line in played.result["table"] if line.startswith("- ")]


@pytest.mark.long
def test_gateways_are_planned_with_their_own_variables_and_addresses(tmp_path: Path) -> None:
    own = variables(gateway={"certificate": "site.pem", "port": 8444}, gateway_keys="keys.yml", endpoint={"port": 9000})
    hosts = {"a": {**variables(**GOOD), **own, "ansible_host": "192.0.2.1"}, "b": variables(**GOOD)}
    play = {"vars": variables(gateway_authority="authority")}
    options = {"gateways": ["a"], "hosts": ["a"], "others": ["a", "b"], "host_facts": {"a": host()}}
    played = Played(tmp_path, hosts, options, play=play)
    # Nothing is known of b.
    assert played.result["gateway"] == {"hosts": {}, "unknown": ["b"]}
    endpoint = played.result["hosts"]["a"]["endpoint"]
    assert (endpoint["port"], endpoint["authority"]) == (9000, str(tmp_path / "authority"))
    played = Played(
        tmp_path, hosts, {**options, "hosts": ["a", "b"], "host_facts": {"a": host(), "b": host()}}, play=play
    )
    gateway = played.result["gateway"]["hosts"]["a"]["gateway"]
    assert (gateway["port"], gateway["certificate"]) == (8444, str(tmp_path / "site.pem"))
    assert [server["address"] for server in gateway["routes"][0]["servers"]] == ["192.0.2.1", "b"]
    wrong = {**hosts, "a": {**hosts["a"], **variables(gateway={"prot": 1}, endpoint={"port": "x"})}}
    assert set(Played(tmp_path, wrong, options, play=play).refused()) == {"trtllm_gateway.prot", "trtllm_endpoint"}


def test_hosts_copy_weights_from_each_other_on_the_address_that_is_set(tmp_path: Path) -> None:
    own = {
        "a": variables(fanout={"address": "10.0.0.1", "rate": 5}, endpoint={"address": "10.1.0.1"}),
        "b": variables(endpoint={"address": "10.1.0.2"}),
        "c": {"ansible_host": "192.0.2.3"},
        "d": variables(fanout={"port": 7000}),
        "e": variables(fanout={"enabled": False}),
        "f": variables(fanout={"prot": 1}),
    }
    played = Played(tmp_path, {name: {**variables(**GOOD), **given} for name, given in own.items()}, {})
    fanout = played.result["fanout"]
    assert sorted(fanout["groups"][0]) == ["a", "b", "c", "d", "f"]
    peers = {name: entry["peer"] for name, entry in fanout["hosts"].items()}
    addresses = {"a": "10.0.0.1", "b": "10.1.0.2", "c": "192.0.2.3", "d": "d", "f": "f"}
    assert {name: peer["address"] for name, peer in peers.items()} == addresses
    assert (peers["d"]["port"], peers["a"]["https_port"], fanout["hosts"]["a"]["rate"]) == (7000, 7881, 5)
    assert played.refused("f") == ["trtllm_fanout.prot"]


def test_facts_have_one_source(tmp_path: Path) -> None:
    played = Played(tmp_path, {"a": variables(**GOOD)}, {"host_shape": "BM.GPU4.8", "host_facts_file": "facts.json"})
    assert "trtllm_host_facts_file and trtllm_host_shape are both set" in " ".join(played.said.split())


@pytest.mark.long
def test_a_plan_by_shape_needs_no_token(tmp_path: Path) -> None:
    hosts = {"a": variables(model="llama-3.1-8b")}
    played = Played(tmp_path, hosts, {"host_shape": "BM.GPU4.8"})
    assert played.result["refused"] == [] and "trtllm_token_file: meta-llama/Llama-3.1-8B is a gated" in played.said
    assert Played(tmp_path, hosts, {"host_facts": {"a": host(artifacts=[])}}).result["refused"] == ["a"]


@pytest.mark.long
def test_a_plan_by_shape_says_which_storage_the_host_needs(tmp_path: Path) -> None:
    shape = {"host_shape": "BM.GPU4.8"}
    assert "[WARNING]: trtllm_storage: " in Played(tmp_path, {"a": variables(**GOOD)}, shape).said
    grown = variables(**GOOD, storage={"grow_root": "{{ grow }}"})
    assert "trtllm_storage" not in Played(tmp_path, {"a": {**grown, "grow": True}}, shape).said


def test_conversions_have_the_token_of_their_first_host(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    with_token = variables(**GOOD, token_file=str(tmp_path / "token"))
    (conversion,) = Played(tmp_path, {"a": with_token, "b": variables(**GOOD)}, {}).result["conversions"]
    assert (conversion["hosts"], conversion["token_file"]) == (["a", "b"], str(tmp_path / "token"))


# --- facts, and what is written


@pytest.mark.long
def test_measured_speeds_replace_estimates_in_the_result_and_in_the_file(tmp_path: Path) -> None:
    hosts = {name: variables(**GOOD) for name in ("a", "b")}
    key = Played(tmp_path, hosts, {}).default()["estimate"]["key"]
    row = {"at_once": 3, "tokens_per_second": 123.5, "first_token": 0.1, "between_tokens": 0.02}
    measured = {key: {"prompt_tokens": 10, "answer_tokens": 20, "rows": [row]}}
    (tmp_path / "speeds.json").write_text(json.dumps(measured))
    played = Played(tmp_path, hosts, {"benchmarks_file": "speeds.json", "plan_file": "plan.json"})
    assert [played.default(name)["estimate"]["rows"] for name in hosts] == [[row], [row]]
    written = json.loads((tmp_path / "plan.json").read_text())["hosts"]["b"]["deployments"]["default"]
    assert written["estimate"]["measured"]


@pytest.fixture(name="gated_hub")
def fixture_gated_hub() -> Iterator[str]:
    """The endpoint of a hub that only shows config.json to those who have the token."""
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2}
    config = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096, "vocab_size": 100, **sizes}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(config).encode()
            self.send_response(200 if self.headers["Authorization"] == "Bearer t0ken" else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            """Requests are not shown."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.long
def test_the_token_may_be_encrypted_with_vault(tmp_path: Path, gated_hub: str) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "password").write_text("hunter2")
    vault, password = Path(sys.executable).with_name("ansible-vault"), "--vault-password-file=password"
    command = [str(vault), "encrypt", password, "token"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    model = {"repository": "me/tiny", "revision": "1" * 40}
    hosts = {"a": variables(model=model, weights={"endpoint": gated_hub}, token_file="token")}
    played = Played(tmp_path, hosts, {}, password)
    assert played.result["refused"] == [], played.said
    assert played.result["hosts"]["a"]["token_file"] == str(tmp_path / "token") and "t0ken" not in played.said
    # Without the password it is one reason among others.
    hosts["a"]["trtllm_precision"] = "int3"
    played = Played(tmp_path, hosts, {})
    assert "trtllm_precision" in played.refused()
    (message,) = [entry["message"] for entry in played.result["hosts"]["a"]["refusals"] if "config" in entry["message"]]
    assert "vault" in message and "cannot be read" in message


def test_missing_facts_of_a_host_are_required(tmp_path: Path) -> None:
    played = Played(tmp_path, {"a": variables(**GOOD), "b": variables(**GOOD)}, {"host_facts": {"a": host()}})
    assert "There are no facts of b: record them again" in played.result["msg"]


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "facts.json").read_text())["hosts"]
    return found


@pytest.mark.long
def test_recorded_facts_of_other_hosts_are_kept_and_planned_with(tmp_path: Path) -> None:
    """As in a play for a batch of the fleet: their artifacts do not have to be created again."""
    hosts = {name: variables(**GOOD) for name in "abc"}
    file = {"record_file": str(tmp_path / "facts.json")}
    engine = Played(tmp_path, hosts, file).default()["artifacts"]["engine"]["key"]
    assert list(record(tmp_path)) == ["a", "b", "c"]
    there = {**record(tmp_path), "b": host(artifacts=[f"engine/{engine}"]), "gone": host(processors=3)}
    (tmp_path / "facts.json").write_text(json.dumps({"hosts": there}))

    batch = {**file, "others": "{{ groups['trtllm'] }}", "host_facts": {"a": host(processors=5)}}
    played = Played(tmp_path, hosts, batch, "--limit", "a")
    assert played.result["changed"] and list(played.result["hosts"]) == ["a", "b", "c"]
    made = played.result["artifacts"][f"engine/{engine}"]
    assert (made["made_by"], made["wanted_by"]) == ("b", ["a", "b", "c"])
    assert record(tmp_path)["a"]["processors"] == 5 and record(tmp_path)["gone"]["processors"] == 3
    assert record(tmp_path)["b"] == there["b"]
    assert not Played(tmp_path, hosts, batch, "--limit", "a").result["changed"]


def test_other_hosts_without_recorded_facts_are_ignored(tmp_path: Path) -> None:
    hosts = {"a": variables(**GOOD), "b": variables(**GOOD, precision="int3"), "c": variables(**GOOD)}
    (tmp_path / "facts.json").write_text(json.dumps({"hosts": {"b": host()}}))
    options = {"record_file": str(tmp_path / "facts.json"), "others": ["a", "b", "c"], "plan_file": "plan.json"}
    played = Played(tmp_path, hosts, {**options, "host_facts": {"a": host()}}, "--limit", "a")
    assert list(played.result["hosts"]) == ["a", "b"] and played.result["hosts"]["b"]["refusals"]
    assert played.result["refused"] == []
    assert "precision" not in played.said
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert list(plan) == ["artifacts", "fanout", "gateway", "hosts", "targets"] and list(plan["hosts"]) == ["a"]


@pytest.mark.long
def test_a_file_that_is_not_a_record_is_not_changed(tmp_path: Path) -> None:
    for content in ("{", json.dumps(host())):
        (tmp_path / "facts.json").write_text(content)
        played = Played(tmp_path, {"a": variables(**GOOD)}, {"record_file": str(tmp_path / "facts.json")})
        assert played.result["failed"] and "trtllm_host_facts_save" in played.result["msg"]
        assert (tmp_path / "facts.json").read_text() == content


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    files = {"plan_file": str(tmp_path / "plan.json"), "record_file": str(tmp_path / "facts.json")}
    played = Played(tmp_path, {"a": variables(**GOOD)}, files, "--check")
    assert played.result["changed"]
    assert not (tmp_path / "plan.json").exists() and not (tmp_path / "facts.json").exists()


@pytest.mark.long
@pytest.mark.parametrize("option", ["plan_file", "record_file"])
def test_diff_mode_shows_the_changes_of_a_file(tmp_path: Path, option: str) -> None:
    """Also those that check mode would make, and that of a file with something else in it."""
    path = tmp_path / "file.json"
    limits = {"max_batch_size": 3}
    arguments: dict[str, Any] = {option: str(path), "host_facts": {"a": host(processors=3)}}
    made = Played(tmp_path, {"a": variables(**GOOD)}, arguments, "--diff", "--check")
    assert made.result["diff"][0]["before"] == "" and f"+++ after: {path}" in made.said and not path.exists()
    Played(tmp_path, {"a": variables(**GOOD)}, arguments)
    arguments["host_facts"] = {"a": host(processors=5)}
    changed = Played(tmp_path, {"a": variables(**GOOD, limits=limits)}, arguments, "--diff")
    lines = changed.said.splitlines()
    before, after = {"plan_file": ('"max_batch_size": 128', '"max_batch_size": 3'), "record_file": ("3", "5")}[option]
    assert any(line.startswith("-") and before in line for line in lines)
    assert any(line.startswith("+") and after in line for line in lines)
    assert changed.result["diff"][0]["after"] == path.read_text()
    again = Played(tmp_path, {"a": variables(**GOOD, limits=limits)}, arguments, "--diff")
    assert (again.result["changed"], again.result["diff"]) == (False, [])
    assert "diff" not in Played(tmp_path, {"a": variables(**GOOD)}, arguments).result
    if option == "plan_file":
        path.write_bytes(b"\xff\n")
        assert Played(tmp_path, {"a": variables(**GOOD)}, arguments, "--diff").result["changed"]


@pytest.mark.long
@pytest.mark.parametrize("option", ["plan_file", "record_file"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, option: str) -> None:
    path = str(tmp_path / "none/file.json")
    played = Played(tmp_path, {"a": variables(**GOOD)}, {option: path})
    assert f"cannot write the plan or the facts to {path}" in played.result["msg"]


@pytest.mark.long
def test_no_output_and_no_file_shows_a_secret(tmp_path: Path) -> None:
    url = "https://ops:S3CRETCANARY@git.example.com/x"
    source = {"repository": url, "commit": "1" * 40}
    secret = variables(
        **GOOD,
        weights={"endpoint": "{{ hub }}"},
        sources={"backend": source},
        git_mirrors={url: url},
        proxy={"http": url},
        image={"source": "build", "build": {"args": {"HF_TOKEN": "S3CRETCANARY", "INDEX": url}}},
        deployments={"small": {"model": {"repository": url, "revision": "1" * 40}, "gpus": 1}},
    )
    options = {"plan_file": str(tmp_path / "plan.json"), "record_file": str(tmp_path / "facts.json")}
    for arguments in (options, {**options, "show": True}):
        played = Played(tmp_path, {"a": {**secret, "hub": url}}, arguments, "-vvv", "--diff")
        plan = (tmp_path / "plan.json").read_text()
        for place in (played.said, json.dumps(played.result), plan, (tmp_path / "facts.json").read_text()):
            assert place and "S3CRETCANARY" not in place
        assert {entry["variable"] for entry in json.loads(plan)["hosts"]["a"]["refusals"]} >= {
            "trtllm_weights.endpoint",
            "trtllm_sources.backend.repository",
            "trtllm_git_mirrors",
            "trtllm_image.build.args.HF_TOKEN",
            "trtllm_image.build.args.INDEX",
            "trtllm_deployments.small.model.repository",
        }
