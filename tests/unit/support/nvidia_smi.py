# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents in the form of nvidia-smi -q -x.

No machine with these GPUs could be recorded: the elements, their order and the "N/A" are those of public recordings of
an A100-SXM4-80GB under driver 535 (document type v12) and of a Blackwell card under 590 (v13); the values are made up.
"""

from __future__ import annotations

A100_BUSES = ("0F", "15", "51", "54", "8D", "92", "D6", "DA")


def uuid_of(index: int) -> str:
    return f"GPU-00000000-0000-4000-8000-{index:012d}"


def process(pid: int, name: str, used: str = "31500 MiB") -> str:
    return f"""
            <process_info>
                <gpu_instance_id>N/A</gpu_instance_id>
                <compute_instance_id>N/A</compute_instance_id>
                <pid>{pid}</pid>
                <type>C</type>
                <process_name>{name}</process_name>
                <used_memory>{used}</used_memory>
            </process_info>"""


def a100(index: int, mig: str = "Disabled", ecc: str = "Enabled", errors: int = 0, processes: str = "") -> str:
    """One of the eight GPUs of an HGX board with the 40 GB modules."""
    return f"""
    <gpu id="00000000:{A100_BUSES[index]}:00.0">
        <product_name>NVIDIA A100-SXM4-40GB</product_name>
        <product_brand>NVIDIA</product_brand>
        <product_architecture>Ampere</product_architecture>
        <display_mode>Enabled</display_mode>
        <display_active>Disabled</display_active>
        <persistence_mode>Enabled</persistence_mode>
        <addressing_mode>None</addressing_mode>
        <mig_mode>
            <current_mig>{mig}</current_mig>
            <pending_mig>{mig}</pending_mig>
        </mig_mode>
        <mig_devices>
            None
        </mig_devices>
        <uuid>{uuid_of(index)}</uuid>
        <minor_number>{index}</minor_number>
        <gsp_firmware_version>535.54.03</gsp_firmware_version>
        <fb_memory_usage>
            <total>40960 MiB</total>
            <reserved>571 MiB</reserved>
            <used>0 MiB</used>
            <free>40388 MiB</free>
        </fb_memory_usage>
        <compute_mode>Default</compute_mode>
        <ecc_mode>
            <current_ecc>{ecc}</current_ecc>
            <pending_ecc>{ecc}</pending_ecc>
        </ecc_mode>
        <ecc_errors>
            <volatile>
                <sram_correctable>0</sram_correctable>
                <sram_uncorrectable>0</sram_uncorrectable>
                <dram_correctable>0</dram_correctable>
                <dram_uncorrectable>{errors}</dram_uncorrectable>
            </volatile>
            <aggregate>
                <sram_correctable>0</sram_correctable>
                <sram_uncorrectable>1</sram_uncorrectable>
                <dram_correctable>3</dram_correctable>
                <dram_uncorrectable>{errors}</dram_uncorrectable>
            </aggregate>
        </ecc_errors>
        <processes>{processes}
        </processes>
        <accounted_processes>
        </accounted_processes>
    </gpu>"""


BLACKWELL = f"""
    <gpu id="00000000:61:00.0">
        <product_name>NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition</product_name>
        <product_architecture>Blackwell</product_architecture>
        <persistence_mode>Disabled</persistence_mode>
        <mig_mode>
            <current_mig>N/A</current_mig>
            <pending_mig>N/A</pending_mig>
        </mig_mode>
        <mig_devices>
            None
        </mig_devices>
        <uuid>{uuid_of(0)}</uuid>
        <fb_memory_usage>
            <total>97887 MiB</total>
            <reserved>637 MiB</reserved>
            <used>65720 MiB</used>
            <free>31531 MiB</free>
        </fb_memory_usage>
        <ecc_mode>
            <current_ecc>Disabled</current_ecc>
            <pending_ecc>Disabled</pending_ecc>
        </ecc_mode>
        <ecc_errors>
            <volatile>
                <sram_correctable>N/A</sram_correctable>
                <sram_uncorrectable_parity>N/A</sram_uncorrectable_parity>
                <sram_uncorrectable_secded>N/A</sram_uncorrectable_secded>
                <dram_correctable>N/A</dram_correctable>
                <dram_uncorrectable>N/A</dram_uncorrectable>
            </volatile>
        </ecc_errors>
        <processes>
        </processes>
    </gpu>"""


def document(*gpus: str, driver: str = "535.54.03", cuda: str = "12.2", form: str = "v12") -> str:
    return f"""<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_{form}.dtd">
<nvidia_smi_log>
    <timestamp>Fri Aug  4 11:44:30 2023</timestamp>
    <driver_version>{driver}</driver_version>
    <cuda_version>{cuda}</cuda_version>
    <attached_gpus>{len(gpus)}</attached_gpus>{"".join(gpus)}
</nvidia_smi_log>
"""


EIGHT_A100 = document(*(a100(index) for index in range(8)))
