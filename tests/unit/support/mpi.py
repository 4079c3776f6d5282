# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run processes over MPI, with the Python package openmpi or another Open MPI."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

needs_mpi = pytest.mark.skipif(
    not (shutil.which("mpirun") and importlib.util.find_spec("mpi4py")), reason="needs mpirun and mpi4py"
)

# More ranks than processors, all on this host and none in a container.
MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_btl_tcp_if_include": "lo",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# The package is where it was installed, which it does not know.
if (Path(sys.prefix) / "bin/orted").is_file():
    MPI["OPAL_PREFIX"] = sys.prefix
