# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole module: all problems in one result, and the token nowhere in it."""

from __future__ import annotations

import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _xid
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu import _pci
from ansible_collections.tritonops.trtllm.plugins.modules import preflight_info
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import write_pci
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import install
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

CANARY = "hf_canaryCANARYcanary"
MODEL = {"repository": "owner/model", "revision": "main"}
# For memory and disk.
TOO_MUCH = 10**18

Look = t.Callable[..., Result]


class GatedHub:
    """Describes its model to everybody, serves it only for the canary token, and quotes the token in errors."""

    def __init__(self) -> None:
        self.tokens: list[str | None] = []
        # Where it redirects weights to.
        self.storage = ""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200)
                if hub.storage:
                    self.wfile.write(b'{"siblings": [{"rfilename": "model.safetensors"}]}')

            def do_HEAD(self) -> None:
                if hub.storage and self.path.endswith(".safetensors"):
                    self.send_response(302)
                    self.send_header("Location", hub.storage)
                    self.end_headers()
                    return
                self._answer(200 if self.headers["Authorization"] == "Bearer " + CANARY else 403)

            def _answer(self, status: int) -> None:
                hub.tokens.append(self.headers["Authorization"])
                self.send_response(status)
                self.send_header("X-Error-Message", "not to {}".format(self.headers["Authorization"]))
                self.end_headers()

            def log_message(self, format: str, *args: t.Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> GatedHub:
        threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(name="hub")
def fixture_hub() -> t.Iterator[GatedHub]:
    with GatedHub() as hub:
        yield hub


@pytest.fixture(name="look")
def fixture_look(capsys: pytest.CaptureFixture[str]) -> Look:
    def look(**needs: t.Any) -> Result:
        options = {name: needs.pop(name) for name in ("storage", "token") if name in needs}
        result = run_module(preflight_info, capsys, needs=[needs], **options)
        assert not result.get("failed") and not result["changed"], result
        return result

    return look


def ids(result: Result) -> list[str]:
    return [finding["id"] for finding in result["findings"]]


def test_without_needs_there_are_no_findings(look: Look) -> None:
    result = look()
    assert (result["findings"], result["facts"]) == ([], {})


@pytest.mark.parametrize(
    "needs",
    [
        {"hub": {"endpoint": "http://ops:S3CRETCANARY@127.0.0.1:9", **MODEL}},
        {"reach": [{"url": "https://S3CRETCANARY@127.0.0.1:9", "what": "Docker"}]},
        {"registry": "http://ops:S3CRETCANARY@127.0.0.1:9"},
    ],
)
def test_a_login_in_a_url_is_refused_and_not_shown(needs: dict[str, t.Any], capsys: pytest.CaptureFixture[str]) -> None:
    failed = run_module(preflight_info, capsys, needs=[needs])
    assert "needs: a URL has a user name or password in it" in failed["msg"]
    assert "S3CRETCANARY" not in json.dumps(failed)


def test_all_problems_are_found_at_once(look: Look, hub: GatedHub, tmp_path: Path) -> None:
    result = look(
        ports=[{"port": hub.port}],
        disk=[{"path": str(tmp_path / "weights"), "bytes": TOO_MUCH}],
        memory_bytes=TOO_MUCH,
        archive={"path": str(tmp_path / "missing.tar")},
        architectures=["sparc"],
        systems={"plan9": "4"},
        hub={"endpoint": hub.url, **MODEL},
        registry="http://127.0.0.1:9",
    )
    assert ids(result) == [
        "architecture",
        "os_untested",
        "port_taken",
        "disk_space",
        "memory",
        "archive_missing",
        "hub_token_missing",
        "registry_unreachable",
    ]
    assert "set needs.hub.token_file to a token of that account" in result["findings"][6]["remedy"]
    assert {finding["waivable"] for finding in result["findings"]} == {True}
    assert result["facts"]["memory_bytes"] > 10**8


def test_remedies_for_a_plan_name_the_plans_variables(look: Look, hub: GatedHub) -> None:
    result = look(ports=[{"port": hub.port}], hub={"endpoint": hub.url, **MODEL}, planned=True)
    taken, token = (finding["remedy"] for finding in result["findings"])
    assert "another port in trtllm_server" in taken and "set trtllm_token_file to" in token


@pytest.mark.parametrize("by_file", [True, False])
def test_token_gives_access_to_the_model(look: Look, hub: GatedHub, tmp_path: Path, by_file: bool) -> None:
    (tmp_path / "token").write_text(CANARY + "\n")
    in_file = {"token_file": str(tmp_path / "token")} if by_file else {}
    result = look(hub={"endpoint": hub.url, **MODEL, **in_file}, **({} if by_file else {"token": CANARY}))
    assert result["findings"] == []
    assert hub.tokens == ["Bearer " + CANARY] * 2


@pytest.mark.parametrize("by_file", [True, False])
def test_token_is_not_in_the_result(look: Look, hub: GatedHub, tmp_path: Path, by_file: bool) -> None:
    wrong = CANARY + "2"
    (tmp_path / "token").write_text(wrong)
    in_file = {"token_file": str(tmp_path / "token")} if by_file else {}
    result = look(hub={"endpoint": hub.url, **MODEL, **in_file}, **({} if by_file else {"token": wrong}))
    assert ids(result) == ["hub_token_refused"]
    assert CANARY not in json.dumps(result)


def test_storage_behind_the_hub_is_asked_without_the_token(look: Look, hub: GatedHub) -> None:
    with GatedHub() as storage:
        hub.storage = f"{storage.url}/weights?only=GET"
        assert look(hub={"endpoint": hub.url, **MODEL}, token=CANARY)["findings"] == []
    assert storage.tokens == [None, None]


def test_storage_behind_the_hub_that_cannot_be_reached_is_found(look: Look, hub: GatedHub) -> None:
    hub.storage = "http://blocked.invalid/weights"
    result = look(hub={"endpoint": hub.url, **MODEL}, token=CANARY)
    assert ids(result) == ["hub_storage_unreachable"]
    assert f"blocked.invalid, to which the hub {hub.url} redirects downloads" in result["findings"][0]["message"]


def test_hub_is_not_queried_for_existing_weights(look: Look, hub: GatedHub, tmp_path: Path) -> None:
    (tmp_path / "artifact.json").write_text('{"inputs": {}}')
    assert look(hub={"endpoint": hub.url, "dest": str(tmp_path), **MODEL})["findings"] == []
    assert hub.tokens == []


@pytest.fixture(name="docker")
def fixture_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], Path]:
    """Installs a docker that runs this script, and writes its arguments to the file."""

    def install_docker(script: str) -> Path:
        docker = tmp_path / "docker"
        docker.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/asked"\n{script}\n')
        docker.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return tmp_path / "asked"

    return install_docker


