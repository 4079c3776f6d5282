# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records ten minutes of a fleet under load, with a real Prometheus: writes recorded.json.

    python tests/unit/observability/record.py

The series are those that rules and dashboards read, one value a minute in promtool's notation. @name stands for the
labels of a target of healthy.yml, which has the series that need a GPU, Triton or systemd.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import (
    dashboard_queries,
    read_by,
    recorded,
    rules,
)
from ansible_collections.tritonops.trtllm.tests.unit.observability.series import (
    RECORDED,
    SYNTHETIC,
    TARGETS,
    labels_of,
    normal,
)
from ansible_collections.tritonops.trtllm.tests.unit.observability.watched import MODEL, VERSIONS, Watched, watched

WARM_UP = 60
MINUTES = 10


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, watched(Path(folder)) as fleet, fleet.load():
        time.sleep(WARM_UP + MINUTES * 60)
        series = dict(sorted(recording(fleet, time.time())))
    about = (
        f"{MINUTES} minutes of the rehearsal's trtllm-serve {' and '.join(VERSIONS.values())} with {MODEL.name}, "
        "gateway, endpoints, node exporter and blackbox exporter; recorded by record.py with Debian's Prometheus"
    )
    RECORDED.write_text(
        json.dumps({"about": about, "minutes": MINUTES, "series": series}, indent=0) + "\n", encoding="utf-8"
    )


def recording(fleet: Watched, end: float) -> Iterator[tuple[str, str]]:
    read = {name for rule in rules() for name in read_by(rule["expr"])}
    read |= {name for query in dashboard_queries().values() for name in read_by(query)}
    for name in sorted(read - recorded() - {"ALERTS"}):
        found = fleet.api("query_range", query=name, start=end - MINUTES * 60, end=end, step=60)["result"]
        for one in found:
            written = as_written(one["metric"])
            # A series that began later is not the one of a fleet that has been up.
            if written not in SYNTHETIC and len(one["values"]) == MINUTES + 1:
                yield written, values_of([value for _time, value in one["values"]])


def as_written(metric: dict[str, str]) -> str:
    """The name of a series with the name of its target."""
    target, own = target_of(metric)
    rest = {label: value for label, value in metric.items() if label not in own and label != "__name__"}
    labels = ",".join([f"@{target}", *(f'{label}="{value}"' for label, value in rest.items())])
    return normal(f"{metric['__name__']}{{{labels}}}")


def target_of(metric: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The blackbox exporter's target has its address as `instance`."""
    for target in TARGETS:
        own = labels_of(target)
        if {**own, "instance": ""}.items() <= {**metric, "instance": ""}.items():
            return target, own
    raise SystemExit(f"{metric} is of no target")


def values_of(values: list[str]) -> str:
    if len(set(values)) == 1:
        return f"{values[0]}+0x{len(values) - 1}"
    return " ".join(values)


if __name__ == "__main__":
    main()
