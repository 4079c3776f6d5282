# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""XIDs: errors that NVIDIA's driver has written to the kernel's log since boot.

NVIDIA's catalogue of them: https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import Smi

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus, Needs

# These require a reset of the GPU, a reboot of the host, or a check of the hardware.
SERIOUS = {
    46: "GPU stopped processing",
    48: "double bit ECC error",
    54: "auxiliary power is not connected",
    62: "internal micro-controller halt",
    64: "memory remapping failure",
    74: "NVLink error",
    79: "GPU has fallen off the bus",
    95: "uncontained memory error",
    109: "context switch timeout",
    110: "security fault",
    119: "GSP RPC timeout",
    120: "GSP error",
    136: "link training failed",
    140: "unrecovered ECC error",
    143: "GPU initialization error",
    155: "NVLink error defined by software",
    156: "resource retirement",
    158: "GPU fatal timeout",
    167: "PCIe fatal timeout",
}
# These are caused by a program or its end, or are followed by another XID that counts.
OF_THE_PROGRAM = frozenset(
    [
        *(8, 11, 13, 25, 31, 32, *range(37, 42), 43, 44, 45, 60, *range(66, 73), 75, 76, 77, 80),
        *(*range(82, 87), 88, 89, *range(96, 108), *range(126, 136), 137, 139, 141, 152, 153, 154),
    ]
)
# All others are warnings, such as remapped rows (63), many corrected errors (92), contained errors (94), NVLink 5
# (144-150).
NOTABLE = {
    63: "memory remapping event",
    92: "high rate of single bit errors",
    94: "contained memory error",
    121: "C2C error",
    149: "NVLink 5 error",
}

_LINE = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9A-Fa-f:.]+)\): (\d+)")


class Xid(t.NamedTuple):
    """A kind of error on one GPU, and how often it occurred. The place is as the kernel prints it."""

    place: str
    code: int
    times: int


def parse_log(text: str) -> list[Xid]:
    times: dict[tuple[str, int], int] = {}
    for place, code in _LINE.findall(text):
        key = (place.lower(), int(code))
        times[key] = times.get(key, 0) + 1
    return [Xid(place, code, count) for (place, code), count in times.items()]


@dataclass(frozen=True)
class Xids(Fact):
    """The errors that the driver has logged since boot."""

    xids: t.Sequence[Xid]

    @classmethod
    def gather(cls, host: LiveHost) -> Xids:
        return cls(parse_log(kernel_log(host)))

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"gpus": {"xids": [entry._asdict() for entry in self.xids]}}


def kernel_log(host: LiveHost) -> str:
    """The log since boot: from the journal, or else from the kernel's buffer, whose beginning may be lost."""
    arguments = ["--dmesg", "--boot", "--output=json", "--output-fields=MESSAGE", "--no-pager", "--quiet"]
    lines = (host.output_of("journalctl", *arguments) or "").splitlines()
    try:
        # A message that is not text is a list of bytes.
        if lines:
            return "\n".join(str(json.loads(line).get("MESSAGE")) for line in lines)
    except ValueError:
        pass
    return host.output_of("dmesg") or ""


def _recovered(smi: Smi) -> set[tuple[int, ...]]:
    """The GPUs that need no recovery according to the driver."""
    return {_bus(gpu["pci_bus_id"] or "") for gpu in smi.gpus if gpu["recovery_action"] == "none"}


def xid(_need: Gpus, found: Xids, smi: Smi) -> t.Iterator[Finding]:
    fine = _recovered(smi)
    open_ones = [entry for entry in found.xids if entry.code in SERIOUS and _bus(entry.place) not in fine]
    if open_ones:
        yield error(
            f"the driver has logged errors since boot: {_listed(open_ones)}",
            "reset the GPU or reboot (79: power off and on), and see NVIDIA's XID catalogue; if it occurs again,"
            " replace the GPU",
        )


def xid_notable(_need: Gpus, found: Xids, smi: Smi) -> t.Iterator[Finding]:
    fine = _recovered(smi)
    closed = [entry for entry in found.xids if entry.code in SERIOUS and _bus(entry.place) in fine]
    others = [entry for entry in found.xids if entry.code not in SERIOUS and entry.code not in OF_THE_PROGRAM]
    if closed or others:
        yield warning(
            f"the driver has logged errors since boot and recovered from them: {_listed([*closed, *others])}",
            "none for now; see NVIDIA's XID catalogue if their number increases",
        )


def _bus(place: str) -> tuple[int, ...]:
    """Domain, bus and device; the kernel does not print the function."""
    return tuple(int(part, 16) for part in re.findall(r"[0-9A-Fa-f]+", place)[:3])


def _listed(xids: t.Iterable[Xid]) -> str:
    return ", ".join(
        f"XID {xid.code}{_meaning(xid.code)} on {xid.place}{f' {xid.times} times' if xid.times > 1 else ''}"
        for xid in xids
    )


def _meaning(code: int) -> str:
    text = SERIOUS.get(code) or NOTABLE.get(code)
    return f" ({text})" if text else ""


CHECKS = (
    Check(xid, "gpus", (Xids, Smi)),
    Check(xid_notable, "gpus", (Xids, Smi)),
)
