# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The state of a fleet, for programs and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes

# In what hosts of one deployment should not differ.
COMPARED = ("version", "release", "image")
OF_DEPLOYMENT = ("profile", "version", "release", "image", "since", "proved", "service")
NOTHING = "-"
COLUMNS = (
    *("host", "deployment", "profile", "version", "release", "image", "since", "proof", "service", "rotation"),
    *("in flight", "GPUs", "disk free", "cert days", "drift"),
)
# The last words of a message say what to do, the first ones what happened.
LONGEST_PROBLEM = 200

Found = Mapping[str, Any]
Row = dict[str, Any]


def status_of(results: Mapping[str, Found]) -> list[Row]:
    """A row for each deployment of each host. `results`: what the module deployment_info returned, by host.

    What is not known is None. A host that was not reached, or whose module failed, has a row with the `problem`.
    """
    servers = [server for found in results.values() for server in found.get("gateway") or ()]
    rows = [row for host, found in results.items() for row in _rows(host, found, servers)]
    return [{**row, "drift": drift} for row, drift in zip(rows, _drifts(rows))]


def _rows(host: str, found: Found, servers: Sequence[Found]) -> Iterator[Row]:
    if "deployments" not in found:
        what = "unreachable: " if found.get("unreachable") else ""
        yield {**_row(host, None, {}, servers), "problem": f"{what}{found.get('msg', 'no result')}"}
        return
    for deployment in found["deployments"] or [None]:
        yield _row(host, deployment, found, servers)


def _row(host: str, deployment: Found | None, found: Found, servers: Sequence[Found]) -> Row:
    served, disk = deployment or {}, found.get("disk") or {}
    name = served.get("name")
    own = [server for server in servers if (server["host"], server["deployment"]) == (host, name)]
    days = [entry["days_left"] for entry in found.get("certificates") or () if entry["days_left"] is not None]
    return {
        "host": host,
        "deployment": name,
        **{key: served.get(key) for key in OF_DEPLOYMENT},
        "rotation": _rotation(own, served.get("in_rotation")),
        "in_flight": sum(server["in_flight"] for server in own) if own else None,
        "gpus": _gpus(found.get("gpus") or (), served.get("gpus")),
        "gpu_error": found.get("gpu_error"),
        "disk_free_bytes": disk.get("free_bytes"),
        "disk_total_bytes": disk.get("total_bytes"),
        "certificate_days": min(days, default=None),
        "problem": None,
    }


def _rotation(servers: Sequence[Found], at_endpoint: bool | None) -> str | None:
    """`in`, or why not, as the gateways see it. Without a gateway, what the host's endpoint says."""
    if not servers:
        return {True: "in", False: "out", None: None}[at_endpoint]
    states = [_state(server) for server in servers]
    away = Counter(state for state in states if state != "in")
    if not away:
        return "in"
    worst = away.most_common(1)[0][0]
    return worst if len(states) == away[worst] else f"{worst} ({states.count('in')} of {len(states)} in)"


def _state(server: Found) -> str:
    if server["state"] != "ready":
        return str(server["state"])
    status = str(server["status"]).split(" ", maxsplit=1)[0].lower()
    # Without a health check, a server counts as up.
    return "in" if status in ("up", "no") else status


def _gpus(gpus: Iterable[Found], indexes: Sequence[int] | None) -> list[Row]:
    return [dict(gpu) for gpu in gpus if indexes is None or gpu["index"] in indexes]


def _drifts(rows: Sequence[Row]) -> list[list[str]]:
    """By row, in what it differs from most hosts with the same deployment. If there is no majority, all rows differ."""
    usual: dict[tuple[str, str], Any] = {}
    for name in {row["deployment"] for row in rows if row["release"]}:
        for field in COMPARED:
            values = [row[field] for row in rows if row["deployment"] == name and row["release"]]
            common = Counter(values).most_common(2)
            tied = len(common) > 1 and common[0][1] == common[1][1]
            usual[name, field] = () if tied else common[0][0]
    return [
        [field for field in COMPARED if row["release"] and row[field] != usual[row["deployment"], field]]
        for row in rows
    ]


def status_table_of(rows: Sequence[Row]) -> list[str]:
    """The rows in columns, and a line for each host with a problem."""
    cells = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    return [*lines, *(line for row in rows for line in _problems(row)), *_differences(rows)]


def _cells(row: Row) -> tuple[str, ...]:
    free, total = row["disk_free_bytes"], row["disk_total_bytes"]
    disk = f"{human_bytes(free)} of {human_bytes(total)}" if total else None
    shown = (
        *(row["host"], row["deployment"], row["profile"], row["version"], row["release"], _short(row["image"])),
        *(_minute(row["since"]), _minute(row["proved"]) or ("no" if row["release"] else None), row["service"]),
        *(row["rotation"], row["in_flight"], _gpu_text(row), disk, row["certificate_days"]),
        ", ".join(row["drift"]),
    )
    return tuple(_plain(NOTHING if cell in (None, "") else cell) for cell in shown)


def _short(image: str | None) -> str | None:
    """The first digits of a digest."""
    before, found, digest = (image or "").rpartition("sha256:")
    return digest[:12] if found else before or image


def _minute(time: str | None) -> str | None:
    return time[:16].replace("T", " ") if time else None


def _gpu_text(row: Row) -> str | None:
    if row["gpu_error"]:
        return "error"
    names = Counter(str(gpu["name"]).removeprefix("NVIDIA ") for gpu in row["gpus"])
    if not names:
        return None
    used, total = (sum(gpu[key] or 0 for gpu in row["gpus"]) >> 10 for key in ("memory_used_mib", "memory_mib"))
    return f"{', '.join(f'{count} x {name}' for name, count in names.items())}: {used} of {total} GiB"


def _problems(row: Row) -> Iterator[str]:
    for text in (row["problem"], row["gpu_error"] and f"nvidia-smi: {row['gpu_error']}"):
        if text:
            said = _plain(" ".join(str(text).split()))
            yield f"{row['host']}: {said if len(said) <= LONGEST_PROBLEM else said[:LONGEST_PROBLEM] + '...'}"


def _differences(rows: Sequence[Row]) -> Iterator[str]:
    """Which hosts have which release, for each deployment with differences."""
    for name in dict.fromkeys(row["deployment"] for row in rows if row["drift"]):
        hosts: dict[str, list[str]] = {}
        for row in rows:
            if row["deployment"] == name and row["release"]:
                what = ", ".join(_plain(_short(row["image"]) if key == "image" else row[key]) for key in COMPARED)
                hosts.setdefault(what, []).append(row["host"])
        for what, names in hosts.items():
            yield f"deployment {name} differs: {what} on {', '.join(names)}"


def _plain(text: Any) -> str:
    """Hosts must not be able to write control characters to a terminal."""
    return "".join(character if character.isprintable() else "?" for character in str(text))
