# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints the state of a host as JSON: packages, files, units, mounts, users and groups. Runs with the host's Python."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess

PLACES = ("/etc", "/usr/local", "/opt", "/var/lib", "/srv", "/root", "/mnt")
# Paths that change without anyone changing the host, or that say nothing about it, with the reason.
VOLATILE = {
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-": "backups written by tools that change accounts",
    r"/etc/\.pwd\.lock": "the lock of these tools",
    r"/etc/ld\.so\.cache": "ldconfig's cache of installed libraries",
    r"/etc/mtab": "a link to /proc",
    r"/etc/hosts": "Docker writes it at each start, with an address that may be another one",
    r"/var/lib/apt/lists(/.*)?": "a cache of the repositories' package lists",
    r"/var/lib/apt/(periodic|daily_lock)(/.*)?": "the time of the last update of this cache",
    r"/var/lib/dpkg(/.*)?": "the package database; packages are compared separately",
    r"/var/lib/(rpm|dnf)(/.*)?": "the same on Enterprise Linux",
    r"/etc/lvm/(archive|backup)(/.*)?": "LVM's backups of its metadata; a grown volume stays grown",
    r"/var/lib/systemd/(timers|random-seed|catalog|coredump|linger|timesync)(/.*)?": "state that systemd updates",
    r"/root/\.ansible(/.*)?": "Ansible's temporary files",
    r".*/__pycache__(/.*)?": "Python's bytecode",
}
# Units that are started on demand and stop by themselves.
ON_DEMAND = re.compile(r"systemd-(fsckd|hostnamed|localed|timedated)\.service")
VOLATILE_PATH = re.compile("|".join(f"(?:{pattern})" for pattern in VOLATILE))


def run(*command: str) -> list[str]:
    return sorted(subprocess.run(command, text=True, capture_output=True, check=True).stdout.splitlines())


def described(path: str, with_content: bool) -> str:
    found = os.lstat(path)
    rights = f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid}"
    if stat.S_ISLNK(found.st_mode):
        return f"{rights} -> {os.readlink(path)}"
    if with_content and stat.S_ISREG(found.st_mode):
        with open(path, "rb") as stream:
            return f"{rights} {hashlib.sha256(stream.read()).hexdigest()}"
    return rights


def files() -> dict[str, str]:
    found = {}
    for place in PLACES:
        for folder, folders, names in os.walk(place):
            folders[:] = [name for name in folders if not VOLATILE_PATH.fullmatch(os.path.join(folder, name))]
            for name in [*folders, *names]:
                path = os.path.join(folder, name)
                if not VOLATILE_PATH.fullmatch(path):
                    found[path] = described(path, with_content=path.startswith(("/etc/", "/usr/local/")))
    return found


def packages() -> list[str]:
    if shutil.which("dpkg-query"):
        return run("dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${binary:Package} ${Version}\n") + [
            f"auto {name}" for name in run("apt-mark", "showauto")
        ]
    return run("rpm", "--query", "--all")


def units() -> list[str]:
    """Unit files with their enablement, and active units; transient units are not listed."""
    enabled = run("systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain")
    active = run(
        "systemctl", "list-units", "--type=service,socket", "--state=active", "--no-legend", "--no-pager", "--plain"
    )
    # A transient unit is in /run and disappears when it is no longer used.
    files = [" ".join(line.split()[:2]) for line in enabled if line.split()[1] != "transient"]
    return files + [line.split()[0] for line in active if not ON_DEMAND.match(line)]


def snapshot() -> dict[str, object]:
    with open("/proc/mounts", encoding="utf-8") as mounts:
        # Device, path and type only: the options contain values that the kernel calculates.
        mounted = sorted(" ".join(line.split()[:3]) for line in mounts if not line.startswith(("overlay", "nsfs")))
    return {
        "packages": packages(),
        "files": files(),
        "units": units(),
        "mounts": mounted,
        "users": run("getent", "passwd"),
        "groups": run("getent", "group"),
    }


if __name__ == "__main__":
    print(json.dumps(snapshot()))