def test_our_own_containers_may_use_the_port(look: Look, hub: GatedHub, docker: t.Callable[[str], Path]) -> None:
    """Docker is asked about all containers at once. Here this test uses the port, so no container does.

    If a container does not exist, Docker fails, but still prints the others.
    """
    ports = {"8000/tcp": [{"HostPort": "1"}], "8002/tcp": None}
    inspected = [{"Id": letter * 64, "NetworkSettings": {"Ports": ports}} for letter in "cd"]
    asked = docker(f"cat <<'X'\n{json.dumps(inspected)}\nX\necho 'No such container: trtllm-c' >&2; exit 1")
    names = ["trtllm-a", "trtllm-b", "trtllm-c"]
    assert ids(look(ports=[{"port": hub.port}], containers=names)) == ["port_taken"]
    assert asked.read_text() == "container inspect trtllm-a trtllm-b trtllm-c\n"


def test_without_an_answer_of_docker_no_container_counts(
    look: Look, hub: GatedHub, docker: t.Callable[[str], Path]
) -> None:
    docker("exit 1")
    assert ids(look(ports=[{"port": hub.port}], containers=["trtllm-a"])) == ["port_taken"]


def test_each_need_of_a_list_is_checked_and_reported_once(
    capsys: pytest.CaptureFixture[str], hub: GatedHub, tmp_path: Path
) -> None:
    """The facts of all needs are merged, and a problem of two needs is one finding."""
    shared = {"architectures": ["sparc"]}
    needs = [
        {**shared, "memory_bytes": TOO_MUCH},
        {**shared, "disk": [{"path": str(tmp_path), "bytes": TOO_MUCH}]},
        {"hub": {"endpoint": hub.url, **MODEL}},
    ]
    result = run_module(preflight_info, capsys, needs=needs)
    assert ids(result) == ["architecture", "memory", "disk_space", "hub_token_missing"]
    assert {"memory_bytes", "disk"} <= set(result["facts"])


def test_without_needs_no_facts_are_gathered(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(preflight_info, capsys)
    assert (result["findings"], result["facts"], result["changed"]) == ([], {}, False)


# --- GPUs


@pytest.fixture(name="gpus")
def fixture_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., dict[str, t.Any]]:
    """The option for a host with that recording, and with eight GPUs and no switch on its bus."""
    write_pci(tmp_path / "pci", 8, 0)
    monkeypatch.setattr(_pci.nvidia_devices, "__defaults__", (str(tmp_path / "pci"),))
    # The kernel log of this machine must not matter.
    monkeypatch.setattr(_xid, "kernel_log", lambda *_arguments: "NVRM: Xid (PCI:0000:0f:00): 48, pid=1")

    def option(recording: str, **need: t.Any) -> dict[str, t.Any]:
        return {"executable": install(tmp_path, recording), **need}

    return option


