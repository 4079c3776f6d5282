# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What the watchdog of a deployment does next: a pure function of what it sees, what it remembers and the time."""

from __future__ import annotations

import typing as t
import zlib
from dataclasses import dataclass, replace

# Phases.
STARTING = "starting"  # the server of this start of the unit has not answered yet
HEALTHY = "healthy"
BUSY = "busy"  # does not answer in time, but makes progress
SUSPECT = "suspect"  # does not answer and makes no progress
RETURNING = "returning"  # answers again, and must pass the proof
FAULTY = "faulty"  # answers, but a GPU of the host has a fault
STOPPED = "stopped"  # somebody stopped the unit
FAILED = "failed"  # systemd has given up on the unit
ENDED = "ended"  # the watchdog has given up on the server
PHASES = (STARTING, HEALTHY, BUSY, SUSPECT, RETURNING, FAULTY, STOPPED, FAILED, ENDED)

# Actions, in the order in which they are done.
COLLECT = "collect"  # keep the log and the stacks of the server
RESTART = "restart"

# Seconds that a host with a faulty GPU waits at most before it leaves the rotation.
LEAVE_WITHIN = 120

RUNNING_UNIT = ("active", "reloading")
STARTING_UNIT = ("activating",)


@dataclass(frozen=True)
class Policy:
    """Times are in seconds. A server is out of rotation after `failures` failed requests in a row.

    `patience` is how long a server may show no sign of life before it is restarted. After `restarts` restarts within
    `window`, the watchdog gives up. Restarts are at least `backoff` apart, and twice as long each time.
    """

    failures: int = 3
    patience: float = 60
    restarts: int = 3
    window: float = 7200
    backoff: float = 60
    start_deadline: float = 1800


@dataclass(frozen=True)
class Seen:
    """One observation.

    `unit` is systemd's ActiveState and `uptime` the seconds since the unit became active. `fault` says why there was no
    answer; it is empty if there was one. `release` is the one that the deployment should serve. `progress` is a counter
    of the server's work, None if it is unknown. `spare` is whether enough other hosts serve the deployment, and
    `leased` whether a run of Ansible changes this one.
    """

    unit: str
    invocation: str
    uptime: float
    fault: str
    progress: float | None = None
    gpu_faults: tuple[str, ...] = ()
    spare: bool = False
    release: str = ""
    leased: bool = False


@dataclass(frozen=True)
class State:
    """What the watchdog remembers. Times are in seconds since the epoch.

    `out` is whether it keeps the deployment out of rotation, and `proving` whether the next request must be the proof
    and not only one token. `life` is the time of the last sign of life. `answered` is the invocation of the unit that
    answered last, `release` its release, and `given_up` the invocation that the watchdog gave up on. `leaves` is when a
    host with a faulty GPU may leave the rotation, 0 without a fault.
    """

    phase: str = STARTING
    since: float = 0
    message: str = ""
    out: bool = False
    proving: bool = False
    failures: int = 0
    life: float = 0
    progress: float | None = None
    answered: str = ""
    release: str = ""
    given_up: str = ""
    leaves: float = 0
    restarts: tuple[float, ...] = ()


def decide(policy: Policy, state: State, seen: Seen, now: float) -> tuple[State, tuple[str, ...]]:
    """The next state, and what to do."""
    # A clock that was set back must not extend the times.
    state = replace(
        state,
        life=min(state.life or now, now),
        leaves=min(state.leaves, now + LEAVE_WITHIN),
        restarts=tuple(min(at, now) for at in state.restarts),
    )
    after, actions = _decide(policy, state, seen, now)
    after = replace(after, progress=state.progress if seen.progress is None else seen.progress)
    return (after if after.phase == state.phase and state.since else replace(after, since=now)), actions


