# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's packages, units, users and groups, by the host's own commands."""

from __future__ import annotations

import grp
import os
import pwd
import time
import typing as t

from ansible.module_utils import distro
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _packages as listing
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import HostRecordError

# How long another package manager is waited for.
PATIENCE = 120
PLAIN = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def package_family() -> str:
    """deb or rpm, by the system's own word: tools of the other family may be installed on either."""
    return "deb" if "debian" in [distro.id(), *distro.like().split()] else "rpm"


class Host:
    """See _host_record.HostState."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.family = package_family()
        self._packages: listing.Packages | None = None

    def _run(self, *command: str) -> str:
        code, out, error = self._module.run_command(list(command), environ_update=PLAIN)
        if code != 0:
            raise HostRecordError(f"'{' '.join(command)}' failed: {error.strip() or out.strip()}")
        return t.cast(str, out)

    def packages(self) -> listing.Packages:
        if self._packages is None:
            self._packages = self._deb() if self.family == "deb" else self._rpm()
        return self._packages

    def _deb(self) -> listing.Packages:
        listed = self._run("dpkg-query", "--show", f"--showformat={listing.DPKG_FORMAT}")
        return listing.parse_dpkg(listed, self._run("apt-mark", "showauto").splitlines())

    def _rpm(self) -> listing.Packages:
        formats = (listing.RPM_NEEDS, listing.RPM_WANTS, listing.RPM_GIVES, listing.RPM_FILES)
        asked = [self._run("rpm", "--query", "--all", "--queryformat", form) for form in (listing.RPM_FORMAT, *formats)]
        return listing.parse_rpm(*asked)

    def remove_key(self, name: str) -> None:
        self._run("rpm", "--erase", name)

    def can_be_had(self, wanted: t.Mapping[str, str]) -> dict[str, list[str]]:
        """The versions that the host's repositories have of each package."""
        if not wanted:
            return {}
        if self.family == "deb":
            listed = [line.split("|") for line in self._run("apt-cache", "madison", *wanted).splitlines()]
            found = [(name.strip(), version.strip()) for name, version, _source in listed]
        else:
            form = "%{name} %{evr}\n"
            listed_rpm = self._run("dnf", "--quiet", "repoquery", "--queryformat", form, *wanted)
            found = [(line.split()[0], line.split()[1]) for line in listed_rpm.splitlines() if line.strip()]
        return {name: [version for had, version in found if had == listing.plain(name)] for name in wanted}

    def interrupted(self) -> str:
        """What dpkg has to say of a run that was killed."""
        if self.family != "deb":
            return ""
        journal = os.path.isdir("/var/lib/dpkg/updates") and os.listdir("/var/lib/dpkg/updates")
        audit = self._run("dpkg", "--audit").strip()
        return audit or ("dpkg was interrupted" if journal else "")

    def finish_interrupted(self) -> None:
        """As dpkg itself asks for: what was unpacked is configured, what that lacks is installed."""
        configure = ["dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"]
        deadline = time.monotonic() + PATIENCE
        while True:
            code, _out, error = self._module.run_command(configure, environ_update=PLAIN)
            # What a killed run has started may be at work still.
            if "locked by another process" not in error or time.monotonic() > deadline:
                break
            time.sleep(1)
        if code != 0 or self.interrupted():
            self._run(
                *("apt-get", "--yes", "--fix-broken", "--no-install-recommends"),
                *("-o", f"DPkg::Lock::Timeout={PATIENCE}", "-o", "Dpkg::Options::=--force-confold", "install"),
            )
        left = self.interrupted()
        if left:
            raise HostRecordError(
                f"A run of the package manager was interrupted and cannot be finished: {left}."
                " Run 'dpkg --configure -a' and 'apt-get --fix-broken install' and mend what they complain of."
            )
        self._packages = None

    def unit(self, name: str) -> dict[str, t.Any] | None:
        code, out, _error = self._module.run_command(
            ["systemctl", "show", "--property=LoadState,UnitFileState,ActiveState", name], environ_update=PLAIN
        )
        shown = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        if code != 0 or shown.get("LoadState") in (None, "not-found"):
            return None
        return {
            "enabled": shown["UnitFileState"],
            "active": shown["ActiveState"] in ("active", "activating", "reloading"),
        }

    def unit_owner(self, name: str) -> str:
        """The package that has brought the unit; empty when it was somebody's own hand."""
        path = self._run("systemctl", "show", "--property=FragmentPath", "--value", name).strip()
        if not path:
            return ""
        # The package manager knows it by the path that it was packed with, on either side of the link that /lib is.
        places = dict.fromkeys([path, os.path.realpath(path), path.replace("/usr/lib/", "/lib/", 1)])
        ask = ["dpkg-query", "--search"]
        if self.family == "rpm":
            ask = ["rpm", "--query", "--queryformat", "%{NAME}:\n", "--file"]
        for place in places:
            code, out, _error = self._module.run_command([*ask, place], environ_update=PLAIN)
            if code == 0:
                return str(out).split(": ", 1)[0].rstrip(":\n")
        return ""

    def set_unit(self, name: str, state: dict[str, t.Any]) -> None:
        now = self.unit(name) or {}
        if state["enabled"] in ("enabled", "disabled") and state["enabled"] != now.get("enabled"):
            self._run("systemctl", "enable" if state["enabled"] == "enabled" else "disable", name)
        if state["active"] != now.get("active"):
            self._run("systemctl", "start" if state["active"] else "stop", name)

    def user(self, name: str) -> dict[str, t.Any] | None:
        try:
            return {"id": pwd.getpwnam(name).pw_uid}
        except KeyError:
            return None

    def remove_user(self, name: str) -> None:
        self._run("userdel", name)

    def group(self, name: str) -> dict[str, t.Any] | None:
        try:
            return {"members": sorted(grp.getgrnam(name).gr_mem)}
        except KeyError:
            return None

    def set_group(self, name: str, now: dict[str, t.Any], wanted: dict[str, t.Any] | None) -> None:
        if wanted is None:
            self._run("groupdel", name)
            return
        for member in sorted(set(now["members"]) - set(wanted["members"])):
            self._run("gpasswd", "--delete", member, name)
        for member in sorted(set(wanted["members"]) - set(now["members"])):
            self._run("gpasswd", "--add", member, name)

    def mounts(self) -> str:
        with open("/proc/mounts", encoding="utf-8") as stream:
            return stream.read()

    def unmount(self, path: str) -> None:
        self._run("umount", path)
