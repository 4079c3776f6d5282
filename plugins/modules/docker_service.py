#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_service
short_description: Keep the Docker service enabled, running and up to date with its settings
version_added: "0.1.0"
description:
  - Enables and starts the Docker service, restarts it when its settings are newer than it, and waits until Docker
    answers.
  - The service is restarted when a file with its settings was written after it was started, and not otherwise.
    Unlike a handler this is not forgotten when a play is killed between the change and the restart, and roles that each
    bring settings share one restart.
  - Services in O(drained_units) are stopped before a restart, by their own way of stopping, and started again after.
    This is needed with C(live-restore) too, which keeps containers but not the client that a service runs.
    Containers that belong to no such service stop with Docker, unless it has C(live-restore).
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Settings that check mode has not written are not seen; O(pending) tells of them.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  apply_settings:
    description:
      - Whether to restart a running service whose settings are newer than it.
    type: bool
    default: true
  files:
    description:
      - Files with settings, and folders of which every file is one. What is missing is passed over.
    type: list
    elements: path
    default: [/etc/docker/daemon.json, /etc/systemd/system/docker.service.d]
  drained_units:
    description:
      - Services to stop before a restart, in this order, if they are running. They are started again in the opposite
        order, also when Docker does not come back.
      - Patterns such as V(trtllm@*.service) stand for all running services that match.
    type: list
    elements: str
    default: []
  pending:
    description:
      - Whether settings were changed by this play, so that check mode can predict the restart. Used only in check mode.
    type: bool
    default: false
  unit:
    description:
      - The Docker service.
    type: str
    default: docker.service
  timeout:
    description:
      - Seconds to wait for Docker to answer.
    type: int
    default: 30
seealso:
  - module: tritonops.trtllm.docker_daemon_config
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Limit the size of container logs
  tritonops.trtllm.docker_daemon_config:
    config:
      log-driver: local
  register: docker_settings

- name: Restart Docker for it, and stop the model's services properly before
  tritonops.trtllm.docker_service:
    pending: "{{ docker_settings is changed }}"
    drained_units: [trtllm@*.service]
"""

RETURN = r"""
newer:
  description: The files that were written after the service was started.
  returned: success
  type: list
  elements: str
  sample: [/etc/docker/daemon.json]
drained:
  description: The services that were (in check mode, would be) stopped and started again.
  returned: success
  type: list
  elements: str
  sample: [trtllm@default.service]
version:
  description: The version of Docker that answers. Empty in check mode where it is not running.
  returned: success
  type: str
  sample: 28.5.1
runtimes:
  description: The names of the runtimes that Docker can run containers with.
  returned: success
  type: list
  elements: str
  sample: [io.containerd.runc.v2, runc]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._service import ensure_running

SETTINGS = ["/etc/docker/daemon.json", "/etc/systemd/system/docker.service.d"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "apply_settings": {"type": "bool", "default": True},
            "files": {"type": "list", "elements": "path", "default": SETTINGS},
            "drained_units": {"type": "list", "elements": "str", "default": []},
            "pending": {"type": "bool", "default": False},
            "unit": {"type": "str", "default": "docker.service"},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(module, ensure_running, f"cannot manage {module.params['unit']}")


if __name__ == "__main__":
    main()
