#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_image

short_description: Pull, load or verify a backend image by digest

version_added: "0.1.0"

description:
  - Pulls an image from a registry by the digest of its manifest, or loads it from an archive of C(docker save) and
    checks that it is the requested image.
  - If only a tag is given, its digest is looked up in the registry and recorded. Later runs use the recorded digest,
    even if the image has to be pulled again. If the tag was moved since, the module fails; see O(tag_moved).
  - The record is in O(dest); the image itself is in Docker.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
    details:
      - Without Docker or the Docker SDK for Python on the host, only O(dest) is checked.
      - A tag is only looked up in the registry if its digest is recorded.
  diff_mode:
    support: full
    details:
      - Shows the record, not the content of the image.
  idempotent:
    support: full

options:
  source:
    description:
      - Where the image comes from.
    type: str
    choices: [registry, archive]
    required: true
  reference:
    description:
      - Name of the image in its registry, such as V(nvcr.io/nvidia/tritonserver).
      - Without O(digest) it must have a tag, as in V(nvcr.io/nvidia/tritonserver:25.12-trtllm-python-py3), or a digest.
        With a digest, its tag is ignored.
      - Required for O(source=registry).
    type: str
  digest:
    description:
      - For O(source=registry), the digest of the manifest. For O(source=archive), the digest of the image's
        configuration or of its manifest. Docker shows the first as its ID, or the second if it uses containerd's image
        store. They have the form V(sha256:) and 64 hexadecimal digits.
      - Required for O(source=archive). For O(source=registry), it makes all hosts use the same image. Without it, the
        first run looks up the tag.
    type: str
  archive:
    description:
      - Archive of C(docker save) on the host, optionally compressed.
      - Required for O(source=archive).
    type: path
  dest:
    description:
      - Folder for the record, C(artifact.json).
    type: path
    required: true
  docker_config:
    description:
      - File on the host with the registry's credentials, as written by C(docker login).
      - The default is C(~/.docker/config.json), if it exists.
    type: path
  registry_auth:
    description:
      - Credentials for the registry, for this pull only. They are not written to any file on the host.
      - Either the content of C(config.json) as written by C(docker login), with an entry for the registry, or two lines
        with the user name and the password. For NVIDIA's registry (V(nvcr.io)), the user name is V($oauthtoken) and the
        password is the API key.
    type: str
  tag_moved:
    description:
      - What to do if the tag in O(reference) was moved to a different image after its digest was recorded.
      - With V(refuse), the module fails. If the registry cannot be reached and Docker has the image, it only warns.
      - With V(keep), the recorded image is used without asking the registry.
      - To use the new image, set O(digest) to its digest. Everything that was built with the old image is then built
        again.
    type: str
    choices: [refuse, keep]
    default: refuse
  resolved:
    description:
      - The digest of the tag in O(reference), if it is known. The registry is then not asked for it.
      - The module's action plugin sets it, so that all hosts of a play use the image that the tag has for the first of
        them. If a host of the play has recorded another digest, the module fails; with O(tag_moved=keep), the recorded
        one is used on all hosts.
    type: str
  look_up:
    description:
      - Whether to only look up the digest of the tag in O(reference). Nothing is pulled or recorded.
    type: bool
    default: false
  docker_host:
    description:
      - URL of the Docker daemon. The default is the environment variable E(DOCKER_HOST), or the local socket.
    type: str

requirements:
  - docker >= 7.0 (the Docker SDK for Python)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_checkpoint
"""

EXAMPLES = r"""
---
- name: Pull the backend image
  tritonops.trtllm.trtllm_image:
    source: registry
    reference: nvcr.io/nvidia/tritonserver
    digest: sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    dest: /opt/trtllm/image/8a6f3c2e1d0b9574
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python

- name: Pull an image by tag with NVIDIA's API key, and record its digest
  tritonops.trtllm.trtllm_image:
    source: registry
    reference: nvcr.io/nvidia/tritonserver:25.12-trtllm-python-py3
    registry_auth: "{{ lookup('ansible.builtin.file', '~/.config/ngc_login') }}"
    dest: /opt/trtllm/image/0d9b95748a6f3c2e
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
  register: image

- name: Show the digest of the image
  ansible.builtin.debug:
    var: image.image

- name: Load the image from an archive
  tritonops.trtllm.trtllm_image:
    source: archive
    archive: /srv/images/backend.tar
    digest: sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c
    dest: /opt/trtllm/image/1d0b95748a6f3c2e
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
"""

RETURN = r"""
image:
  description:
    - The image to run, in the form V(repository@sha256:…) or V(sha256:…).
    - For O(source=archive) it is the ID that Docker shows, which may be another digest of the image than O(digest). The
      same is true for an image that was copied from another host with M(tritonops.trtllm.image_archive).
    - In check mode it is O(reference) until a run has looked up its tag.
  returned: success
  type: str
  sample: nvcr.io/nvidia/tritonserver@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
digest:
  description: The digest of the tag.
  returned: with O(look_up=true)
  type: str
  sample: sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
image_id:
  description: ID of the image in Docker; V(null) if Docker does not have it.
  returned: success
  type: str
  sample: sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c
labels:
  description: The image's labels.
  returned: success
  type: dict
  sample: {"com.nvidia.build.ref": "abcdef"}
size:
  description: Size of the image in bytes; V(null) if Docker does not have it.
  returned: success
  type: int
  sample: 38654705664
reason:
  description: Why the image had to be pulled or loaded; V(null) if Docker had it.
  returned: success
  type: str
  sample: "Docker does not have image sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Login, connect
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._image import (
    REFUSE,
    TAG_MOVED,
    image_request,
    image_result,
    tag_digest,
)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    names = ("reference", "digest", "dest", "source", "archive", "tag_moved", "resolved")
    login = Login(module.params["docker_config"], module.params["registry_auth"])
    request = image_request(**{name: module.params[name] for name in names}, login=login, check_mode=module.check_mode)
    docker = connect(module, module.params["docker_host"])
    if module.params["look_up"]:
        return {"changed": False, "digest": tag_digest(request, docker) if docker else None}
    result = image_result(request, docker)
    for warning in result.pop("warnings"):
        module.warn(warning)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "choices": ["registry", "archive"], "required": True},
            "reference": {"type": "str"},
            "digest": {"type": "str"},
            "archive": {"type": "path"},
            "dest": {"type": "path", "required": True},
            "docker_config": {"type": "path"},
            "registry_auth": {"type": "str", "no_log": True},
            "tag_moved": {"type": "str", "choices": list(TAG_MOVED), "default": REFUSE},
            "resolved": {"type": "str"},
            "look_up": {"type": "bool", "default": False},
            "docker_host": {"type": "str"},
        },
        required_if=[("source", "registry", ["reference"]), ("source", "archive", ["archive", "digest"])],
        mutually_exclusive=[("docker_config", "registry_auth")],
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
