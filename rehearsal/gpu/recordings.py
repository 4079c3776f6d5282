# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of nvidia-smi on hosts that are not available for tests.

No machine with these GPUs could be recorded. The elements of `nvidia-smi -q -x`, their order and their "N/A" are those
of public recordings of an A100-SXM4-80GB under driver 535 (document type v12) and of a Blackwell card under 590 (v13);
the values are made up. `recordings.py FOLDER` writes all recordings to FOLDER, for the stand-in beside this file.
"""

from __future__ import annotations

import json
import re
import sys
import typing as t
from pathlib import Path

BUSES = ("0F", "15", "51", "54", "8D", "92", "D6", "DA")
SWITCH_BUSES = ("C4", "C5", "C6", "C7", "C8", "C9")


class Model(t.NamedTuple):
    """The properties that all GPUs of a model share."""

    name: str
    architecture: str
    capability: str
    memory_mib: int
    pcie_generation: int
    # The generation of the link while the GPU is idle.
    pcie_idle: int
    performance_state: str
    links: int = 0
    link_speed: str = ""
    # The state in `fabric` of a GPU that supports a fabric.
    fabric: str = "N/A"
    mig: str = "Disabled"


A100 = Model("NVIDIA A100-SXM4-40GB", "Ampere", "8.0", 40960, 4, 4, "P0", links=12, link_speed="25 GB/s")
H100 = Model("NVIDIA H100 80GB HBM3", "Hopper", "9.0", 81559, 5, 5, "P0", 18, "26.562 GB/s", fabric="Completed")
L40S = Model("NVIDIA L40S", "Ada Lovelace", "8.9", 46068, 4, 1, "P8", mig="N/A")


class Process(t.NamedTuple):
    """A process in the output of nvidia-smi."""

    pid: int
    name: str
    memory: str = "31500 MiB"
    type: str = "C"


# The fields of the template below that a recording can change, with their values on a healthy GPU.
HEALTHY: dict[str, t.Any] = {
    "persistence": "Enabled",
    "mig_pending": None,
    "ecc": "Enabled",
    "sram_volatile": "0",
    "dram_volatile": "0",
    "sram_aggregate": "0",
    "dram_aggregate": "0",
    "threshold": "No",
    "retirement": "N/A",
    "remapped": "0",
    "remap_pending": "No",
    "remap_failure": "No",
    "recovery": "None",
    "width": "16x",
    "used": "0 MiB",
    "processes": (),
    "links_down": 0,
}


def uuid_of(index: int) -> str:
    return f"GPU-00000000-0000-4000-8000-{index:012d}"


def bus_of(index: int) -> str:
    return f"00000000:{BUSES[index]}:00.0"


class Recording:
    """The output on one host. `changes`: differences from a healthy GPU; `missing`: GPUs that do not respond."""

    def __init__(
        self,
        kind: Model,
        count: int = 8,
        driver: str = "580.95.05",
        cuda: str = "13.0",
        changes: t.Mapping[int, t.Mapping[str, t.Any]] | None = None,
        missing: t.Collection[int] = (),
        **everywhere: t.Any,
    ) -> None:
        self.model, self.driver, self.cuda = kind, driver, cuda
        self.gpus = {
            index: {
                **HEALTHY,
                "pcie": str(kind.pcie_idle),
                "mig": kind.mig,
                "fabric": kind.fabric,
                **everywhere,
                **(changes or {}).get(index, {}),
            }
            for index in range(count)
            if index not in missing
        }

    @property
    def new(self) -> bool:
        """Drivers since 570 report SRAM errors by kind, and the recovery action that a GPU needs."""
        return int(self.driver.split(".")[0]) >= 570

    def query(self) -> str:
        """The output of `nvidia-smi -q -x`."""
        form = "v13" if self.new else "v12"
        gpus = "".join(self._gpu(index, gpu) for index, gpu in self.gpus.items())
        return f"""<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_{form}.dtd">
<nvidia_smi_log>
\t<timestamp>Mon Nov 23 04:30:00 2026</timestamp>
\t<driver_version>{self.driver}</driver_version>
\t<cuda_version>{self.cuda}</cuda_version>
\t<attached_gpus>{len(self.gpus)}</attached_gpus>{gpus}
</nvidia_smi_log>
"""

    def rows(self) -> list[dict[str, str]]:
        """The fields that `--query-gpu` supports."""
        return [
            {
                "index": str(row),
                "uuid": uuid_of(index),
                "name": self.model.name,
                "compute_cap": self.model.capability,
                "driver_version": self.driver,
                "memory.total": f"{self.model.memory_mib} MiB",
                "memory.used": gpu["used"],
            }
            for row, (index, gpu) in enumerate(self.gpus.items())
        ]

    def links(self) -> str:
        """The output of `nvidia-smi nvlink -s`; empty without links."""
        lines = []
        for row, (index, gpu) in enumerate(self.gpus.items()):
            if self.model.links:
                lines.append(f"GPU {row}: {self.model.name} (UUID: {uuid_of(index)})")
            for link in range(self.model.links):
                down = link < gpu["links_down"]
                lines.append(f"\t Link {link}: {'<inactive>' if down else self.model.link_speed}")
        return "".join(line + "\n" for line in lines)

    def as_dict(self) -> dict[str, t.Any]:
        return {"query": self.query(), "gpus": self.rows(), "nvlink": self.links()}

    def _gpu(self, index: int, gpu: t.Mapping[str, t.Any]) -> str:
        model = self.model
        processes = "".join(_process(process) for process in gpu["processes"])
        used = int(gpu["used"].split()[0])
        return f"""
