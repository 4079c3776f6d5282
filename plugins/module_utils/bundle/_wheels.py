# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Wheels of a requirements file for Pythons that this machine need not have."""

from __future__ import annotations

import re
import typing as t

# The oldest C library among the hosts is Enterprise Linux 8's.
NEWEST_GLIBC, OLDEST_GLIBC = 28, 17
_LOGICAL = re.compile(r"(?:[^\n]*\\\n)*[^\n]*\n?")


def platforms(architecture: str) -> list[str]:
    """The tags of wheels that run on every host of that architecture; pip does not know that one includes the older."""
    tags = [f"manylinux_2_{minor}_{architecture}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    return [*tags, f"manylinux2014_{architecture}"]


def environment(python: str, architecture: str) -> dict[str, str]:
    """What a marker sees on such a host."""
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": architecture,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def requirements_for(text: str, python: str, architecture: str, requirement: t.Callable[[str], t.Any]) -> str:
    """The requirements that count there, without markers: pip would judge them by the Python that it runs in itself.

    `requirement` is packaging's Requirement.
    """
    chosen = []
    for line in _LOGICAL.findall(text):
        stated, _backslash, hashes = line.partition("\\\n")
        if not stated.strip() or stated.lstrip().startswith("#"):
            continue
        parsed = requirement(stated.strip())
        if parsed.marker is None or parsed.marker.evaluate(environment(python, architecture)):
            chosen.append(f"{parsed.name}{parsed.specifier} \\\n{hashes}")
    return "".join(chosen)


def pip_download(interpreter: str, python: str, architecture: str, requirements: str, dest: str) -> list[str]:
    """Everything is named with its hashes, so nothing is to be resolved."""
    return [
        *(interpreter, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"),
        *("--only-binary", ":all:", "--require-hashes", "--no-deps", "--implementation", "cp"),
        *("--python-version", python),
        *(argument for tag in platforms(architecture) for argument in ("--platform", tag)),
        *("--requirement", requirements, "--dest", dest),
    ]