def test_healthy_gpus_give_no_errors(look: Look, gpus: t.Callable[..., dict[str, t.Any]]) -> None:
    """The log has an error, but this driver reports that no action is needed."""
    result = look(gpus=gpus("a100", count=8, name="NVIDIA A100-SXM4-40GB", driver="580", driver_listed="590.44.01"))
    assert ids(result) == ["xid_notable"]
    facts = result["facts"]["gpus"]
    assert (facts["driver_version"], facts["on_bus"], facts["switches"], len(facts["devices"])) == (
        "590.48.01",
        8,
        0,
        8,
    )
    assert facts["xids"] == [{"place": "0000:0f:00", "code": 48, "times": 1}]


def test_all_problems_of_gpus_are_found_at_once(look: Look, gpus: t.Callable[..., dict[str, t.Any]]) -> None:
    result = look(gpus=gpus("a100-broken", count=8, driver="580", driver_listed="590.44.01"))
    assert ids(result) == [
        "gpu_lost",
        "gpu_count",
        "driver_too_old",
        "mig_mode",
        "persistence_mode",
        "ecc_uncorrected",
        "row_remapping_failed",
        "row_remapping_pending",
        "gpu_recovery",
        "pcie_width",
        "nvlink_inactive",
        "xid_notable",
        "gpu_in_use",
    ]


@pytest.mark.parametrize(
    ("recording", "found"),
    [
        ("a100-seven", ["gpu_lost", "gpu_count"]),
        ("a100-too-old", ["driver_too_old", "xid"]),
        ("a100-mig", ["mig_mode"]),
        ("a100-ecc", ["ecc_uncorrected", "row_remapping_pending", "gpu_recovery"]),
        ("h100", []),
        ("h100-no-fabric", ["fabric_state"]),
        ("driver-mismatch", ["nvidia_smi", "xid"]),
        ("driver-not-loaded", ["nvidia_smi", "xid"]),
    ],
)
def test_findings_on_recorded_hosts(
    recording: str, found: list[str], look: Look, gpus: t.Callable[..., dict[str, t.Any]]
) -> None:
    result = look(gpus=gpus(recording, count=8, driver="525"))
    assert [name for name in ids(result) if name != "xid_notable"] == found


def test_gpus_are_only_checked_on_request(look: Look, gpus: t.Callable[..., dict[str, t.Any]]) -> None:
    gpus("a100-broken")
    result = look()
    assert result["findings"] == [] and "gpus" not in result["facts"]


def test_sources_are_checked_unless_their_files_exist(look: Look, hub: GatedHub, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    closed = "http://127.0.0.1:9/"
    sources = [
        {"what": "open", "url": hub.url},
        {"what": "needless", "url": closed, "unless": str(tmp_path / "there")},
        {"what": "closed", "url": closed, "unless": str(tmp_path / "not there")},
    ]
    (finding,) = look(reach=sources)["findings"]
    assert finding["message"].startswith("http://127.0.0.1:9/ (closed) does not respond")
    assert "needs.reach" in finding["remedy"]
    assert hub.tokens == [None]


def test_the_proxy_in_the_environment_is_used(look: Look, hub: GatedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", hub.url)
    monkeypatch.setenv("no_proxy", "")
    assert look(reach=[{"what": "far away", "url": "http://packages.invalid/"}])["findings"] == []
    assert hub.tokens == [None]


def test_space_on_a_planned_file_system(look: Look, tmp_path: Path) -> None:
    wanted = [{"path": str(tmp_path / "root/weights"), "bytes": TOO_MUCH}]
    coming = [{"mount": str(tmp_path / "root"), "free_bytes": 2 * TOO_MUCH}]
    assert ids(look(disk=wanted)) == ["disk_space"]
    result = look(disk=wanted, storage=coming)
    assert ids(result) == [] and result["facts"]["disk"][0]["mount"] == str(tmp_path / "root")


def test_selinux_and_firewall_are_in_the_facts(look: Look, tmp_path: Path) -> None:
    asked = {"clock": True, "root": str(tmp_path), "ports": [{"port": 9}], "ulimits": ["memlock=-1"]}
    facts = look(**asked)["facts"]
    assert {"clock_synchronised", "selinux_enforcing", "firewalld"} <= set(facts)
