# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules host_record and host_record_info do. The results are documented there."""

from __future__ import annotations

import glob
import json
import pwd
import typing as t
from contextlib import contextmanager

from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import (
    SCOPES,
    PackagePlan,
    Record,
    Restoration,
    close_all,
    close_part,
    lasting,
    load,
    new,
    open_part,
    parts_of,
    remove,
    save,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._live_host import Host
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import (
    Packages,
    is_key,
    parse_rpm,
    plain,
)

Params = t.Mapping[str, t.Any]
Result = t.Dict[str, t.Any]
VERSION_SEPARATORS = {"deb": "=", "rpm": "-"}


def _without_content(record: Record | None) -> str:
    """The record for the diff, which must not show files of others."""
    shown = lasting(record)
    for entry in shown["files"].values():
        if entry["before"]:
            entry["before"] = entry["before"]["kind"]
    return json.dumps(shown, indent=1, sort_keys=True) + "\n"


def _compared(path: str, before: Record | None, after: Record) -> Result:
    """Opening and closing a part is not a change, but new entries are."""
    return {
        "changed": lasting(before) != lasting(after),
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": _without_content(before),
            "after": _without_content(after),
        },
    }


def _listed_before(path: str | None) -> Packages | None:
    if path is None:
        return None
    with open(path, encoding="utf-8") as stream:
        return parse_rpm(stream.read())


def _present(scope: t.Mapping[str, list[str]], host: Host) -> Result:
    """What already exists, so that a role need not check it again."""
    names = scope["packages"]
    packages = host.packages() if names else {}
    users = [user for user in pwd.getpwall() if user.pw_name in scope["users"]]
    return {
        "installed": {plain(name): package.version for name, package in packages.items() if plain(name) in names},
        "files": sorted({path for pattern in scope["files"] for path in glob.glob(pattern)}),
        "users": {user.pw_name: {"uid": user.pw_uid, "gid": user.pw_gid} for user in users},
    }


def open_record(params: Params, host: Host, check_mode: bool) -> Result:
    path = params["path"]
    interrupted = host.interrupted() if params["packages"] else ""
    if interrupted and not check_mode:
        host.finish_interrupted()
    before = load(path)
    scope = {name: params[name] for name in SCOPES}
    after = open_part(before, params["part"], scope, host, _listed_before(params["before"]))
    if not check_mode:
        save(after, path)
    result = {**_compared(path, before, after), **_present(scope, host)}
    return {**result, "changed": True, "finished": interrupted} if interrupted else result


def close_record(params: Params, host: Host, check_mode: bool) -> Result:
    path = params["path"]
    before = load(path)
    # In check mode the role changed nothing.
    if check_mode or before is None:
        return {"changed": False}
    after = close_part(before, params["part"], host)
    save(after, path)
    return _compared(path, before, after)


@contextmanager
def recorded(
    part: str, changed: t.Mapping[str, t.Iterable[str]], host: Host, check_mode: bool, path: str
) -> t.Iterator[None]:
    """For a module that itself changes what is in `changed`, by scope."""
    scope: Params = {**{name: list(changed.get(name, ())) for name in SCOPES}, "before": None}
    open_record({**scope, "part": part, "path": path}, host, check_mode)
    yield
    close_record({"part": part, "path": path}, host, check_mode)


def restore_host(params: Params, host: Host, check_mode: bool) -> Result:
    path = params["path"]
    record = load(path)
    if record is None:
        return {"changed": False, "restored": [], "remaining": {}, "remaining_parts": []}
    restoration = Restoration(record, params["keep"], host, check_mode, params["already_removed"])
    rest = restoration.run()
    if not check_mode:
        if rest is None:
            remove(path)
        else:
            save(rest, path)
    changes = sorted(restoration.changes)
    return {
        "changed": bool(changes) or rest is None,
        "restored": changes,
        "remaining": restoration.notes,
        "remaining_parts": parts_of(rest),
        "diff": {"before": "".join(f"{change}\n" for change in changes), "after": ""},
    }


def _to_install(
    wanted: t.Mapping[str, str], versions: t.Mapping[str, list[str]], separator: str, any_version: bool
) -> tuple[list[str], list[str]]:
    """The packages as the package manager takes them, and those that are not available in that version."""
    install, unavailable = [], []
    for name, version in wanted.items():
        if version in versions.get(name, []):
            install.append(f"{name}{separator}{version}")
            continue
        unavailable.append(f"{name} {version}")
        if any_version and versions.get(name):
            install.append(name)
    return install, unavailable


def plan_packages(params: Params, host: Host) -> Result:
    record = load(params["path"])
    closed = close_all(record or new(), host)
    packages = host.packages()
    plan = PackagePlan(closed, params["keep"], host)
    wanted = plan.without(())
    versions = host.available_versions([*wanted["reinstall"], *wanted["change"]])
    missing = {name: version for name, version in wanted["reinstall"].items() if not versions[name]}
    possible = plan.without(missing)
    going = possible["remove"] + possible["remove_later"]
    added = [name for name, entry in closed["units"].items() if entry["before"] is None and host.unit(name)]
    separator = VERSION_SEPARATORS[host.family]
    reinstall, unavailable = _to_install({**possible["reinstall"], **missing}, versions, separator, any_version=True)
    change, unchangeable = _to_install(possible["change"], versions, separator, any_version=False)
    return {
        "changed": False,
        "recorded": record is not None,
        "family": host.family,
        "parts": sorted({entry["part"] for name, entry in closed["packages"]["installed"].items() if name in packages}),
        "remove": [name for name in possible["remove"] if not is_key(name)],
        "remove_later": possible["remove_later"],
        "signing_keys": sorted(filter(is_key, possible["remove"])),
        "units": [name for name in added if host.unit_owner(name) in going],
        "kept": possible["kept"],
        "install": reinstall + change,
        "reinstall": sorted(possible["reinstall"]),
        "unavailable": unavailable + unchangeable,
        "mark_auto": possible["mark_auto"],
    }
