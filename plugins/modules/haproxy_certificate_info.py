#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_certificate_info
short_description: Return how long the certificates of a running HAProxy are valid
version_added: "0.1.0"
description:
  - Asks HAProxy over its stats socket for the certificates that it uses, and for those of the authorities that it
    trusts. A file that was replaced since HAProxy was reloaded is not considered.
  - Warns of those that expire soon. If HAProxy does not run, nothing is returned.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
options:
  socket:
    description:
      - HAProxy's stats socket, which must have the level C(admin).
    type: path
    required: true
  warn_days:
    description:
      - Warn of certificates that are valid for fewer days than this.
    type: int
    default: 30
seealso:
  - module: tritonops.trtllm.certificate
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Find out how long the gateway's certificates are valid
  tritonops.trtllm.haproxy_certificate_info:
    socket: /run/trtllm-gateway/haproxy.sock
"""

RETURN = r"""
running:
  description: Whether HAProxy runs.
  returned: success
  type: bool
  sample: true
certificates:
  description: The certificates.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file that HAProxy loaded the certificate from.
      type: str
      sample: /etc/trtllm/gateway/certificate.pem
    kind:
      description: V(certificate), or V(authority) for one that HAProxy trusts.
      type: str
      sample: certificate
    subject:
      description: Whose certificate it is.
      type: str
      sample: /OU=server/CN=gateway1
    expires:
      description: Until when it is valid, in UTC.
      type: str
      sample: "2028-11-28T12:00:00Z"
    days_left:
      description: For how many whole days it is still valid. Negative if it has expired.
      type: int
      sample: 730
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._certificates import certificate_info
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "warn_days": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(
        module,
        certificate_info,
        f"cannot find the certificates of the HAProxy at {module.params['socket']}",
        errors=(OSError, HAProxyError),
    )


if __name__ == "__main__":
    main()
