# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print the requirements of a lock file with the hashes of wheels for Linux: pinned_wheels.py PYLOCK 3.11 3.12 3.13

Hashes of wheels for other systems and versions of Python would be most of the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tomllib
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

MACHINES = ("x86_64", "aarch64")
LIBC = [(2, minor) for minor in range(17, 40)]


def tags(pythons: Sequence[str]) -> Iterator[Tag]:
    for python in pythons:
        version = [int(part) for part in python.split(".")]
        for machine in MACHINES:
            legacy = [f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}"]
            platforms = [
                *(f"manylinux_{major}_{minor}_{machine}" for major, minor in LIBC),
                *legacy,
                f"linux_{machine}",
            ]
            yield from cpython_tags(version, platforms=platforms)
            yield from compatible_tags(version, f"cp{''.join(python.split('.'))}", [*platforms, "any"])


def requirement(package: dict[str, Any], wanted: frozenset[Tag]) -> str:
    files = [(wheel["url"].rpartition("/")[2], wheel["hashes"]["sha256"]) for wheel in package.get("wheels", ())]
    hashes = sorted(sha256 for name, sha256 in files if parse_wheel_filename(name)[3] & wanted)
    if not hashes:
        raise SystemExit(f"pinned_wheels: {package['name']} has no wheel for Linux")
    return " \\\n".join(
        [f"{package['name']}=={package['version']}", *(f"    --hash=sha256:{found}" for found in hashes)]
    )


def is_for_linux(package: dict[str, Any], python: str) -> bool:
    environment = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
    }
    environment.update(python_version=python, python_full_version=f"{python}.0")
    return "marker" not in package or Marker(package["marker"]).evaluate(environment)


def main(path: str, *pythons: str) -> None:
    wanted = frozenset(tags(pythons))
    for package in tomllib.loads(Path(path).read_text(encoding="utf-8"))["packages"]:
        if is_for_linux(package, pythons[0]):
            print(requirement(package, wanted))


if __name__ == "__main__":
    main(*sys.argv[1:])
