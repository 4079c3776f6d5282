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
  - Enables and starts the Docker service, restarts it if its settings are newer than the running service, and waits
    until Docker answers.
  - The service is only restarted if a file with its settings was changed after it was started. Unlike with a handler,
    the restart is not lost if a play is killed after the change, and several roles share one restart.
  - If Docker does not start, or does not answer, O(files) of which M(tritonops.trtllm.docker_daemon_config) made copies
    since the last start are restored, and Docker is started again. The module then fails with Docker's last lines.
  - systemd is only reloaded if the unit has changed, because a reload can take the GPUs away from running containers.
  - Services in O(drained_units) are stopped before a restart and started again after it. This is also necessary with
    C(live-restore), which keeps containers but not the client that a service runs. Without C(live-restore), all other
    containers stop with Docker.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Check mode does not write settings, so the restart is only predicted if O(pending) is set.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  apply_settings:
    description:
      - Whether to restart a running service if its settings are newer.
    type: bool
    default: true
  files:
    description:
      - Files with settings, and folders with such files. Missing ones are ignored.
      - A time in the future, which a clock that was ahead left behind, counts as newer, and becomes the present.
    type: list
    elements: path
    default: [/etc/docker/daemon.json, /etc/systemd/system/docker.service.d]
  drained_units:
    description:
      - Running services to stop before a restart, in this order. They are started again in the opposite order, even if
        the restart fails.
      - Patterns such as V(trtllm@*.service) are allowed.
    type: list
    elements: str
    default: []
  minimum_version:
    description:
      - The oldest version of Docker to accept. The module fails if Docker is older.
    type: str
  pending:
    description:
      - Whether this play changes settings. Only used in check mode, to predict the restart.
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

- name: Restart Docker if its settings changed, and stop the model servers first
  tritonops.trtllm.docker_service:
    pending: "{{ docker_settings is changed }}"
    minimum_version: "20.10"
    drained_units: [trtllm@*.service]
"""

RETURN = r"""
newer:
  description: The files that were changed after the service was started.
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
  description: The version of Docker. Empty in check mode if Docker is not running.
  returned: success
  type: str
  sample: 28.5.1
runtimes:
  description: The names of the container runtimes that Docker knows.
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
            "minimum_version": {"type": "str"},
            "pending": {"type": "bool", "default": False},
            "unit": {"type": "str", "default": "docker.service"},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(module, ensure_running, f"cannot manage {module.params['unit']}")


if __name__ == "__main__":
    main()
