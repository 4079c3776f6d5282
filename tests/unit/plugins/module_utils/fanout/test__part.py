# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artifacts that hosts get from each other, verify and put in place. Each host is a process with its own address."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import threading
import time
import typing as t
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    locked,
    read_artifact,
    reason_to_make,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._https import Client
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._job import outcome
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._part import (
    Part,
    addresses,
    check_record,
    own_address,
    torrent_of,
    transferable,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._torrent import NAME
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import Peer
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import new_authority
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port
from ansible_collections.tritonops.trtllm.tests.unit.support.transfer_hosts import NOW, TransferHosts, write_files

SIZES = {"config.json": 100, "model 1.safetensors": 6_000_000, "a/model-2.safetensors": 3_000_001, "empty": 0}
# How a client sees that the connection is not accepted.
REFUSED = (ssl.SSLError, ConnectionError)
TOTAL = sum(SIZES.values())
INPUTS = {"repository": "example/model", "commit": "0" * 40}
HOST = """
import base64, json, sys
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._part import Part, take_part
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import Peer
given = json.load(open(sys.argv[1]))
given["torrent"] = base64.b64decode(given["torrent"])
given["own"], given["maker"] = Peer(*given["own"]), Peer(*given["maker"])
given["others"] = tuple(Peer(*peer) for peer in given["others"])
try:
    print(json.dumps(take_part(Part(**given))))
except ModuleFailure as exc:
    sys.exit(str(exc))
"""


class Fleet(TransferHosts):
    """Hosts 127.0.2.1 and so on, the first of which has made the artifact."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pem = self.authority[1].decode()
        draft = Draft(str(self.dest(1)), dict(INPUTS))
        progress = draft.begin()
        write_files(Path(draft.payload), SIZES)
        self.record = draft.publish({"commit": "0" * 40}, progress)
        self.torrent = torrent_of(str(self.dest(1)), self.pem)
        self.port, self.https_port = free_port("127.0.2.1"), free_port("127.0.2.1")

    def dest(self, number: int) -> Path:
        return self.folder / f"host{number}" / "weights"

    def part(self, number: int, hosts: int, **options: t.Any) -> Part:
        others = tuple(Peer(f"127.0.2.{other}", self.port) for other in range(1, hosts + 1) if other != number)
        made = Part(
            str(self.dest(number)),
            self.record,
            self.torrent,
            self.certificate(),
            self.pem,
            Peer(f"127.0.2.{number}", self.port),
            others,
            Peer("127.0.2.1", self.https_port),
            is_maker=number == 1,
            deadline=60,
            linger=10,
            patience=2,
        )
        return replace(made, **options)

    def start(self, number: int, hosts: int, **options: t.Any) -> None:
        part = self.part(number, hosts, **options)
        self.launch(number, HOST, {**asdict(part), "torrent": base64.b64encode(part.torrent).decode()})

    def is_in_place(self, number: int) -> bool:
        dest = str(self.dest(number))
        found = read_artifact(dest)
        assert not os.path.exists(f"{dest}.partial")
        # As the module that would make it sees it.
        return found is not None and found["commit"] == "0" * 40 and reason_to_make(dest, INPUTS, verify=True) is None

    def client(self, number: int, certificate: str, maker: Peer | None = None) -> Client:
        return Client(
            maker or Peer("127.0.2.1", self.https_port), Peer(f"127.0.2.{number}", 0), certificate, self.pem, 0
        )

    def wait_until_listening(self) -> None:
        for _attempt in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.2.1", self.https_port)) == 0:
                    return
            time.sleep(0.1)


@pytest.fixture(name="fleet")
def fixture_fleet(tmp_path: Path) -> t.Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.close()


@pytest.mark.long
def test_hosts_have_the_artifact_in_place(fleet: Fleet) -> None:
    for number in (1, 2, 3):
        fleet.start(number, 3)
    maker, second, third = (fleet.result(number) for number in (1, 2, 3))
    assert (maker["changed"], maker["method"]) == (False, "")
    assert (second["changed"], second["method"], third["method"]) == (True, "torrent", "torrent")
    assert fleet.is_in_place(2) and fleet.is_in_place(3)
    # Running again, nothing is transferred.
    for number in (1, 2, 3):
        fleet.start(number, 3)
    again = [fleet.result(number) for number in (1, 2, 3)]
    assert [(result["changed"], result["received"]) for result in again] == [(False, 0)] * 3


def test_without_libtorrent_https_is_used(fleet: Fleet) -> None:
    for number in (1, 2, 3):
        fleet.start(number, 3, torrent=b"")
    results = [fleet.result(number) for number in (1, 2, 3)]
    assert [result["method"] for result in results] == ["", "https", "https"]
    assert results[0]["sent"] == 2 * TOTAL and results[1]["received"] == TOTAL
    assert fleet.is_in_place(2) and fleet.is_in_place(3)


def test_with_blocked_ports_https_is_used(fleet: Fleet) -> None:
    fleet.start(1, 2)
    # Nothing listens on the ports that they know of each other.
    blocked = free_port("127.0.2.1")
    fleet.start(2, 2, own=Peer("127.0.2.2", blocked), others=(Peer("127.0.2.1", blocked),))
    assert fleet.result(2)["method"] == "https"
    assert fleet.is_in_place(2)
    # The maker knows that it has everything.
    assert fleet.result(1)["sent"] == TOTAL


@pytest.mark.long
def test_hosts_do_not_wait_for_each_other_without_the_maker(fleet: Fleet) -> None:
    fleet.start(2, 3)
    fleet.start(3, 3)
    for number in (2, 3):
        assert "0.0 % were received within" in fleet.failure(number)


@pytest.mark.long
def test_if_https_is_blocked_as_well_the_failure_says_so(fleet: Fleet) -> None:
    fleet.start(2, 2)
    failure = fleet.failure(2)
    assert f"from 127.0.2.1 port {fleet.https_port}" in failure and "0.0 % were received" in failure
    assert not fleet.dest(2).exists()


def test_a_killed_host_continues_by_https(fleet: Fleet) -> None:
    fleet.start(1, 2, torrent=b"", linger=60)
    fleet.start(2, 2, torrent=b"", rate=2_000_000)
    working = Path(f"{fleet.dest(2)}.partial/https")
    while not working.exists() or sum(path.stat().st_size for path in working.iterdir()) < 1_000_000:
        assert fleet.processes[2].poll() is None
        time.sleep(0.1)
    fleet.kill(2)
    assert not fleet.dest(2).exists()
    fleet.start(2, 2, torrent=b"")
    assert 0 < fleet.result(2)["received"] <= TOTAL - 1_000_000
    assert fleet.is_in_place(2)


@pytest.mark.long
def test_when_the_maker_is_killed_others_fail_and_continue_later(fleet: Fleet) -> None:
    fleet.start(1, 2, rate=1_000_000)
    fleet.start(2, 2)
    files = Path(f"{fleet.dest(2)}.partial/transfer")
    while not files.exists() or sum(path.stat().st_blocks for path in files.rglob("*") if path.is_file()) < 4000:
        assert fleet.processes[2].poll() is None
        time.sleep(0.1)
    fleet.kill(1)
    assert "cannot get" in fleet.failure(2)
    fleet.start(1, 2)
    fleet.start(2, 2)
    result = fleet.result(2)
    assert result["method"] == "torrent" and result["received"] > 0
    assert fleet.is_in_place(2)


def damage(path: Path) -> None:
    with open(path, "r+b") as stream:
        stream.seek(2_000_000)
        byte = stream.read(1)
        stream.seek(2_000_000)
        stream.write(bytes([byte[0] ^ 1]))


@pytest.mark.long
@pytest.mark.parametrize("torrent", ["before", "after", "none"])
def test_what_is_not_the_recorded_file_is_never_in_place(fleet: Fleet, torrent: str) -> None:
    damage(fleet.dest(1) / "model 1.safetensors")
    if torrent == "after":
        # A maker that lies: its torrent describes the damaged file.
        fleet.torrent = torrent_of(str(fleet.dest(1)), fleet.pem)
    elif torrent == "none":
        fleet.torrent = b""
    fleet.start(1, 2)
    fleet.start(2, 2)
    failure = fleet.failure(2)
    assert ("is not what the maker recorded" if torrent == "after" else "is damaged") in failure
    assert not fleet.dest(2).exists()


@pytest.mark.parametrize("stranger", ["another authority", "another name", "another purpose", "none"])
def test_a_stranger_gets_nothing_by_https(fleet: Fleet, stranger: str) -> None:
    fleet.start(1, 2, torrent=b"", linger=20)
    fleet.wait_until_listening()
    if stranger == "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=fleet.pem)
        plain = socket.create_connection(("127.0.2.1", fleet.https_port), 10, ("127.0.2.2", 0))
        with pytest.raises(REFUSED), plain, context.wrap_socket(plain, server_hostname=NAME) as connection:
            connection.sendall(b"GET /files/config.json HTTP/1.1\r\nHost: a\r\n\r\n")
            if not connection.recv(100):
                raise ConnectionError
        return
    certificate = {
        "another authority": lambda: fleet.certificate(authority=new_authority("other", NOW)),
        "another name": lambda: fleet.certificate(name="gateway1"),
        "another purpose": lambda: fleet.certificate(purpose="server"),
    }[stranger]()
    with pytest.raises(REFUSED):
        fleet.client(2, certificate)._request("GET", "/files/config.json")
    # One of the transfer is served.
    _connection, answer = fleet.client(2, fleet.certificate())._request("GET", "/files/config.json")
    assert len(answer.read()) == 100


def test_a_client_refuses_a_server_that_is_none_of_the_transfer(fleet: Fleet) -> None:
    fleet.start(1, 2, torrent=b"", certificate=fleet.certificate(name="gateway1"), linger=20)
    fleet.wait_until_listening()
    with pytest.raises(ssl.SSLCertVerificationError):
        fleet.client(2, fleet.certificate())._request("GET", "/files/config.json")


@pytest.mark.parametrize(
    "url", ["/", "/files/", "/files/artifact.json", "/files/..%2F..%2Fsecret", "/files/%2Fetc%2Fpasswd", "/x"]
)
def test_only_files_of_the_artifact_are_served(fleet: Fleet, url: str) -> None:
    fleet.start(1, 2, torrent=b"", linger=20)
    fleet.wait_until_listening()
    with pytest.raises(ConnectionError, match="404"):
        fleet.client(2, fleet.certificate())._request("GET", url)


def test_other_addresses_are_refused(fleet: Fleet) -> None:
    fleet.start(1, 2, torrent=b"", linger=20)
    fleet.wait_until_listening()
    with pytest.raises(REFUSED):
        fleet.client(3, fleet.certificate())._request("GET", "/files/config.json")


def test_a_part_of_a_file_can_be_requested(fleet: Fleet) -> None:
    fleet.start(1, 2, torrent=b"", linger=20)
    fleet.wait_until_listening()
    client = fleet.client(2, fleet.certificate())
    _connection, answer = client._request("GET", "/files/config.json", {"Range": "bytes=90-"})
    assert answer.read() == (fleet.dest(1) / "config.json").read_bytes()[90:]
    for wrong in ("bytes=101-", "bytes=-5", "lines=1-", "bytes=x-"):
        with pytest.raises(ConnectionError, match="416"):
            client._request("GET", "/files/config.json", {"Range": wrong})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {"../a": {"size": 1, "sha256": "0"}}}, "unsafe file names"),
        ({"files": {"a": {"size": "1", "sha256": "0"}}}, "no size or SHA-256"),
        ({"files": {"a": {"size": 1, "sha256": None}}}, "no size or SHA-256"),
        ({"files": None}, "no files or no inputs"),
        ({"files": {"a": {"size": 1, "sha256": "0"}}}, "other files than the record"),
    ],
)
def test_a_record_that_is_not_safe_is_refused(fleet: Fleet, change: dict[str, t.Any], message: str) -> None:
    part = fleet.part(2, 2)
    with pytest.raises(ModuleFailure, match=message):
        check_record(replace(part, record={**part.record, **change}))


def test_only_complete_artifacts_with_hashes_are_transferred(fleet: Fleet, tmp_path: Path) -> None:
    assert transferable(str(fleet.dest(1))) == fleet.record
    assert transferable(str(tmp_path / "none")) is None
    record = json.loads((fleet.dest(1) / "artifact.json").read_text())
    record["files"]["empty"]["sha256"] = None
    (fleet.dest(1) / "artifact.json").write_text(json.dumps(record))
    assert transferable(str(fleet.dest(1))) is None
    shutil.rmtree(fleet.dest(1))
    with pytest.raises(ModuleFailure, match="is not a complete artifact"):
        torrent_of(str(fleet.dest(1)), fleet.pem)


def test_the_own_address_is_one_that_others_reach() -> None:
    assert own_address("127.0.2.1", ["127.0.2.2"]) == "127.0.2.1"
    # Another machine's, as behind address translation: the one from which the others are reached.
    assert own_address("192.0.2.1", ["127.0.2.2"]).startswith("127.")
    assert own_address("localhost", ["127.0.2.2"]).startswith("127.")
    assert addresses("host.invalid") == []
    with pytest.raises(ModuleFailure, match=r"trtllm_fanout\.address"):
        own_address("host.invalid", ["other.invalid"])


def job(folder: Path, **result: t.Any) -> str:
    path = folder / "job"
    path.write_text(json.dumps(result))
    return str(path)


def test_the_result_of_a_job_is_that_of_its_module(tmp_path: Path) -> None:
    path = job(tmp_path, changed=True, method="torrent", received=1, invocation={})
    assert outcome(path, str(tmp_path / "a"), 5) == {"changed": True, "method": "torrent", "received": 1}
    assert not os.path.exists(path)
    with pytest.raises(ModuleFailure, match="no way"):
        outcome(job(tmp_path, failed=True, changed=False, msg="no way"), str(tmp_path / "a"), 5)
    with pytest.raises(ModuleFailure, match="Traceback"):
        outcome(job(tmp_path, started=1, finished=1, stderr="Traceback"), str(tmp_path / "a"), 5)


def test_a_job_that_does_not_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As Ansible writes it at the start.
    path = job(tmp_path, started=1, finished=0, ansible_job_id="j1.2")
    with pytest.raises(ModuleFailure, match="has not ended within 1 s"):
        outcome(path, str(tmp_path / "a"), 1)
    monkeypatch.setattr("ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._job.GRACE_FOR_START", 1)
    with pytest.raises(ModuleFailure, match="was killed on this host"):
        outcome(path, str(tmp_path / "a"), 30)


def test_a_job_that_is_killed_is_noticed_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._job.GRACE_FOR_RESULT", 1)
    path = job(tmp_path, started=1, finished=0, ansible_job_id="j1.2")
    held = threading.Event()

    def run_and_die() -> None:
        with locked(str(tmp_path / "a")):
            held.set()
            time.sleep(2)

    thread = threading.Thread(target=run_and_die)
    thread.start()
    held.wait()
    with pytest.raises(ModuleFailure, match="was killed on this host"):
        outcome(path, str(tmp_path / "a"), 60)
    thread.join()


def test_a_certificate_that_has_expired_is_refused(fleet: Fleet) -> None:
    path = fleet.certificate(now=NOW - timedelta(days=9))
    fleet.start(1, 2, torrent=b"", linger=20)
    fleet.wait_until_listening()
    with pytest.raises(REFUSED):
        fleet.client(2, path)._request("GET", "/files/config.json")
