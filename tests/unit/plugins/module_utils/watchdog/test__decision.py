# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watchdog does next, without a server."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, replace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._decision import (
    BUSY,
    COLLECT,
    ENDED,
    FAILED,
    FAULTY,
    HEALTHY,
    LEAVE_WITHIN,
    RESTART,
    RETURNING,
    STARTING,
    STOPPED,
    SUSPECT,
    Policy,
    Seen,
    State,
    decide,
    read_state,
)
from hypothesis import given
from hypothesis import strategies as st

POLICY = Policy(failures=3, patience=30, restarts=2, window=7200, backoff=100, start_deadline=600)
SILENT = "did not respond in time"
RESTARTED = (COLLECT, RESTART)


class Server:
    """A server that is observed every ten seconds, and restarted when the watchdog wants it."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.state = State()
        self.now = 1_000_000.0
        self.start = self.now - 1000
        self.invocation = 1
        self.actions: list[tuple[float, tuple[str, ...]]] = []

    def see(self, fault: str = "", **more: t.Any) -> State:
        self.now += 10
        known = {"unit": "active", "invocation": str(self.invocation), "uptime": self.now - self.start, **more}
        self.state, actions = decide(self.policy, self.state, Seen(fault=fault, **known), self.now)
        if actions:
            self.actions.append((self.now, actions))
        if RESTART in actions:
            self.restart()
        return self.state

    def restart(self) -> None:
        self.invocation += 1
        self.start = self.now

    def see_until(self, phase: str, fault: str = "", most: int = 1000, **more: t.Any) -> float:
        """Observe the same until the phase is reached. Returns the seconds."""
        begin = self.now
        for _number in range(most):
            if self.see(fault, **more).phase == phase:
                return self.now - begin
        raise AssertionError(f"{self.state} after {most} observations")


@pytest.fixture(name="server")
def fixture_server() -> Server:
    server = Server()
    assert server.see().phase == HEALTHY
    return server


def test_a_server_that_answers_is_left_alone(server: Server) -> None:
    for _number in range(100):
        state = server.see()
        assert (state.phase, state.out, state.message) == (HEALTHY, False, "")
    assert not server.actions
    assert state.since == 1_000_010


def test_one_failure_changes_nothing(server: Server) -> None:
    for _number in range(20):
        assert not server.see(SILENT).out
        assert server.see(SILENT).failures == 2
        assert server.see().failures == 0
    assert not server.actions


def test_a_hung_server_leaves_rotation_before_it_is_restarted(server: Server) -> None:
    assert [server.see(SILENT).out for _number in range(3)] == [False, False, True]
    assert server.actions == [(server.now, RESTARTED)]


def test_a_patient_watchdog_waits_before_the_restart(server: Server) -> None:
    server.policy = replace(POLICY, patience=100)
    begin = server.now
    assert server.see_until(STARTING, SILENT) == 100
    assert server.state.out and server.actions == [(begin + 100, RESTARTED)]
    assert SILENT in server.state.message


def test_a_run_of_ansible_postpones_the_restart(server: Server) -> None:
    for _number in range(50):
        state = server.see(SILENT, leased=True)
    assert state.phase == SUSPECT and state.out and not server.actions
    assert state.message.startswith(f"{SILENT} (50 times in a row); a run of Ansible changes this host")
    server.see(SILENT)
    assert server.actions == [(server.now, RESTARTED)]


def test_a_server_is_not_judged_by_the_release_that_comes_next(server: Server) -> None:
    for _number in range(50):
        state = server.see(SILENT, leased=True, release="next")
        assert (state.phase, state.out, state.failures) == (STARTING, False, 0)
    server.restart()
    server.see_until(HEALTHY, leased=True, release="next")
    # From now on it is.
    assert [server.see(SILENT, leased=True, release="next").out for _number in range(3)] == [False, False, True]


def test_a_switch_that_a_killed_run_began_is_judged(server: Server) -> None:
    assert [server.see(SILENT, release="next").out for _number in range(3)] == [False, False, True]


def test_after_a_restart_the_server_loads_is_proved_and_returns(server: Server) -> None:
    server.see_until(STARTING, SILENT)
    for _number in range(20):
        state = server.see("cannot be reached")
        assert (state.phase, state.out, state.proving) == (STARTING, True, False)
    state = server.see()
    assert (state.phase, state.out, state.proving) == (RETURNING, True, True)
    state = server.see()
    assert (state.phase, state.out, state.proving) == (HEALTHY, False, False)
    assert len(server.actions) == 1


def test_a_server_that_answers_before_the_restart_is_proved_as_well(server: Server) -> None:
    server.policy = replace(POLICY, patience=1000)
    server.see_until(SUSPECT, SILENT)
    server.see(SILENT)
    assert server.see(SILENT).out
    assert server.see().proving
    assert not server.see().out
    assert not server.actions


def test_a_server_that_fails_every_proof_is_restarted(server: Server) -> None:
    server.see_until(STARTING, SILENT)
    server.see_until(RETURNING)
    # It answers one token, but never with the completion that the proof needs.
    nonsense = "the completion is not an answer"
    server.now += 100
    while len(server.actions) == 1:
        assert server.state.proving
        assert server.see(nonsense).out
    assert not server.state.proving


def test_a_busy_server_stays(server: Server) -> None:
    server.see(progress=1)
    for work in range(2, 200):
        state = server.see(SILENT, progress=work)
        assert (state.phase, state.out, state.failures) == (BUSY, False, 0)
    assert server.see_until(STARTING, SILENT, progress=199) == 30


@pytest.mark.parametrize("progress", [[None] * 3, [5, 5, 5], [5, 4, 3]], ids=["unknown", "none", "of a new process"])
def test_without_progress_it_is_hung(server: Server, progress: list[float | None]) -> None:
    server.see(progress=5)
    for work in progress:
        server.see(SILENT, progress=work)
    assert server.state.out


def test_loading_is_no_failure_until_the_deadline(server: Server) -> None:
    server.restart()
    assert server.see("cannot be reached").phase == STARTING
    assert 590 <= server.see_until(SUSPECT, "cannot be reached") <= 600
    server.see_until(STARTING, "cannot be reached")
    assert server.actions


def test_after_the_last_restart_it_stays_out_until_somebody_acts(server: Server) -> None:
    for _number in range(2):
        server.see_until(STARTING, SILENT)
        server.see_until(HEALTHY)
    server.see_until(ENDED, SILENT)
    assert len(server.actions) == 2
    assert "was restarted 2 times within 7200 s" in server.state.message
    ended = server.state
    # Neither an answer nor time is enough.
    for fault in ("", SILENT) * 1000:
        assert server.see(fault) == ended
    server.restart()
    server.see("cannot be reached")
    server.see_until(HEALTHY)
    assert not server.state.out and len(server.actions) == 2


def test_restarts_are_forgotten_after_the_window(server: Server) -> None:
    for _number in range(10):
        server.see_until(STARTING, SILENT)
        server.see_until(HEALTHY)
        server.now += POLICY.window
        server.see()
    assert len(server.actions) == 10


def test_restarts_are_ever_farther_apart() -> None:
    # The server answers once after each restart, and hangs again.
    server = Server(replace(POLICY, restarts=5))
    server.see()
    while server.state.phase != ENDED:
        server.see_until(HEALTHY)
        server.see(SILENT)
        while server.state.phase not in (STARTING, ENDED):
            server.see(SILENT)
    times = [at for at, _action in server.actions]
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert [gap >= least for gap, least in zip(gaps, (100, 200, 400, 800))] == [True] * 4
    assert gaps[3] < 830


def test_a_restart_that_has_no_effect_is_tried_again(server: Server) -> None:
    server.restart = lambda: None  # type: ignore[method-assign]
    server.see_until(ENDED, SILENT)
    assert len(server.actions) == 2


def test_a_stopped_unit_is_left_alone(server: Server) -> None:
    for unit in ("inactive", "deactivating"):
        for _number in range(50):
            state = server.see("the unit does not run", unit=unit)
            assert (state.phase, state.out) == (STOPPED, False)
    assert not server.actions
    server.restart()
    assert server.see("cannot be reached").phase == STARTING


def test_a_unit_that_systemd_gave_up_on_is_out_and_not_restarted(server: Server) -> None:
    for _number in range(50):
        state = server.see("the unit does not run", unit="failed")
        assert (state.phase, state.out) == (FAILED, True)
    assert "see its journal" in state.message
    assert not server.actions
    server.restart()
    assert server.see().phase == RETURNING
    assert not server.see().out


def test_an_automatic_restart_is_a_start(server: Server) -> None:
    assert server.see("cannot be reached", unit="activating", uptime=0, invocation="2").phase == STARTING


def leave(server: Server, invocation: str = "1") -> State:
    """What a host does whose GPU has a fault."""
    began = server.now
    while not server.state.out and server.now - began < 2 * LEAVE_WITHIN:
        state = server.see(gpu_faults=("XID 79 on 0000:3b:00",), spare=True, invocation=invocation)
        assert state.phase == FAULTY and (state.out or "leaves the rotation soon" in state.message)
    return server.state


def test_hosts_with_faults_leave_at_different_times() -> None:
    """So that each sees who has left before it."""
    hosts = [Server() for _number in range(50)]
    for number, host in enumerate(hosts):
        assert leave(host, f"invocation-{number}").out
    # Of twelve possible times.
    assert len({host.now for host in hosts}) > 9


def test_a_clock_that_is_set_back_does_not_keep_a_faulty_host_in(server: Server) -> None:
    server.see(gpu_faults=("XID 79",), spare=True)
    server.now -= 10_000_000
    assert leave(server).out


def test_a_gpu_fault_takes_a_host_out_only_if_others_are_ready(server: Server) -> None:
    faults = ("XID 79 on 0000:3b:00",)
    state = server.see(gpu_faults=faults)
    assert (state.phase, state.out) == (FAULTY, False)
    assert "too few other hosts" in state.message and faults[0] in state.message
    state = leave(server)
    assert (state.phase, state.out) == (FAULTY, True)
    # The others are gone.
    assert server.see(gpu_faults=faults).phase == RETURNING
    state = server.see(gpu_faults=faults)
    assert (state.phase, state.out) == (FAULTY, False)
    assert server.see().phase == HEALTHY
    assert not server.actions


def test_a_repaired_host_is_proved_before_it_returns(server: Server) -> None:
    leave(server)
    assert server.see(spare=True).proving
    assert not server.see(spare=True).out


def test_a_hung_server_on_a_faulty_gpu_is_restarted_although_no_other_is_ready(server: Server) -> None:
    for _number in range(3):
        server.see(SILENT, gpu_faults=("XID 79",), spare=False)
    assert server.actions and server.state.out


def test_a_clock_that_is_set_back_does_not_delay_the_restart(server: Server) -> None:
    server.now -= 10_000_000
    assert server.see_until(STARTING, SILENT) <= 40


def test_the_state_survives_its_file(server: Server) -> None:
    server.see_until(STARTING, SILENT)
    assert read_state({**asdict(server.state), "restarts": list(server.state.restarts), "gpu": {}}) == server.state


@pytest.mark.parametrize(
    "values", [None, [], {}, {"phase": "?"}, {"restarts": 3}, {"restarts": ["x"]}, {"failures": "many"}, "text"]
)
def test_a_damaged_file_is_a_new_state(values: t.Any) -> None:
    assert read_state(values) == State()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["active", "activating", "deactivating", "inactive", "failed"]),
            st.sampled_from(["", SILENT]),
            st.sampled_from([None, 1.0, 2.0]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=200,
    )
)
def test_whatever_happens(events: list[tuple[str, str, float | None, bool, bool]]) -> None:
    server = Server()
    for unit, fault, progress, faulty, spare in events:
        before = server.state
        state = server.see(fault, unit=unit, progress=progress, gpu_faults=("XID",) * faulty, spare=spare)
        # A server that is put back has just answered, and a restarted one is out.
        assert not (before.out and not state.out) or (before.proving and not fault)
        assert not (server.actions and server.actions[-1][0] == server.now) or state.out
        assert state.phase != ENDED or state.out
        for at, _action in server.actions:
            assert sum(at <= other < at + POLICY.window for other, _action in server.actions) <= POLICY.restarts
