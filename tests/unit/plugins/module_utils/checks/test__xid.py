# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver's Xid errors in the kernel log."""

from __future__ import annotations

import json

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import smi_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._xid import (
    OF_THE_PROGRAM,
    SERIOUS,
    Xid,
    Xids,
    kernel_log,
    parse_log,
    xid,
    xid_notable,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers

NOBODY = smi_of({**answers(), "gpus": []})

# In the formats of several driver series.
LOG = """
NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.06
NVRM: Xid (PCI:0000:0f:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
NVRM: GPU 0000:0f:00.0: GPU has fallen off the bus.
NVRM: Xid (PCI:0000:51:00): 31, pid=79749, name=exe, Ch 0000000a, intr 00000000. MMU Fault: ENGINE GRAPHICS
NVRM: Xid (PCI:0000:51:00): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.
NVRM: Xid (PCI:0000:51:00): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.
NVRM: Xid (0000:01:00): 13, Ch 0000000b
"""


def test_lines_of_the_log_are_parsed() -> None:
    assert parse_log(LOG) == [
        Xid("0000:0f:00", 79, 1),
        Xid("0000:51:00", 31, 1),
        Xid("0000:51:00", 63, 2),
        Xid("0000:01:00", 13, 1),
    ]


def test_xids_are_serious_notable_or_caused_by_a_program() -> None:
    smi, found = smi_of(answers(driver="535.183.06")), Xids(parse_log(LOG))
    severity, message, remedy = only(xid(Gpus(), found, smi))
    assert severity == "error" and "power off and on" in remedy
    assert message.endswith("since boot: XID 79 (GPU has fallen off the bus) on 0000:0f:00")
    severity, message, _remedy = only(xid_notable(Gpus(), found, smi))
    assert severity == "warning"
    assert message.endswith("recovered from them: XID 63 (memory remapping event) on 0000:51:00 2 times")


@pytest.mark.parametrize("code", [48, 62, 64, 74, 79, 95, 119, 120, 140])
def test_serious_xids_are_errors(code: int) -> None:
    found = Xids([Xid("0000:0f:00", code, 1)])
    assert only(xid(Gpus(), found, NOBODY)) and not list(xid_notable(Gpus(), found, NOBODY))


@pytest.mark.parametrize("code", [13, 31, 43, 45])
def test_xids_of_programs_are_not_reported(code: int) -> None:
    found = Xids([Xid("0000:0f:00", code, 1)])
    assert [*xid(Gpus(), found, NOBODY), *xid_notable(Gpus(), found, NOBODY)] == []
    assert not OF_THE_PROGRAM & set(SERIOUS)


def test_unknown_xids_are_notable() -> None:
    found = Xids([Xid("0000:0f:00", 999, 1)])
    assert only(xid_notable(Gpus(), found, NOBODY)) and not list(xid(Gpus(), found, NOBODY))


def test_xids_that_the_driver_has_recovered_from_are_not_errors() -> None:
    """Drivers since 570 report whether a recovery action is needed."""
    found = Xids([Xid("0000:0f:00", 48, 1), Xid("0000:15:00", 48, 1)])
    smi = smi_of(answers(driver="590.48.01", changes={1: {"recovery": "Reset"}}))
    serious, notable = only(xid(Gpus(), found, smi))[1], only(xid_notable(Gpus(), found, smi))[1]
    assert "on 0000:15:00" in serious and "0000:0f:00" not in serious
    assert "on 0000:0f:00" in notable


def test_the_journal_is_preferred_to_the_kernels_buffer() -> None:
    lines = [json.dumps({"MESSAGE": line}) for line in LOG.splitlines()] + ['{"MESSAGE": [1, 2]}']
    host = live_host({"journalctl": "\n".join(lines), "dmesg": "nothing"})
    assert parse_log(kernel_log(host)) == parse_log(LOG)


@pytest.mark.parametrize("journal", ["", None, "not JSON"])
def test_without_a_journal_the_kernels_buffer_is_read(journal: str | None) -> None:
    assert parse_log(kernel_log(live_host({"journalctl": journal, "dmesg": LOG}))) == parse_log(LOG)
    assert kernel_log(live_host({})) == ""
