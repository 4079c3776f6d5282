# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Runs nvidia-smi to get information about the GPUs of a host."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi_output import (
    NvidiaSmiError,
    parse_compute_capabilities,
    parse_links,
    parse_query,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import CommandFailed, run_with_timeout

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def query_gpus(module: AnsibleModule, executable: str, timeout: int) -> dict[str, t.Any]:
    """The output of nvidia-smi. If it is missing or fails, that is not an error of the module."""
    found: dict[str, t.Any] = {"driver_version": None, "cuda_version": None, "gpus": [], "processes": []}
    error = None
    path = module.get_bin_path(executable)
    if path:
        try:
            found = _query(module, path, timeout)
        except (CommandFailed, NvidiaSmiError) as exc:
            error = str(exc)
    return {"error": error, **found}


def _query(module: AnsibleModule, executable: str, timeout: int) -> dict[str, t.Any]:
    def ask(*arguments: str) -> str:
        return run_with_timeout(module, [executable, *arguments], timeout)

    def ask_if_known(*arguments: str) -> str:
        """For compute capability and links, which are not in the XML, and which old drivers do not know."""
        try:
            return ask(*arguments)
        except CommandFailed:
            return ""

    xml = ask("-q", "-x")
    capabilities = parse_compute_capabilities(ask_if_known("--query-gpu=uuid,compute_cap", "--format=csv,noheader"))
    return parse_query(xml, capabilities, parse_links(ask_if_known("nvlink", "-s")))
