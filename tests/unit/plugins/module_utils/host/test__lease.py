# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of two runs of Ansible only one has the lease of a host, and it keeps it as long as it lives."""

from __future__ import annotations

import json
import os
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _lease
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import (
    EXPIRY,
    Lease,
    LeaseError,
    Moment,
    Owner,
    acquire,
    kept,
    read,
    release,
    renew,
    why_stale,
)

ALICE = Owner(run="ansible-local-7a", user="alice", node="control-1", pid=7, place="boot pid:[1]")
BOB = Owner(run="ansible-local-8b", user="bob", node="control-2", pid=8, place="boot pid:[2]")
LEASE = Lease(ALICE, boot="b", acquired=100, renewed=1000)
FORK = get_context("fork")


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> str:
    return str(tmp_path / "lease.json")


def change(path: str, **values: Any) -> None:
    """Change the lease as time or a restart of the host would."""
    found = read(path)
    assert found
    _lease._write(path, found._replace(**values))


@pytest.mark.parametrize(
    ("now", "ended", "why"),
    [
        (Moment("b", 1000), [], ""),
        (Moment("b", 1000 + EXPIRY), [], ""),
        (Moment("b", 1001 + EXPIRY), [], "it was not renewed for 30 min 01 s"),
        (Moment("b", 1000 + 86400), [], "it was not renewed for 24 h 00 min"),
        # The host has been up for less time than before.
        (Moment("c", 20), [], "the host was restarted"),
        (Moment("c", 1000), [], "the host was restarted"),
        (Moment("b", 1001), ["ansible-local-7a"], "that run has ended"),
        (Moment("b", 1001), ["ansible-local-7b"], ""),
    ],
)
def test_when_a_lease_is_stale(now: Moment, ended: list[str], why: str) -> None:
    assert why_stale(LEASE, now, ended) == why


def test_a_lease_says_itself_when_it_expires() -> None:
    """Another version of the collection may use another time."""
    assert why_stale(LEASE._replace(expiry=10), Moment("b", 1011)) == "it was not renewed for 11 s"
    assert why_stale(LEASE._replace(expiry=9000), Moment("b", 9999)) == ""


def test_a_lease_is_acquired_once(path: str) -> None:
    assert acquire(path, ALICE) == (None, "")
    found, stale = acquire(path, BOB)
    assert found and (found.owner, stale) == (ALICE, "")
    assert read(path) == found
    # The same run again.
    assert acquire(path, ALICE) == (found, "")
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_stale_lease_is_taken_over(path: str) -> None:
    acquire(path, ALICE)
    change(path, renewed=Moment.now().seconds - EXPIRY - 60)
    found, stale = acquire(path, BOB)
    assert found and (found.owner, stale) == (ALICE, "it was not renewed for 31 min 00 s")
    mine = read(path)
    assert mine and mine.owner == BOB and mine.acquired == mine.renewed > found.renewed


def test_a_run_has_its_own_expired_lease_as_long_as_nobody_takes_it(path: str) -> None:
    acquire(path, ALICE)
    change(path, renewed=Moment.now().seconds - EXPIRY - 60)
    renew(path, ALICE.run)
    assert acquire(path, BOB)[1] == ""


@pytest.mark.parametrize("jump", [-86400, 86400])
def test_the_clock_of_the_host_does_not_matter(path: str, jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire(path, ALICE)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    assert acquire(path, BOB)[1] == ""


def test_nothing_is_written_in_a_dry_run(tmp_path: Path, path: str) -> None:
    acquire(path, ALICE, dry_run=True)
    assert list(tmp_path.iterdir()) == []
    acquire(path, ALICE)
    before = Path(path).read_text()
    acquire(path, BOB, ended=[ALICE.run], dry_run=True)
    assert Path(path).read_text() == before


def contend(path: str, pid: int, barrier: Any, winners: Any) -> None:
    barrier.wait()
    found, stale = acquire(path, BOB._replace(run=f"run-{pid}", pid=pid), ended=[ALICE.run])
    if found is None or stale:
        winners.put(pid)


@pytest.mark.parametrize("free", [True, False])
def test_only_one_of_several_processes_wins(path: str, free: bool) -> None:
    """A free lease is acquired, and a stale one taken over, by one process."""
    for _round in range(5):
        if not free:
            Path(path).unlink(missing_ok=True)
            acquire(path, ALICE)
        barrier, winners = FORK.Barrier(4), FORK.Queue()
        processes = [FORK.Process(target=contend, args=(path, pid, barrier, winners)) for pid in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        winner = winners.get(timeout=60)
        assert winners.empty()
        found = read(path)
        assert found and found.owner.pid == winner
        assert release(path, f"run-{winner}")


def test_a_process_that_is_forked_meanwhile_does_not_keep_the_lock(path: str) -> None:
    with _lease._locked(path):
        child = FORK.Process(target=time.sleep, args=(300,))
        child.start()
    another = FORK.Process(target=acquire, args=(path, BOB))
    another.start()
    another.join(60)
    child.kill()
    assert another.exitcode == 0


def test_only_the_owner_releases_a_lease(path: str) -> None:
    assert not release(path, ALICE.run)
    acquire(path, ALICE)
    assert not release(path, BOB.run)
    assert read(path)
    assert release(path, ALICE.run)
    assert read(path) is None


def test_a_lost_lease_names_the_new_owner(path: str) -> None:
    acquire(path, BOB)
    with pytest.raises(LeaseError, match=r"and bob on control-2 \(process 8\) took it over"):
        renew(path, ALICE.run)
    release(path, BOB.run)
    with pytest.raises(LeaseError, match=r"it was removed, or the host was restarted\. Run the playbook again"):
        renew(path, ALICE.run)


def test_what_another_version_writes_in_addition_is_ignored(path: str) -> None:
    acquire(path, ALICE)
    before = read(path)
    lease = json.loads(Path(path).read_text())
    lease["owner"]["address"] = lease["reason"] = "new"
    Path(path).write_text(json.dumps(lease))
    assert before is not None and read(path) == before


TOO_LATE = {"owner": ALICE._asdict(), "boot": "b", "acquired": 1, "renewed": "soon", "expiry": 1800}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"owner": {"run": "x"}}', '{"owner": 1}', json.dumps(TOO_LATE)])
def test_an_unreadable_lease_is_reported(path: str, text: str) -> None:
    Path(path).write_text(text)
    for attempt in (lambda: acquire(path, ALICE), lambda: renew(path, ALICE.run), lambda: release(path, ALICE.run)):
        with pytest.raises(LeaseError, match=r"lease\.json, cannot be read: .*remove the file"):
            attempt()
    assert Path(path).read_text() == text


def test_a_module_keeps_the_lease_while_it_runs(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lease, "RENEWAL_INTERVAL", 0.02)
    for name, value in _lease.environment(path, ALICE.run).items():
        monkeypatch.setenv(name, value)
    acquire(path, ALICE)
    change(path, renewed=0.0)
    with kept():
        seen: set[float] = set()
        deadline = time.monotonic() + 30
        # At the start, and twice during the work.
        while len(seen) < 3 and time.monotonic() < deadline:
            found = read(path)
            assert found
            seen.add(found.renewed)
        assert len(seen) == 3 and 0.0 not in seen
    # A renewal that has begun may still end.
    while any(thread.name == "lease" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
    before = read(path)
    time.sleep(0.1)
    assert read(path) == before


def test_a_module_without_a_lease_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_lease.VARIABLE, raising=False)
    with kept():
        pass
    assert list(tmp_path.iterdir()) == []
