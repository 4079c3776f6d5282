# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for upstream's script: records its options and environment, and sends a request to the gate."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.request
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--trt_root")
parser.add_argument("--cuda_architectures", "-a")
parser.add_argument("--job_count", "-j", type=int)
parser.add_argument("--install", "-i", action="store_true")
parser.add_argument("--clean", "-c", action="store_true")
options = parser.parse_args()

library = "cpp/libtensorrt_llm_batch_manager_static.a"
if os.path.getsize(library) < 1000000:
    sys.exit("The batch manager library is truncated or incomplete.")
if not os.path.exists("3rdparty/cutlass/README.md"):
    sys.exit("the nested submodule is missing")

constraints = os.environ.get("PIP_CONSTRAINT")
found = {
    "architectures": options.cuda_architectures,
    "jobs": options.job_count,
    "constraints": Path(constraints).read_text().split() if constraints else [],
    "no_proxy": os.environ.get("no_proxy", ""),
}
# The certificate is signed by a CA that is only in the host's bundle.
with urllib.request.urlopen("https://127.0.0.1:7443/") as answer:
    found["gate"] = answer.read().decode()
Path("/app/wheel.json").write_text(json.dumps(found))