def _decide(policy: Policy, state: State, seen: Seen, now: float) -> tuple[State, tuple[str, ...]]:
    if seen.unit == "failed":
        return replace(state, phase=FAILED, failures=0, life=now, out=True, message=_FAILED), ()
    if seen.unit not in (*RUNNING_UNIT, *STARTING_UNIT):
        return replace(state, phase=STOPPED, failures=0, life=now, message=f"the unit is {seen.unit}"), ()
    if state.phase == ENDED and seen.invocation == state.given_up:
        return state, ()
    if not seen.fault:
        return _answered(state, seen, now), ()
    if seen.leased and seen.release != state.release:
        return replace(state, phase=STARTING, failures=0, life=now, message=_SWITCHING), ()
    if _is_starting(policy, state, seen):
        return replace(state, phase=STARTING, failures=0, life=now, message=seen.fault), ()
    if _has_progress(state, seen):
        message = f"makes progress, but: {seen.fault}"
        return replace(state, phase=BUSY, failures=0, life=now, message=message), ()
    return _silent(policy, state, seen, now)


_FAILED = "systemd has given up on the unit: see its journal, then start it again"
_SWITCHING = "a run of Ansible switches to another release"
_LEASED = "a run of Ansible changes this host, so the unit is restarted when it has ended"


def _is_starting(policy: Policy, state: State, seen: Seen) -> bool:
    return seen.invocation != state.answered and seen.uptime < policy.start_deadline


def _has_progress(state: State, seen: Seen) -> bool:
    """A counter that is smaller than before is that of another process."""
    return seen.progress is not None and state.progress is not None and seen.progress > state.progress


def _answered(state: State, seen: Seen, now: float) -> State:
    alive = replace(state, failures=0, life=now, answered=seen.invocation, release=seen.release, message="")
    faults = "; ".join(seen.gpu_faults)
    if not faults:
        alive = replace(alive, leaves=0)
    elif not alive.leaves or not seen.spare:
        alive = replace(alive, leaves=now + _wait(seen, now))
    if faults and seen.spare and (state.out or now >= alive.leaves):
        return replace(alive, phase=FAULTY, out=True, proving=False, message=f"answers, but: {faults}")
    if state.out and not state.proving:
        return replace(alive, phase=RETURNING, proving=True, message="answers again, and is proved next")
    back = replace(alive, phase=HEALTHY, out=False, proving=False)
    if not faults:
        return back
    reason = "leaves the rotation soon" if seen.spare else "stays in rotation, because too few other hosts are ready"
    return replace(back, phase=FAULTY, message=f"{reason}, but: {faults}")


def _wait(seen: Seen, now: float) -> float:
    """Another one for each host, so that those with faults see who has left before they leave."""
    return zlib.crc32(f"{seen.invocation} {now}".encode()) % LEAVE_WITHIN


def _silent(policy: Policy, state: State, seen: Seen, now: float) -> tuple[State, tuple[str, ...]]:
    failures = state.failures + 1
    suspect = replace(
        state,
        phase=SUSPECT,
        failures=failures,
        out=state.out or failures >= policy.failures,
        message=f"{seen.fault} ({failures} times in a row)",
    )
    if failures < policy.failures or now - state.life < policy.patience:
        return suspect, ()
    if seen.leased:
        return replace(suspect, message=f"{suspect.message}; {_LEASED}"), ()
    recent = tuple(at for at in state.restarts if now - at < policy.window)
    if len(recent) >= policy.restarts:
        message = (
            f"{seen.fault}. It was restarted {len(recent)} times within {policy.window:g} s and stays out of rotation:"
            f" find the cause in the kept logs, then restart the unit"
        )
        return replace(suspect, phase=ENDED, given_up=seen.invocation, restarts=recent, message=message), ()
    if recent and now - recent[-1] < policy.backoff * 2 ** (len(recent) - 1):
        return suspect, ()
    restarted = replace(suspect, phase=STARTING, failures=0, life=now, restarts=(*recent, now), proving=False)
    return replace(restarted, message=f"restarted: {seen.fault}"), (COLLECT, RESTART)


def read_state(values: t.Any) -> State:
    """The state in a file; a new one if the file is not one that the watchdog wrote."""
    try:
        known = {name: values[name] for name in State.__dataclass_fields__ if name in values}
        state = State(**{**known, "restarts": tuple(float(at) for at in known.get("restarts", ()))})
        return state if state.phase in PHASES and isinstance(state.failures, int) else State()
    except (TypeError, ValueError, KeyError):
        return State()
