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
  - Merges settings into Docker's configuration file and keeps all others. It is the one owner of that
    file, so that several roles can each bring their keys and none removes those of another.
  - The new file is checked by Docker itself where that can (C(dockerd --validate), Docker 23.0 and later)
    before it takes the place of the old one.
  - Does not restart Docker. M(tritonops.trtllm.docker_service) does, when the file is newer than the Docker service.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  config:
    description:
      - The settings, in the names of C(daemon.json).
      - Dictionaries are merged at every level, lists and other values are replaced.
      - V(null) removes a key.
    type: dict
    required: true
  path:
    description:
      - Docker's configuration file. Its folder is made when it is missing.
      - A symbolic link is followed, its target is written.
    type: path
    default: /etc/docker/daemon.json
  backup:
    description:
      - Keep a copy of the old file, named after the time.
    type: bool
    default: false
  validate:
    description:
      - Let Docker check the new file before it is put in place.
      - Nothing is checked when O(dockerd) is not installed or is older than 23.0. RV(validated) tells.
    type: bool
    default: true
  dockerd:
    description:
      - Name or path of the daemon's program.
    type: str
    default: dockerd
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

- name: Let containers use NVIDIA GPUs, and drop a registry mirror
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
config:
  description: The whole configuration as it is now (in check mode, as it would be).
  returned: always
  type: dict
  sample:
    log-driver: local
    log-opts:
      max-size: 100m
validated:
  description: Whether Docker has checked the new file.
  returned: always
  type: bool
  sample: true
backup_file:
  description: The copy of the old file.
  returned: when O(backup=true) and the file was there and changed
  type: str
  sample: /etc/docker/daemon.json.4242.2026-11-22@12:00:00~
"""

import os
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._daemon_config import (
    dump,
    merge,
    parse,
    read,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody


def docker_accepts(module: AnsibleModule, candidate: str) -> bool:
    """Whether Docker has checked the file; raises when it refuses it."""
    dockerd = module.get_bin_path(module.params["dockerd"], opt_dirs=["/usr/sbin", "/usr/local/sbin"])
    if dockerd is None:
        return False
    rc, out, err = module.run_command([dockerd, "--validate", "--config-file", candidate])
    if rc == 0:
        return True
    words = (err.strip() or out.strip()).replace(candidate, module.params["path"])
    if "unknown flag: --validate" in words:
        return False
    raise ModuleFailure(
        f"Docker refuses the new {module.params['path']}: {words}."
        " The file was left as it is: correct the option 'config'."
    )


def write_candidate(module: AnsibleModule, text: str) -> str:
    """The new file in the module's own folder, which Ansible removes."""
    handle, candidate = tempfile.mkstemp(dir=module.tmpdir, suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return candidate


def publish(module: AnsibleModule, candidate: str, path: str, exists: bool) -> str | None:
    """Put the file in place in one step. Returns the backup's name."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    backup = module.backup_local(path) if exists and module.params["backup"] else None
    module.atomic_move(candidate, path)
    return backup


@readable_by_everybody()
def run(module: AnsibleModule) -> dict[str, t.Any]:
    path = os.path.realpath(module.params["path"])
    text = read(path)
    before = parse(text or "", path)
    after = merge(before, module.params["config"])
    changed = before != after
    result: dict[str, t.Any] = {"changed": changed, "config": after, "validated": False}
    if module._diff:
        result["diff"] = {
            "before_header": path,
            "after_header": path,
            "before": text or "",
            "after": dump(after) if changed else text or "",
        }
    if not changed:
        return result
    candidate = write_candidate(module, dump(after))
    if module.params["validate"]:
        result["validated"] = docker_accepts(module, candidate)
    if not module.check_mode:
        backup = publish(module, candidate, path, text is not None)
        if backup:
            result["backup_file"] = backup
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "backup": {"type": "bool", "default": False},
            "validate": {"type": "bool", "default": True},
            "dockerd": {"type": "str", "default": "dockerd"},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot write {module.params['path']}")


if __name__ == "__main__":
    main()
