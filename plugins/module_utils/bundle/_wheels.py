# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The wheels of a bundle, for Python versions that this machine need not have."""

from __future__ import annotations

import hashlib
import re
import sys
import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._command import runner
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import (
    ARCHITECTURE,
    ArgumentSpec,
    Kind,
    Options,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

try:
    from packaging.requirements import Requirement

    HAS_PACKAGING = True
except ImportError:
    HAS_PACKAGING = False

SPEC: ArgumentSpec = {
    "type": "dict",
    "options": {
        "requirements": {"type": "str", "required": True},
        "pythons": {"type": "list", "elements": "str", "required": True},
        "architecture": ARCHITECTURE,
    },
}
# Enterprise Linux 8 has the oldest C library of all hosts.
NEWEST_GLIBC, OLDEST_GLIBC = 28, 17
_LOGICAL = re.compile(r"(?:[^\n]*\\\n)*[^\n]*\n?")


def platforms(architecture: str) -> list[str]:
    """The tags of wheels that run on every host with this architecture. pip does not infer older ones from a tag."""
    tags = [f"manylinux_2_{minor}_{architecture}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    return [*tags, f"manylinux2014_{architecture}"]


def environment(python: str, architecture: str) -> dict[str, str]:
    """The environment of a host, for markers of requirements."""
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


def requirements_for(text: str, python: str, architecture: str) -> str:
    """The requirements that apply to such hosts, without markers, which pip would evaluate for its own Python."""
    chosen = []
    for line in _LOGICAL.findall(text):
        stated, _backslash, hashes = line.partition("\\\n")
        if not stated.strip() or stated.lstrip().startswith("#"):
            continue
        parsed = Requirement(stated.strip())
        if parsed.marker is None or parsed.marker.evaluate(environment(python, architecture)):
            chosen.append(f"{parsed.name}{parsed.specifier} \\\n{hashes}")
    return "".join(chosen)


def pip_download(interpreter: str, python: str, architecture: str, requirements: str, dest: str) -> list[str]:
    """All requirements are listed with their hashes, so pip does not resolve dependencies."""
    return [
        *(interpreter, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"),
        *("--only-binary", ":all:", "--require-hashes", "--no-deps", "--implementation", "cp"),
        *("--python-version", python),
        *(argument for tag in platforms(architecture) for argument in ("--platform", tag)),
        *("--requirement", requirements, "--dest", dest),
    ]


def inputs(options: Options) -> dict[str, t.Any]:
    return {
        "requirements": hashlib.sha256(options["requirements"].encode("utf-8")).hexdigest(),
        "pythons": sorted(options["pythons"]),
        "architecture": options["architecture"],
    }


def make(options: Options, module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    if not HAS_PACKAGING:
        raise BundleError(missing_required_lib("packaging"))
    run, architecture = runner(module), options["architecture"]
    progress = draft.begin(keep=True)
    progress.start("wheels", total=len(options["pythons"]), unit="Python versions")
    for python in options["pythons"]:
        requirements = draft.path(f"requirements-{python}.txt")
        with open(requirements, "w", encoding="utf-8") as stream:
            stream.write(requirements_for(options["requirements"], python, architecture))
        command = pip_download(sys.executable, python, architecture, requirements, draft.payload)
        run(command, f"cannot download the wheels for Python {python}")
        progress.advance(1)
    return draft.publish({}, progress)


def results(record: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"wheels": sorted(record.get("files", {}))}


KIND = Kind(SPEC, inputs, make, results)
