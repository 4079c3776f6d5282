#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_image

short_description: Have a backend image in the Docker engine, by digest

version_added: "0.1.0"

description:
  - Pulls an image from a registry by the digest of its manifest, or loads it from an archive of C(docker save) and
    makes sure that it is the image with the id that was asked for.
  - Where only a tag is given, the registry is asked which digest that stands for, and that is recorded. From then on
    the image goes by the recorded digest, also when it has to be pulled again. A tag that was moved since is refused;
    see O(tag_moved).
  - A record of it is kept in O(dest); the image itself is in the engine.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
    details:
      - Without an engine or the Docker SDK for Python on the host, only O(dest) is looked at.
      - A registry is asked for a tag only whose digest is recorded.
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
        With a digest, a tag in it is not looked at.
      - Required for O(source=registry).
    type: str
  digest:
    description:
      - For O(source=registry) the digest of the manifest, for O(source=archive) the id that the image must have;
        V(sha256:) and 64 hexadecimal digits.
      - Required for O(source=archive). For O(source=registry) it makes the inventory say which image that is; otherwise
        the first run on each host does.
    type: str
  archive:
    description:
      - Archive of C(docker save) on the host, plain or compressed.
      - Required for O(source=archive).
    type: path
  dest:
    description:
      - Folder that will hold the record, C(artifact.json).
    type: path
    required: true
  docker_config:
    description:
      - File on the host as C(docker login) writes it, with the registry's credentials.
      - If not given, that is C(~/.docker/config.json) when it exists.
    type: path
  registry_auth:
    description:
      - Credentials for the registry, for this pull only. They are held in memory and written nowhere on the host.
      - Either what C(docker login) writes into C(config.json), with an entry of the registry; or two lines, user name
        and password. For NVIDIA's registry (V(nvcr.io)) the user name is V($oauthtoken), the password the API key.
    type: str
  tag_moved:
    description:
      - What to do when the tag in O(reference) stands for another image than when its digest was recorded.
      - V(refuse) fails. Where the registry cannot be asked and the image is there, it only warns.
      - V(keep) does not ask, and goes on with the recorded image.
      - To take the new image, set O(digest) to it, so that what was built by the old one is built anew.
    type: str
    choices: [refuse, keep]
    default: refuse
  docker_host:
    description:
      - URL of the Docker engine. If not given, the environment variable E(DOCKER_HOST), or the local socket.
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
- name: Pull the backend's image
  tritonops.trtllm.trtllm_image:
    source: registry
    reference: nvcr.io/nvidia/tritonserver
    digest: sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    dest: /opt/trtllm/image/8a6f3c2e1d0b9574
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python

- name: Pull the image that a tag stands for now, with NVIDIA's API key, and notice when the tag is moved
  tritonops.trtllm.trtllm_image:
    source: registry
    reference: nvcr.io/nvidia/tritonserver:25.12-trtllm-python-py3
    registry_auth: "{{ lookup('ansible.builtin.file', '~/.config/ngc_login') }}"
    dest: /opt/trtllm/image/0d9b95748a6f3c2e
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
  register: image

- name: Say which image it is
  ansible.builtin.debug:
    var: image.image

- name: Load it from an archive on a host without a registry
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
    - What to run, as V(repository@sha256:…) or V(sha256:…).
    - In check mode it is O(reference), as long as no run has looked up its tag.
  returned: success
  type: str
  sample: nvcr.io/nvidia/tritonserver@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
image_id:
  description: Id of the image in the engine; null while it is not there.
  returned: success
  type: str
  sample: sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c
labels:
  description: The image's labels.
  returned: success
  type: dict
  sample: {"com.nvidia.build.ref": "abcdef"}
size:
  description: Bytes of the image in the engine; null while it is not there.
  returned: success
  type: int
  sample: 38654705664
reason:
  description: Why the image had to be fetched; null when it was there.
  returned: success
  type: str
  sample: "Docker does not have image sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Login, connect
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._image import (
    REFUSE,
    TAG_MOVED,
    image_request,
    image_result,
)


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
            "docker_host": {"type": "str"},
        },
        required_if=[("source", "registry", ["reference"]), ("source", "archive", ["archive", "digest"])],
        mutually_exclusive=[("docker_config", "registry_auth")],
        supports_check_mode=True,
    )
    names = ("reference", "digest", "dest", "source", "archive", "tag_moved")
    login = Login(module.params["docker_config"], module.params["registry_auth"])
    try:
        request = image_request(
            **{name: module.params[name] for name in names}, login=login, check_mode=module.check_mode
        )
        result = image_result(request, connect(module, module.params["docker_host"]))
    except ArtifactError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"cannot make {module.params['dest']}: {exc}")
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
