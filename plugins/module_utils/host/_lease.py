# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The lease of a host: only the run of Ansible that has it may change the host."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import typing as t
from contextlib import contextmanager, nullcontext

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_seconds

# In memory, so that a restart of the host ends every lease.
PATH = "/run/trtllm-lease.json"
# Modules find in this environment variable the run that they belong to, and the file of its lease.
VARIABLE = "TRITONOPS_LEASE"
# In seconds. Tasks of ansible.builtin do not renew the lease, nor does a host that waits for the others of its play.
EXPIRY = 1800
RENEWAL_INTERVAL = 60.0


class LeaseError(Exception):
    """The run does not have the lease any more, or the lease cannot be read."""


class Owner(t.NamedTuple):
    """A run of Ansible. `place` says where on the control node `pid` is valid."""

    run: str
    user: str
    node: str
    pid: int
    place: str

    def __str__(self) -> str:
        return f"{self.user} on {self.node} (process {self.pid})"


class Lease(t.NamedTuple):
    """Times are in seconds since the start of the host, `boot`, so that the host's clock can be set meanwhile."""

    owner: Owner
    boot: str
    acquired: float
    renewed: float
    expiry: float = EXPIRY

    def expires_in(self, now: float) -> float:
        return self.renewed + self.expiry - now


class Moment(t.NamedTuple):
    """A time on the host."""

    boot: str
    seconds: float

    @classmethod
    def now(cls) -> Moment:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return cls(stream.read().strip(), time.clock_gettime(time.CLOCK_BOOTTIME))


def why_stale(lease: Lease, now: Moment, ended: t.Container[str] = ()) -> str:
    """Why another run may take the lease over; empty if it may not. `ended` has runs that are known to have ended."""
    if lease.boot != now.boot:
        return "the host was restarted"
    if lease.owner.run in ended:
        return "that run has ended"
    if lease.expires_in(now.seconds) < 0:
        return f"it was not renewed for {human_seconds(now.seconds - lease.renewed)}"
    return ""


def acquire(path: str, owner: Owner, ended: t.Container[str] = (), dry_run: bool = False) -> tuple[Lease | None, str]:
    """Acquire the lease unless another run has it. The lease that was found, and why it was taken over, if it was."""
    now = Moment.now()
    # A dry run does not create the file of the lock, either.
    with nullcontext() if dry_run else _locked(path):
        found = read(path)
        stale = why_stale(found, now, ended) if found and found.owner.run != owner.run else ""
        if not dry_run and (found is None or stale):
            _write(path, Lease(owner, now.boot, now.seconds, now.seconds))
    return found, stale


def release(path: str, run: str) -> bool:
    """Whether the run had the lease."""
    with _locked(path):
        found = read(path)
        had = found is not None and found.owner.run == run
        if had:
            os.unlink(path)
    return had


def renew(path: str, run: str) -> None:
    with _locked(path):
        found = read(path)
        if found is None or found.owner.run != run:
            raise LeaseError(_lost(found))
        _write(path, found._replace(renewed=Moment.now().seconds))


def _lost(found: Lease | None) -> str:
    how = (
        f"it was not renewed in time, and {found.owner} took it over. Run the playbook again when that run has ended"
        if found
        else "it was removed, or the host was restarted. Run the playbook again"
    )
    return f"This run does not have the lease of this host any more: {how}. This task changed nothing."


def environment(path: str, run: str) -> dict[str, str]:
    """What makes the modules of a run renew its lease."""
    return {VARIABLE: f"{run}:{path}"}


@contextmanager
def kept() -> t.Iterator[None]:
    """Renew the lease of the run that this process belongs to, if it has one; LeaseError if another run has it."""
    run, _colon, path = os.environ.get(VARIABLE, "").partition(":")
    if not run:
        yield
        return
    renew(path, run)
    stop = threading.Event()
    threading.Thread(target=_keep, args=(path, run, stop), name="lease", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _keep(path: str, run: str, stop: threading.Event) -> None:
    while not stop.wait(RENEWAL_INTERVAL):
        try:
            renew(path, run)
        except (LeaseError, OSError):
            # The next module of this run reports it.
            return


def read(path: str) -> Lease | None:
    """The lease; None if there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        # Another version of the collection may write more.
        owner = Owner(*(found["owner"][name] for name in Owner._fields))
        return Lease(owner, found["boot"], *(float(found[name]) for name in ("acquired", "renewed", "expiry")))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as exc:
        raise LeaseError(
            f"The lease of this host, {path}, cannot be read: {exc}. If no other run of Ansible changes this host,"
            " remove the file."
        ) from exc


def _write(path: str, lease: Lease) -> None:
    handle = os.open(f"{path}.partial", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({**lease._asdict(), "owner": lease.owner._asdict()}, stream)
    os.replace(f"{path}.partial", path)


@contextmanager
def _locked(path: str) -> t.Iterator[None]:
    """Only root may hold the lock. The file stays, because a removed one could be locked twice."""
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # A process that was forked meanwhile has the same lock, so closing the file may not be enough.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
