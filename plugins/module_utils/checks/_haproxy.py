# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether HAProxy is new enough for a gateway or for the endpoint of a host."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Check, Fact, Finding, error
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import HAProxy, Needs


@dataclass(frozen=True)
class HAProxyVersion(Fact):
    """The version that is installed, or that would be; unknown on Enterprise Linux before it is installed."""

    version: str
    installed: bool = True

    @classmethod
    def gather(cls, host: LiveHost) -> HAProxyVersion | None:
        need = host.needs.haproxy
        if need is None:
            return None
        found = _number(r"version ([0-9.]+)", host.output_of(need.executable, "-v"))
        if found:
            return cls(found)
        candidate = _number(r"Candidate: ([0-9.]+)", host.output_of("apt-cache", "policy", "haproxy"))
        return cls(candidate, installed=False) if need.package and candidate else None

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"haproxy": self.version}


def _number(pattern: str, output: str | None) -> str:
    found = re.search(pattern, output or "")
    return found.group(1) if found else ""


def haproxy_version(need: HAProxy, found: HAProxyVersion) -> t.Iterator[Finding]:
    if version(found.version) < version(need.version):
        what = f"{need.executable} is" if found.installed else "the distribution's package has"
        yield error(
            f"{what} HAProxy {found.version}, but gateways and endpoints need {need.version} or later",
            "set O(haproxy) to image with haproxy_image, or to existing with the haproxy_executable of a newer one",
        )


CHECKS = (Check(haproxy_version, "haproxy", (HAProxyVersion,)),)
