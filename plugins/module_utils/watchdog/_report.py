# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The state of a watchdog and its server as metrics, for the textfile collector of Prometheus' node_exporter."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._decision import PHASES, State


class Served(t.NamedTuple):
    """What a deployment serves. The numbers of ranks are None if they are not known."""

    release: str
    model: str
    image: str
    ranks: int | None = None
    ranks_planned: int | None = None


def as_metrics(
    deployment: str, state: State, in_rotation: bool | None, faults: t.Sized, now: float, served: Served
) -> str:
    label = f'deployment="{deployment}"'
    names = {"model": served.model, "release": served.release, "image": served.image}
    release = ",".join([label, *(f'{name}="{_escaped(value)}"' for name, value in names.items())])
    rows: list[tuple[str, str, dict[str, float]]] = [
        (
            "phase",
            "1 for the phase that the deployment is in, 0 for the others.",
            {f'{label},phase="{phase}"': float(phase == state.phase) for phase in PHASES},
        ),
        ("failures", "Requests in a row that were not answered.", {label: state.failures}),
        ("restarts", "Restarts within the window after which the watchdog gives up.", {label: len(state.restarts)}),
        ("gpu_faults", "Faults of the host's GPUs.", {label: len(faults)}),
        ("last_sign_of_life_timestamp_seconds", "Time of the last answer or progress.", {label: state.life}),
        ("last_run_timestamp_seconds", "Time of the last run of the watchdog.", {label: now}),
        ("release_info", "1 for the release that the deployment should serve.", {release: 1}),
    ]
    for name, meaning, known in (
        ("in_rotation", "Whether the host's endpoint says that it is in rotation.", in_rotation),
        ("ranks", "Ranks of the server that run.", served.ranks),
        ("ranks_planned", "Ranks of the release.", served.ranks_planned),
    ):
        if known is not None:
            rows.append((name, meaning, {label: known}))
    lines = []
    for name, meaning, values in rows:
        full = f"trtllm_watchdog_{name}"
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} gauge"]
        lines += [f"{full}{{{labels}}} {float(value):.10g}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
