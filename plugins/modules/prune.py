#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prune
short_description: Remove what no release needs
version_added: "0.1.0"
description:
  - Removes releases, artifacts, unfinished folders of interrupted runs, caches of compiled kernels, and logs of builds
    from a root folder of the collection, and their images from Docker. In check mode they are only listed, with the
    space that each one frees.
  - The current, the previous, the last proved and the newest releases of every deployment are kept, with all artifacts
    that they were made from. So is what a process has open or mounted, and what another run is making.
  - Only names that the collection uses and that have its record are removed, and only below a root folder with its
    mark.
  - The cache of builds is only removed from a Docker that the collection installed.
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
  path:
    description:
      - The root folder, an absolute path.
    type: path
    required: true
  keep:
    description:
      - How many of the newest releases of each deployment are kept in any case.
    type: int
    default: 2
  wanted:
    description:
      - The plan of the host, one of RV(tritonops.trtllm.trtllm_plan#module:hosts). What it names is kept.
    type: dict
    default: {}
  docker_host:
    description:
      - URL of the Docker daemon. The default is the environment variable E(DOCKER_HOST), or the local socket.
      - If Docker cannot be asked, images and their records are kept.
    type: str
  host_record:
    description:
      - The record of the host's state, which says whether the collection installed Docker.
    type: path
    default: /var/lib/trtllm/host_record.json
requirements:
  - docker >= 7.0 (the Docker SDK for Python), for images
seealso:
  - module: tritonops.trtllm.root_folder
  - module: tritonops.trtllm.host_lease
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: List what no release needs
  tritonops.trtllm.prune:
    path: /opt/trtllm
  check_mode: true

- name: Remove it, and keep three releases of each deployment
  tritonops.trtllm.prune:
    path: /opt/trtllm
    keep: 3
"""

RETURN = r"""
removed:
  description: What was removed (in check mode, what would be removed).
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: Its kind, V(release), V(cache), V(log), V(build cache), or the kind of an artifact.
      type: str
      sample: engine
    path:
      description: Its path; empty for the cache of builds.
      type: str
      sample: /opt/trtllm/engine/c49b01ad7e3f5862
    why:
      description: Why it is not needed.
      type: str
      sample: no release needs it
    bytes:
      description:
        - The space that this frees. A file that has a hard link elsewhere frees none; if all its links are removed, it
          counts for the last of them. Layers that an image shares with another one do not count.
      type: int
      sample: 95300000000
kept:
  description: What no release needs, but was kept.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Its path.
      type: str
      sample: /opt/trtllm/weights/00112233445566ff.partial
    why:
      description: Why it was kept.
      type: str
      sample: a process or another run uses it
freed_bytes:
  description: The sum of RV(removed[].bytes).
  returned: success
  type: int
  sample: 95300000000
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._decision import KEEP
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._prune import prune


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "keep": {"type": "int", "default": KEEP},
            "wanted": {"type": "dict", "default": {}},
            "docker_host": {"type": "str"},
            "host_record": {"type": "path", "default": "/var/lib/trtllm/host_record.json"},
        },
        supports_check_mode=True,
    )
    run_module(module, prune, f"cannot prune {module.params['path']}", remedy="Run this task as root.")


if __name__ == "__main__":
    main()
