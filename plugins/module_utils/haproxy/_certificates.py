# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The certificates that a running HAProxy uses, which may differ from those in its files, and how long they are valid.

Source: HAProxy Management Guide 2.8, section 9.3 (`show ssl cert`, `show ssl ca-file`).
"""

from __future__ import annotations

import ssl
import time
import typing as t
from datetime import datetime, timezone

from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError, Runtime

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

KINDS = {"certificate": "show ssl cert", "authority": "show ssl ca-file"}
DAY = 86400


def certificate_info(module: AnsibleModule) -> dict[str, t.Any]:
    runtime = Runtime(module.params["socket"])
    running = runtime.is_running()
    certificates = loaded_certificates(runtime, time.time()) if running else []
    for certificate in certificates:
        if certificate["days_left"] < module.params["warn_days"]:
            module.warn(warning(certificate))
    return {"changed": False, "running": running, "certificates": certificates}


def warning(certificate: t.Mapping[str, t.Any]) -> str:
    left = certificate["days_left"]
    when = f"expires in {left} days" if left >= 0 else "has expired"
    return (
        f"{certificate['path']}: the {certificate['kind']} {certificate['subject']} {when} ({certificate['expires']}):"
        " docs/gateway.md describes how to renew it"
    )


def loaded_certificates(runtime: Runtime, now: float) -> list[dict[str, t.Any]]:
    return [
        {"path": path, "kind": kind, **validity}
        for kind, command in KINDS.items()
        for path in files(runtime.run(command))
        for validity in validities(runtime.run(f"{command} {path}"), now)
    ]


def files(answer: str) -> list[str]:
    """The files of a list, such as `ca.pem - 1 certificate(s)`. Names with an @ are not files of the configuration."""
    lines = [line.strip() for line in answer.splitlines()]
    return [line.split(" - ")[0] for line in lines if line and not line.startswith(("#", "@"))]


def days_until(end: str, now: float) -> int:
    """The days until a time such as Nov 28 17:55:03 2027 GMT, as OpenSSL writes it."""
    return int((ssl.cert_time_to_seconds(end) - now) // DAY)


def validities(answer: str, now: float) -> list[dict[str, t.Any]]:
    """Subject and end of the certificates of a file. Those of its chain have other fields, and are left out."""
    found: list[dict[str, t.Any]] = []
    for line in answer.splitlines():
        name, _colon, value = line.partition(": ")
        if name == "notAfter":
            end = ssl.cert_time_to_seconds(value)
            expires = datetime.fromtimestamp(end, timezone.utc)
            found.append({"expires": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "days_left": days_until(value, now)})
        elif name == "Subject" and found:
            found[-1]["subject"] = value
    if not found:
        raise HAProxyError(f"no certificate in HAProxy's answer: {answer}")
    return found
