# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's packages, units, users and groups, read and changed with its own commands."""

from __future__ import annotations

import grp
import os
import pwd
import time
import typing as t

from ansible.module_utils import distro
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _packages as parsing
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import HostRecordError

# How long to wait for another run of the package manager.
LOCK_TIMEOUT = 120
ENVIRONMENT = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
# Only the database of installed packages, no repositories. Unlike rpm, dnf resolves rich dependencies.
DNF_INSTALLED = ("dnf", "--quiet", "repoquery", "--installed", "--queryformat", "%{name}\n")


def package_family() -> str:
    """deb or rpm, as os-release says, because the tools of both may be installed."""
    return "deb" if "debian" in [distro.id(), *distro.like().split()] else "rpm"


class Host:
    """Implements _host_record.LiveHost."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.family = package_family()
        self._packages: parsing.Packages | None = None

    def _try(self, *command: str) -> tuple[int, str, str]:
        code, out, error = self._module.run_command(list(command), environ_update=ENVIRONMENT)
        return code, out, error

    def _run(self, *command: str) -> str:
        code, out, error = self._try(*command)
        if code != 0:
            raise HostRecordError(f"'{' '.join(command)}' failed: {error.strip() or out.strip()}")
        return out

    def packages(self) -> parsing.Packages:
        if self._packages is None:
            self._packages = self._read_packages()
        return self._packages

    def _read_packages(self) -> parsing.Packages:
        if self.family == "rpm":
            return parsing.parse_rpm(self._run("rpm", "--query", "--all", "--queryformat", parsing.RPM_FORMAT))
        listed = self._run("dpkg-query", "--show", f"--showformat={parsing.DPKG_FORMAT}")
        return parsing.parse_dpkg(listed, self._run("apt-mark", "showauto").splitlines())

    def dependencies(self, names: t.Collection[str]) -> set[str]:
        """See PackageManager."""
        if self.family == "rpm":
            return self._dnf("--requires", "--resolve", *names) | self._dnf("--recommends", "--resolve", *names)
        kinds = ("suggests", "conflicts", "breaks", "replaces", "enhances")
        listed = self._run("apt-cache", "depends", *(f"--no-{kind}" for kind in kinds), *names)
        # The last word is a package, a virtual package in angle brackets, or on a line of its own one that provides it.
        mentioned = {line.split()[-1] for line in listed.splitlines()}
        return {name for name in self.packages() if mentioned & {name, parsing.plain(name)}}

    def _dnf(self, *query: str) -> set[str]:
        return set(self._run(*DNF_INSTALLED, *query).split())

    def required_by_others(self, names: t.Collection[str]) -> dict[str, str]:
        """See PackageManager."""
        if self.family == "deb":
            simulate = ("dpkg", "--simulate", "--abort-after=10000", "--remove")
            return parsing.parse_dpkg_refusals(self._try(*simulate, *names)[2])
        required: dict[str, str] = {}
        # Required packages have requirements, too.
        while len(required) < len(names):
            found = self._refused_by_rpm([name for name in names if name not in required])
            if not found:
                break
            required.update(found)
        return required

    def _refused_by_rpm(self, names: t.Collection[str]) -> dict[str, str]:
        command = ("rpm", "--erase", "--test", *names)
        code, _out, errors = self._try(*command)
        required = {
            name: self._run("rpm", "--query", "--queryformat", "%{NAME}", dependent)
            for capability, dependent in parsing.parse_rpm_refusals(errors)
            for name in self._dnf("--whatprovides", capability).intersection(names)
        }
        if code != 0 and not required:
            raise HostRecordError(f"'{' '.join(command)}' failed: {errors.strip()}")
        return required

    def remove_key(self, name: str) -> None:
        self._run("rpm", "--erase", name)

    def available_versions(self, names: t.Collection[str]) -> dict[str, list[str]]:
        """The versions of each package in the host's repositories."""
        if not names:
            return {}
        if self.family == "deb":
            listed = [line.split("|") for line in self._run("apt-cache", "madison", *names).splitlines()]
            found = [(name.strip(), version.strip()) for name, version, _source in listed]
        else:
            queried = self._run("dnf", "--quiet", "repoquery", "--queryformat", "%{name} %{evr}\n", *names)
            found = [(line.split()[0], line.split()[1]) for line in queried.splitlines() if line.strip()]
        return {name: [version for had, version in found if had == parsing.plain(name)] for name in names}

    def interrupted(self) -> str:
        """What an interrupted run of dpkg left incomplete."""
        if self.family != "deb":
            return ""
        journal = os.path.isdir("/var/lib/dpkg/updates") and os.listdir("/var/lib/dpkg/updates")
        audit = self._run("dpkg", "--audit").strip()
        return audit or ("dpkg was interrupted" if journal else "")

    def finish_interrupted(self) -> None:
        """Configure unpacked packages and install missing dependencies, as dpkg itself advises."""
        configure = ["dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"]
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            code, _out, error = self._try(*configure)
            # A process that the killed run started may still be running.
            if "locked by another process" not in error or time.monotonic() > deadline:
                break
            time.sleep(1)
        if code != 0 or self.interrupted():
            self._run(
                *("apt-get", "--yes", "--fix-broken", "--no-install-recommends"),
                *("-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT}", "-o", "Dpkg::Options::=--force-confold", "install"),
            )
        incomplete = self.interrupted()
        if incomplete:
            raise HostRecordError(
                f"A run of the package manager was interrupted and cannot be finished: {incomplete}."
                " Run 'dpkg --configure -a' and 'apt-get --fix-broken install', and correct what they report."
            )
        self._packages = None

    def unit(self, name: str) -> dict[str, t.Any] | None:
        code, out, _error = self._try("systemctl", "show", "--property=LoadState,UnitFileState,ActiveState", name)
        shown = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        if code != 0 or shown.get("LoadState") in (None, "not-found"):
            return None
        return {
            "enabled": shown["UnitFileState"],
            "active": shown["ActiveState"] in ("active", "activating", "reloading"),
        }

    def unit_owner(self, name: str) -> str:
        """The package that contains the unit, or an empty string."""
        path = self._run("systemctl", "show", "--property=FragmentPath", "--value", name).strip()
        if not path:
            return ""
        # /lib may be a link to /usr/lib. The package manager only knows the path in the package.
        paths = dict.fromkeys([path, os.path.realpath(path), path.replace("/usr/lib/", "/lib/", 1)])
        query = ["dpkg-query", "--search"]
        if self.family == "rpm":
            query = ["rpm", "--query", "--queryformat", "%{NAME}:\n", "--file"]
        for candidate in paths:
            code, out, _error = self._try(*query, candidate)
            if code == 0:
                return out.split(": ", 1)[0].rstrip(":\n")
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

    def create_user(self, name: str) -> None:
        """A system user that cannot log in, and its group, unless there is one."""
        if self.group(name) is None:
            self._run("groupadd", "--system", name)
        home = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
        self._run("useradd", "--system", "--gid", name, *home, name)

    def remove_user(self, name: str) -> None:
        self._run("userdel", name)

    def group(self, name: str) -> dict[str, t.Any] | None:
        try:
            return {"members": sorted(grp.getgrnam(name).gr_mem)}
        except KeyError:
            return None

    def set_group(self, name: str, now: dict[str, t.Any], before: dict[str, t.Any] | None) -> None:
        if before is None:
            self._run("groupdel", name)
            return
        for member in sorted(set(now["members"]) - set(before["members"])):
            self._run("gpasswd", "--delete", member, name)
        for member in sorted(set(before["members"]) - set(now["members"])):
            self._run("gpasswd", "--add", member, name)

    def mounts(self) -> str:
        with open("/proc/mounts", encoding="utf-8") as stream:
            return stream.read()

    def unmount(self, path: str) -> None:
        self._run("umount", path)
