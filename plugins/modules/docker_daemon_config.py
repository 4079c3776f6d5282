#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon_config
short_description: Merge settings into Docker's daemon.json
version_added: "0.1.0"
description:
  - Merges settings into Docker's configuration file and keeps all others, so that several roles can each set their own
    keys.
  - Docker validates the new file before it replaces the old one (C(dockerd --validate), Docker 23.0 and later). It does
    so with the flags of O(unit), because it does not start if a setting is both in the file and a flag.
  - This module does not restart Docker. M(tritonops.trtllm.docker_service) does, if the file is newer than the running
    Docker service.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the keys that change with their new values. Other keys, and old values, are not shown, because they may be
        secrets of other programs.
  idempotent:
    support: full
options:
  config:
    description:
      - The settings, with the keys of C(daemon.json).
      - Dictionaries are merged at every level. Lists and other values are replaced.
      - V(null) removes a key.
    type: dict
    required: true
  path:
    description:
      - Docker's configuration file. Its folder is created if it does not exist.
      - If it is a symbolic link, its target is changed.
    type: path
    default: /etc/docker/daemon.json
  backup:
    description:
      - Whether to keep a copy of the old file, with the time in its name. It is empty if there was no file.
      - M(tritonops.trtllm.docker_service) restores it if Docker does not start with the new file.
    type: bool
    default: false
  validate:
    description:
      - Whether Docker must validate the new file before it is used.
      - If O(dockerd) is not installed or is older than 23.0, only settings that are also flags are found; see
        RV(validated).
    type: bool
    default: true
  dockerd:
    description:
      - Name or path of the executable of the Docker daemon.
    type: str
    default: dockerd
  unit:
    description:
      - The Docker service, whose flags are compared with the settings.
    type: str
    default: docker.service
seealso:
  - module: tritonops.trtllm.docker_service
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Limit the size of container logs
  tritonops.trtllm.docker_daemon_config:
    config:
      log-driver: local
      log-opts:
        max-size: 100m

- name: Add the NVIDIA runtime, and remove the registry mirrors
  tritonops.trtllm.docker_daemon_config:
    config:
      runtimes:
        nvidia:
          path: nvidia-container-runtime
          args: []
      registry-mirrors: null
    backup: true
"""

RETURN = r"""
validated:
  description: Whether Docker validated the new file.
  returned: always
  type: bool
  sample: true
backup_file:
  description: The copy of the old file.
  returned: when O(backup=true) and the file was changed
  type: str
  sample: /etc/docker/daemon.json.4242.2026-11-22@12:00:00~
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._daemon_config import ensure_config


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "backup": {"type": "bool", "default": False},
            "validate": {"type": "bool", "default": True},
            "dockerd": {"type": "str", "default": "dockerd"},
            "unit": {"type": "str", "default": "docker.service"},
        },
        supports_check_mode=True,
    )
    run_module(module, ensure_config, f"cannot write {module.params['path']}")


if __name__ == "__main__":
    main()
