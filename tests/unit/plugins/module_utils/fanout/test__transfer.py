# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artifacts that hosts copy from each other. Each host is a process with an address of its own on loopback."""

from __future__ import annotations

import base64
import hashlib
import socket
import time
import typing as t
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import libtorrent
import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._torrent import (
    FILES,
    MOST_PARTS,
    NAME,
    describe,
    part_bytes_of,
    paths_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import (
    PATIENCE_FOR_START,
    Peer,
    Transfer,
    priorities,
    settings,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import new_authority
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port
from ansible_collections.tritonops.trtllm.tests.unit.support.transfer_hosts import NOW, TransferHosts, write_files

SIZES = {"config.json": 100, "model-1.safetensors": 12_000_000, "a/b/model-2.safetensors": 5_000_001, "empty": 0}
PART = 1 << 18
# Nothing listens there.
NOBODY = Peer("127.0.1.1", 1)
# A host's part of a transfer, with its result on stdout.
HOST = """
import base64, json, sys
from dataclasses import asdict
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import Peer, Transfer, run
given = json.load(open(sys.argv[1]))
given["torrent"] = base64.b64decode(given["torrent"])
given["own"], given["others"] = Peer(*given["own"]), tuple(Peer(*peer) for peer in given["others"])
given["fallback"] = given["fallback"] and Peer(*given["fallback"])
try:
    print(json.dumps(asdict(run(Transfer(**given)))))
except ModuleFailure as exc:
    sys.exit(str(exc))
"""


class Fleet(TransferHosts):
    """Hosts 127.0.1.1 and so on, the first of which has the artifact."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.source = folder / "source"
        write_files(self.source, SIZES)
        self.torrent = describe(str(self.source), SIZES, self.authority[1].decode(), PART)
        self.port = free_port("127.0.1.1")

    def peer(self, number: int) -> Peer:
        return Peer(f"127.0.1.{number}", self.port)

    def transfer(self, number: int, hosts: int, **options: t.Any) -> Transfer:
        parent = self.folder / f"host{number}"
        parent.mkdir(exist_ok=True)
        if number == 1 and not (parent / NAME).exists():
            (parent / NAME).mkdir()
            (parent / FILES).symlink_to(self.source)
        others = tuple(self.peer(other) for other in range(1, hosts + 1) if other != number)
        made = Transfer(self.torrent, str(parent), self.certificate(), self.peer(number), others, deadline=60)
        return replace(made, **options)

    def start(self, number: int, hosts: int, **options: t.Any) -> Transfer:
        transfer = self.transfer(number, hosts, **options)
        given = {name: getattr(transfer, name) for name in Transfer.__dataclass_fields__}
        given["torrent"] = base64.b64encode(transfer.torrent).decode()
        self.launch(number, HOST, given)
        return transfer

    def received(self, number: int) -> dict[str, str]:
        return sums(self.folder / f"host{number}" / FILES)

    def is_same(self, number: int) -> bool:
        return self.received(number) == sums(self.source)


def parts_saved(path: Path) -> int:
    return sum(libtorrent.read_resume_data(path.read_bytes()).have_pieces) if path.exists() else 0


def sums(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(name="fleet")
def fixture_fleet(tmp_path: Path) -> t.Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.close()


TOTAL = sum(SIZES.values())


def test_three_hosts_have_the_artifact_and_all_end(fleet: Fleet) -> None:
    # The one with the artifact is slow, so that the others have something to send to each other.
    fleet.start(1, 3, rate=4_000_000)
    for number in (2, 3):
        fleet.start(number, 3)
    results = {number: fleet.result(number) for number in (1, 2, 3)}
    assert fleet.is_same(2) and fleet.is_same(3)
    assert results[1]["received"] == 0
    assert results[2]["received"] >= TOTAL and results[3]["received"] >= TOTAL
    # Hosts that receive also send.
    assert results[2]["sent"] + results[3]["sent"] > 0
    assert [result["damaged"] for result in results.values()] == [0, 0, 0]


@pytest.mark.long
def test_the_maker_sends_hardly_anything_twice(fleet: Fleet) -> None:
    # So slow that the others have sent each other what they have, before it sends the next part.
    fleet.start(1, 4, rate=2_000_000)
    for number in (2, 3, 4):
        fleet.start(number, 4, fallback=NOBODY)
    assert fleet.result(1)["sent"] < 1.25 * TOTAL
    for number in (2, 3, 4):
        fleet.result(number)
        assert fleet.is_same(number)


@pytest.mark.long
def test_the_maker_sends_everything_to_hosts_that_do_not_reach_each_other(fleet: Fleet) -> None:
    fleet.start(1, 3)
    for number in (2, 3):
        fleet.start(number, 3, others=(fleet.peer(1),), fallback=NOBODY)
    for number in (2, 3):
        assert fleet.result(number)["seconds"] < 30
        assert fleet.is_same(number)


def test_a_single_file_is_an_artifact_as_well(fleet: Fleet) -> None:
    for name in list(SIZES)[1:]:
        (fleet.source / name).unlink()
    fleet.torrent = describe(str(fleet.source), ["config.json"], fleet.authority[1].decode(), PART)
    assert paths_of(fleet.torrent) == ["config.json"]
    for number in (1, 2):
        fleet.start(number, 2)
    fleet.result(2)
    assert fleet.is_same(2) and list(fleet.received(2)) == ["config.json"]


@pytest.mark.long
def test_a_host_that_comes_later_is_served(fleet: Fleet) -> None:
    fleet.start(1, 2)
    time.sleep(3)
    fleet.start(2, 2)
    fleet.result(2)
    assert fleet.is_same(2)
    fleet.result(1)


def test_a_host_that_never_comes_does_not_keep_the_others(fleet: Fleet) -> None:
    for number in (1, 2):
        fleet.start(number, 3, linger=2)
    for number in (1, 2):
        assert fleet.result(number)["seconds"] < 30
    assert fleet.is_same(2)


@pytest.mark.long
@pytest.mark.parametrize("stranger", ["another authority", "another name", "expired"])
def test_a_stranger_gets_nothing_and_gives_nothing(fleet: Fleet, stranger: str) -> None:
    certificate = {
        "another authority": lambda: fleet.certificate(authority=new_authority("other", NOW)),
        "another name": lambda: fleet.certificate(name="gateway1"),
        "expired": lambda: fleet.certificate(now=NOW - timedelta(days=10)),
    }[stranger]()
    fleet.start(1, 2, deadline=8)
    fleet.start(2, 2, deadline=5, certificate=certificate)
    failure = fleet.failure(2)
    assert "0.0 % were received" in failure and "ssl" in failure.lower()
    # It has sent nothing either: its refusal does not end the maker, which waits until its deadline.
    result = fleet.result(1)
    assert (result["sent"], result["received"]) == (0, 0)


@pytest.mark.long
def test_an_address_that_is_not_in_the_plan_is_refused(fleet: Fleet) -> None:
    fleet.start(1, 2, deadline=8)
    # Host 3 has a valid certificate, and knows the maker.
    fleet.start(3, 2, deadline=5, others=(fleet.peer(1),))
    assert "0.0 % were received" in fleet.failure(3)
    assert fleet.result(1)["sent"] == 0


@pytest.mark.long
def test_the_rate_is_a_bound(fleet: Fleet) -> None:
    # So slow that a second attempt to connect hardly counts, which takes some seconds.
    rate = 1_000_000
    fleet.start(1, 2, rate=rate)
    fleet.start(2, 2)
    seconds = fleet.result(2)["seconds"]
    # One second is what may be sent at once.
    assert TOTAL / rate - 1 < seconds < TOTAL / rate * 2


@pytest.mark.long
def test_a_killed_host_continues(fleet: Fleet) -> None:
    fleet.start(1, 2, linger=60)
    fleet.start(2, 2, rate=1_000_000)
    # Parts that are not whole when it is killed are received again, and that are up to 8 MB.
    while parts_saved(fleet.folder / "host2/resume") < 10:
        assert fleet.processes[2].poll() is None
        time.sleep(0.1)
    fleet.processes[2].kill()
    fleet.processes[2].communicate()
    assert not fleet.is_same(2)
    fleet.start(2, 2)
    received = fleet.result(2)["received"]
    assert fleet.is_same(2)
    assert 0 < received <= TOTAL - 9 * PART


@pytest.mark.long
def test_a_host_that_reaches_nobody_does_not_wait_until_the_deadline(fleet: Fleet) -> None:
    fleet.start(2, 2, patience=2)
    assert "0.0 % were received within" in fleet.failure(2)


@pytest.mark.long
@pytest.mark.parametrize("is_heard", [False, True])
def test_a_host_waits_for_those_that_do_not_answer_but_not_until_the_deadline(fleet: Fleet, is_heard: bool) -> None:
    # As one that is still reading its files, or hangs, accepts connections.
    with socket.socket() as listener:
        listener.bind(tuple(fleet.peer(1)))
        if is_heard:
            listener.listen(50)
        began = time.monotonic()
        fleet.start(2, 2, patience=3, fallback=NOBODY)
        assert "0.0 % were received" in fleet.failure(2)
        assert PATIENCE_FOR_START * 3 <= time.monotonic() - began < 50


@pytest.mark.long
def test_a_host_does_not_wait_for_one_that_refuses_its_certificate(fleet: Fleet) -> None:
    fleet.start(1, 2)
    certificate = fleet.certificate(authority=new_authority("other", NOW))
    fleet.start(2, 2, patience=2, certificate=certificate, fallback=NOBODY)
    failure = fleet.failure(2)
    assert "0.0 % were received" in failure and "ssl" in failure.lower()


@pytest.mark.long
def test_a_host_continues_with_the_authority_of_another_run(fleet: Fleet) -> None:
    fleet.start(1, 2)
    fleet.start(2, 2)
    fleet.result(2)
    fleet.result(1)
    (fleet.folder / "host2" / FILES / "config.json").unlink()
    fleet.authority = new_authority("another", NOW)
    fleet.torrent = describe(str(fleet.source), SIZES, fleet.authority[1].decode(), PART)
    fleet.start(1, 2)
    fleet.start(2, 2)
    assert fleet.result(2)["received"] < TOTAL / 2
    assert fleet.is_same(2)


def damage(path: Path) -> None:
    with open(path, "r+b") as stream:
        stream.seek(5_000_000)
        byte = stream.read(1)
        stream.seek(5_000_000)
        stream.write(bytes([byte[0] ^ 1]))


@pytest.mark.long
def test_a_byte_that_is_damaged_on_the_maker_never_arrives(fleet: Fleet) -> None:
    fleet.start(1, 2)
    fleet.start(2, 2)
    fleet.result(2)
    fleet.result(1)
    intact = sums(fleet.source)
    damage(fleet.source / "model-1.safetensors")
    # It would not read the files again.
    (fleet.folder / "host1/resume").unlink()
    for number in (1, 2, 3):
        fleet.start(number, 3)
    fleet.result(3)
    assert fleet.received(3) == intact
    # The maker has read its files, and got the damaged part from another host.
    fleet.result(1)
    assert sums(fleet.source) == intact


@pytest.mark.long
def test_a_host_that_sends_other_content_is_found_out(fleet: Fleet) -> None:
    # What it has read is damaged afterwards, and it goes on sending.
    fleet.start(1, 2, deadline=20)
    time.sleep(4)
    damage(fleet.source / "model-1.safetensors")
    fleet.start(2, 2, patience=2, fallback=NOBODY)
    failure = fleet.failure(2)
    assert "parts were damaged and thrown away" in failure
    assert "100.0 %" not in failure


def test_a_folder_that_cannot_be_written_is_an_error(fleet: Fleet) -> None:
    fleet.start(1, 2, deadline=20)
    (fleet.folder / "host2").mkdir()
    (fleet.folder / "host2" / NAME).write_text("a file", encoding="utf-8")
    fleet.start(2, 2, deadline=20)
    assert "cannot transfer to" in fleet.failure(2)


def test_nothing_looks_for_other_peers(fleet: Fleet) -> None:
    made = settings(fleet.transfer(1, 2))
    assert made["listen_interfaces"] == f"127.0.1.1:{fleet.port}s"
    assert not any(made[name] for name in ("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"))
    ipv6 = fleet.transfer(1, 2, own=Peer("fd00::1", 7000))
    assert settings(ipv6)["listen_interfaces"] == "[fd00::1]:7000s"


def test_every_part_is_the_share_of_one_host(fleet: Fleet) -> None:
    shares = [priorities(fleet.transfer(number, 4, fallback=NOBODY), 7) for number in (2, 3, 4)]
    assert shares == [[7, 1, 1, 7, 1, 1, 7], [1, 7, 1, 1, 7, 1, 1], [1, 1, 7, 1, 1, 7, 1]]


@pytest.mark.parametrize(("size", "mib"), [(0, 1), (256 << 20, 1), (1 << 36, 1), ((1 << 36) + 1, 2), (200 * 10**9, 4)])
def test_large_artifacts_have_larger_parts(size: int, mib: int) -> None:
    assert part_bytes_of(size) == mib << 20
    assert size <= part_bytes_of(size) * MOST_PARTS


def test_a_torrent_is_the_same_for_the_same_files(fleet: Fleet) -> None:
    assert describe(str(fleet.source), SIZES, fleet.authority[1].decode(), PART) == fleet.torrent
    assert sorted(paths_of(fleet.torrent)) == sorted(SIZES)


@pytest.mark.parametrize("content", [b"", b"i1e", b"d4:infod4:name1:xee"])
def test_a_damaged_torrent_is_refused(content: bytes) -> None:
    with pytest.raises(ModuleFailure, match="description of the transfer"):
        paths_of(content)


def test_links_are_not_transferred(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc/passwd")
    with pytest.raises(ModuleFailure, match="is not a regular file"):
        describe(str(tmp_path), ["a"], "")
    with pytest.raises(ModuleFailure, match="has no files"):
        describe(str(tmp_path), [], "")
