# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the pages that the collection makes to a folder: make.py FOLDER

`site` and `benchmark` are of real runs in the rehearsal, whose data is beside this file. The others have what those
lack: failures, an estimate, power, and text that must not become markup.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show import _run_report
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._benchmark_page import benchmark_page

HERE = Path(__file__).parent
HOSTILE = "<script>alert(1)</script>\"'&"


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return found


def failed_site() -> dict[str, Any]:
    report = recorded("site")
    host = report["hosts"]["rehearsal"]
    failed = copy.deepcopy({**host, "outcome": "failed"})
    failed["stages"][-1]["failed"] = True
    failed["failures"] = [{"task": HOSTILE, "message": f"{HOSTILE}\n{'long ' * 100}", "status": "failed"}]
    return {**report, "hosts": {"rehearsal": host, "gpu2.example.com": failed}, "check_mode": True}


def slow_benchmark() -> dict[str, Any]:
    report = recorded("benchmark")
    rows = [
        {**row, "power": 2100.0 + row["at_once"], "joules_per_token": 160.0} for row in copy.deepcopy(report["rows"])
    ]
    rows[0]["level"]["errors"] = [HOSTILE]
    estimate = [{**row, "tokens_per_second": 1.4 * row["tokens_per_second"]} for row in report["rows"]]
    baseline = {name: report[name] for name in ("release_id", "measured", "rows")}
    worse = ["4 requests at once: tokens per second fell from 15.1 to 13.2 (-13 %)"]
    return {**report, "rows": rows, "estimate": estimate, "baseline": baseline, "regressions": worse}


def main(folder: str) -> None:
    pages = {
        "site": _run_report.page(recorded("site")),
        "benchmark": benchmark_page(recorded("benchmark")),
        "failed-site": _run_report.page(failed_site()),
        "slow-benchmark": benchmark_page(slow_benchmark()),
    }
    for name, page in pages.items():
        (Path(folder) / f"{name}.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
