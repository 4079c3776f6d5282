# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal's nvidia-smi on this machine, and its GPUs as query_gpus returns them."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi_output import (
    parse_compute_capabilities,
    parse_links,
    parse_query,
)
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import A100, RECORDINGS, Model, Recording

STAND_IN = Path(__file__).parents[3] / "rehearsal/gpu/nvidia_smi.py"
Found = t.Dict[str, t.Any]


def install(folder: Path, recording: str) -> str:
    """Install a program that replays the recording, regardless of the environment."""
    (folder / "recordings").mkdir()
    (folder / "recordings" / f"{recording}.json").write_text(json.dumps(RECORDINGS[recording]))
    (folder / "recording").write_text(recording + "\n")
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\nREHEARSAL_GPU="{folder}" exec "{sys.executable}" "{STAND_IN}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def answers(kind: Model = A100, **described: t.Any) -> Found:
    """The parsed output of such a host."""
    recorded = Recording(kind, **described)
    csv = "\n".join(f"{row['uuid']}, {row['compute_cap']}" for row in recorded.rows())
    found = parse_query(recorded.query(), parse_compute_capabilities(csv), parse_links(recorded.links()))
    return {"error": None, **found}
