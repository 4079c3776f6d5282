# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of GPUs, from the output of the driver's programs."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import PciBus
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._host import FAULTS, Commands, Host, gpu_faults
from ansible_collections.tritonops.trtllm.tests.unit.support.programs import FakeModule


def host(**programs: t.Any) -> Host:
    made = Host()
    made.module = FakeModule(programs)
    made._facts[PciBus] = PciBus([])
    return made


def kernel(message: str) -> str:
    return json.dumps({"MESSAGE": message}) + "\n"


def test_a_host_without_gpus_has_no_faults() -> None:
    assert gpu_faults(host()) == ()


def test_a_gpu_that_fell_off_the_bus_is_a_fault() -> None:
    log = kernel("NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.")
    faults = gpu_faults(host(journalctl=log))
    assert len(faults) == 1 and "XID 79 (GPU has fallen off the bus) on 0000:3b:00" in faults[0]


def test_an_error_of_a_program_is_no_fault() -> None:
    assert gpu_faults(host(journalctl=kernel("NVRM: Xid (PCI:0000:3b:00): 31, pid=1, MMU fault"))) == ()


def test_a_driver_that_fails_is_a_fault() -> None:
    assert [fault.startswith("nvidia-smi fails") for fault in gpu_faults(host(**{"nvidia-smi": None}))] == [True]


def test_every_check_of_a_fault_is_one_of_preflight() -> None:
    assert len(set(FAULTS)) == len(FAULTS) == 9


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (["sh", "-c", "echo a; echo b >&2; exit 3"], (3, "a\n", "b\n")),
        (["/nonexistent"], (127, "", "[Errno 2] No such file or directory: '/nonexistent'")),
    ],
)
def test_commands_are_run_like_those_of_a_module(command: list[str], result: tuple[int, str, str]) -> None:
    assert Commands().run_command(command) == result
    assert Commands().get_bin_path("sh") and Commands().get_bin_path("no-such-program") is None