\t<gpu id="{bus_of(index)}">
\t\t<product_name>{model.name}</product_name>
\t\t<product_brand>NVIDIA</product_brand>
\t\t<product_architecture>{model.architecture}</product_architecture>
\t\t<persistence_mode>{gpu["persistence"]}</persistence_mode>
\t\t<addressing_mode>None</addressing_mode>
\t\t<mig_mode>
\t\t\t<current_mig>{gpu["mig"]}</current_mig>
\t\t\t<pending_mig>{gpu["mig_pending"] or gpu["mig"]}</pending_mig>
\t\t</mig_mode>
\t\t<mig_devices>
\t\t\tNone
\t\t</mig_devices>
\t\t<uuid>{uuid_of(index)}</uuid>
\t\t<minor_number>{index}</minor_number>{self._recovery(gpu)}
\t\t<pci>
\t\t\t<pci_bus>{BUSES[index]}</pci_bus>
\t\t\t<pci_bus_id>{bus_of(index)}</pci_bus_id>
\t\t\t<pci_gpu_link_info>
\t\t\t\t<pcie_gen>
\t\t\t\t\t<max_link_gen>{model.pcie_generation}</max_link_gen>
\t\t\t\t\t<current_link_gen>{gpu["pcie"]}</current_link_gen>
\t\t\t\t\t<device_current_link_gen>{gpu["pcie"]}</device_current_link_gen>
\t\t\t\t\t<max_device_link_gen>{model.pcie_generation}</max_device_link_gen>
\t\t\t\t\t<max_host_link_gen>{model.pcie_generation}</max_host_link_gen>
\t\t\t\t</pcie_gen>
\t\t\t\t<link_widths>
\t\t\t\t\t<max_link_width>16x</max_link_width>
\t\t\t\t\t<current_link_width>{gpu["width"]}</current_link_width>
\t\t\t\t</link_widths>
\t\t\t</pci_gpu_link_info>
\t\t</pci>
\t\t<performance_state>{model.performance_state}</performance_state>
\t\t<fb_memory_usage>
\t\t\t<total>{model.memory_mib} MiB</total>
\t\t\t<reserved>571 MiB</reserved>
\t\t\t<used>{gpu["used"]}</used>
\t\t\t<free>{model.memory_mib - 571 - used} MiB</free>
\t\t</fb_memory_usage>
\t\t<compute_mode>Default</compute_mode>
\t\t<ecc_mode>
\t\t\t<current_ecc>{gpu["ecc"]}</current_ecc>
\t\t\t<pending_ecc>{gpu["ecc"]}</pending_ecc>
\t\t</ecc_mode>
\t\t<ecc_errors>{self._ecc("volatile", gpu)}{self._ecc("aggregate", gpu)}
\t\t</ecc_errors>
\t\t<retired_pages>
\t\t\t<multiple_single_bit_retirement>
\t\t\t\t<retired_count>N/A</retired_count>
\t\t\t\t<retired_pagelist>N/A</retired_pagelist>
\t\t\t</multiple_single_bit_retirement>
\t\t\t<double_bit_retirement>
\t\t\t\t<retired_count>N/A</retired_count>
\t\t\t\t<retired_pagelist>N/A</retired_pagelist>
\t\t\t</double_bit_retirement>
\t\t\t<pending_blacklist>{gpu["retirement"]}</pending_blacklist>
\t\t\t<pending_retirement>{gpu["retirement"]}</pending_retirement>
\t\t</retired_pages>
\t\t<remapped_rows>
\t\t\t<remapped_row_corr>0</remapped_row_corr>
\t\t\t<remapped_row_unc>{gpu["remapped"]}</remapped_row_unc>
\t\t\t<remapped_row_pending>{gpu["remap_pending"]}</remapped_row_pending>
\t\t\t<remapped_row_failure>{gpu["remap_failure"]}</remapped_row_failure>
\t\t</remapped_rows>
\t\t<fabric>
\t\t\t<state>{gpu["fabric"]}</state>
\t\t\t<status>{"Success" if gpu["fabric"] == "Completed" else "N/A"}</status>
\t\t</fabric>
\t\t<processes>{processes}
\t\t</processes>
\t\t<accounted_processes>
\t\t</accounted_processes>
\t</gpu>"""

    def _recovery(self, gpu: t.Mapping[str, t.Any]) -> str:
        if self.new:
            return f"\n\t\t<gpu_recovery_action>{gpu['recovery']}</gpu_recovery_action>"
        answers = ("No" if gpu["recovery"] == "None" else "Yes", "No")
        names = ("reset_required", "drain_and_reset_recommended")
        inner = "".join(f"\n\t\t\t<{name}>{answer}</{name}>" for name, answer in zip(names, answers))
        return f"\n\t\t<gpu_reset_status>{inner}\n\t\t</gpu_reset_status>"

    def _ecc(self, period: str, gpu: t.Mapping[str, t.Any]) -> str:
        sram, dram = gpu["sram_" + period], gpu["dram_" + period]
        kinds = {"sram_uncorrectable_parity": "0", "sram_uncorrectable_secded": sram}
        counts = {
            "sram_correctable": "0",
            **(kinds if self.new else {"sram_uncorrectable": sram}),
            "dram_correctable": "3",
            "dram_uncorrectable": dram,
            **({"sram_threshold_exceeded": gpu["threshold"]} if self.new and period == "aggregate" else {}),
        }
        inner = "".join(f"\n\t\t\t\t<{name}>{count}</{name}>" for name, count in counts.items())
        return f"\n\t\t\t<{period}>{inner}\n\t\t\t</{period}>"


def _process(process: Process) -> str:
    return f"""
\t\t\t<process_info>
\t\t\t\t<gpu_instance_id>N/A</gpu_instance_id>
\t\t\t\t<compute_instance_id>N/A</compute_instance_id>
\t\t\t\t<pid>{process.pid}</pid>
\t\t\t\t<type>{process.type}</type>
\t\t\t\t<process_name>{process.name}</process_name>
\t\t\t\t<used_memory>{process.memory}</used_memory>
\t\t\t</process_info>"""


def failure(code: int, text: str) -> dict[str, t.Any]:
    """A host whose nvidia-smi fails."""
    return {"error": {"code": code, "text": text}}


REMAPPED = {"dram_aggregate": "4", "remapped": "2", "remap_pending": "Yes"}
RECORDINGS: dict[str, dict[str, t.Any]] = {
    "a100": Recording(A100, driver="590.48.01", cuda="13.1").as_dict(),
    "a100-535": Recording(A100, driver="535.183.06", cuda="12.2").as_dict(),
    "a100-too-old": Recording(A100, driver="470.256.02", cuda="11.4").as_dict(),
    "a100-seven": Recording(A100, driver="590.48.01", cuda="13.1", missing=[7]).as_dict(),
    "a100-mig": Recording(A100, driver="590.48.01", cuda="13.1", mig="Enabled").as_dict(),
    "a100-ecc": Recording(
        A100, driver="590.48.01", cuda="13.1", changes={2: {"dram_volatile": "4", "recovery": "Reset", **REMAPPED}}
    ).as_dict(),
    "a100-broken": Recording(
        A100,
        driver="570.124.06",
        cuda="12.8",
        missing=[7],
        changes={
            1: {"width": "8x", "links_down": 2},
            2: {"dram_volatile": "4", "recovery": "Reset", **REMAPPED},
            3: {"mig": "Enabled"},
            4: {"remap_failure": "Yes"},
            5: {"processes": (Process(1, "/usr/bin/python3"),), "used": "31510 MiB"},
        },
        persistence="Disabled",
    ).as_dict(),
    "h100": Recording(H100, driver="590.48.01", cuda="13.1").as_dict(),
    "h100-550": Recording(H100, driver="550.163.01", cuda="12.4").as_dict(),
    "h100-no-fabric": Recording(H100, driver="590.48.01", cuda="13.1", fabric="In Progress").as_dict(),
    "l40s": Recording(L40S, count=4, driver="590.48.01", cuda="13.1").as_dict(),
    "driver-mismatch": failure(18, "Failed to initialize NVML: Driver/library version mismatch"),
    "driver-not-loaded": failure(
        9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest"
        " NVIDIA driver is installed and running."
    ),
}  # fmt: skip


def pci_devices(gpus: int, switches: int) -> dict[str, dict[str, str]]:
    """The contents of /sys/bus/pci/devices on such a host: a bridge of another vendor, GPUs, and NVSwitches."""
    found = {"0000:00:00.0": {"vendor": "0x8086", "class": "0x060000"}}
    for bus in BUSES[:gpus]:
        found[f"0000:{bus.lower()}:00.0"] = {"vendor": "0x10de", "class": "0x030200"}
    for bus in SWITCH_BUSES[:switches]:
        found[f"0000:{bus.lower()}:00.0"] = {"vendor": "0x10de", "class": "0x068000"}
    return found


def write_pci(folder: Path, gpus: int, switches: int) -> None:
    """Write a folder that replaces /sys/bus/pci/devices."""
    for address, values in pci_devices(gpus, switches).items():
        device = folder / address
        device.mkdir(parents=True, exist_ok=True)
        for name, value in values.items():
            (device / name).write_text(value + "\n")


def write_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, recording in RECORDINGS.items():
        assert re.fullmatch("[a-z0-9-]+", name)
        (folder / f"{name}.json").write_text(json.dumps(recording))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
    write_pci(Path(sys.argv[1]) / "pci-hgx", 8, 6)
