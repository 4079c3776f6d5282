#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Find out what would stop a deployment on a host, all of it at once
version_added: "0.1.0"
description:
  - Looks at a host before anything is changed on it and returns every obstacle it finds, each with what to do about it.
  - It needs nothing but Python on the host. It fails only when it cannot look; obstacles are returned,
    so that the caller decides.
  - Only what is asked for is looked at.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
options:
  ports:
    description:
      - TCP ports that the service will listen on.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The port.
        type: int
        required: true
      address:
        description: The address that the service will listen on.
        type: str
        default: 127.0.0.1
      what:
        description: What the port is for, in the messages.
        type: str
  unit:
    description:
      - Name of the service's systemd unit, C(.service) included. A port that a process of this unit has is not taken.
    type: str
  container:
    description:
      - Name of the service's container. A port that this container has is not taken.
    type: str
  disk:
    description:
      - What is going to be written. The sum is compared with the free space for each file system.
      - A folder which has an C(artifact.json) is finished and needs nothing more. What is already in a folder of that
        name with C(.partial) appended counts as written.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The folder or file. It need not exist, its nearest existing parent tells the file system.
        type: path
        required: true
      bytes:
        description: How much, in bytes.
        type: int
        required: true
      what:
        description: What it is, in the messages.
        type: str
  memory_bytes:
    description:
      - How much memory the host must have, in bytes.
    type: int
  hub:
    description:
      - A model that will be downloaded. It is asked for at the hub, without downloading it.
      - The proxy variables of the environment are honoured.
    type: dict
    suboptions:
      endpoint:
        description: URL of the hub.
        type: str
        default: https://huggingface.co
      repository:
        description: Name of the model, owner and name.
        type: str
        required: true
      revision:
        description: Commit, tag or branch.
        type: str
        required: true
      files:
        description: Files of the model. One is asked for, as the descriptions of gated models are public.
        type: list
        elements: str
        default: [config.json]
      token_file:
        description: File on the host which has the access token. It may be missing for a public model.
        type: path
      token:
        description: The access token itself; takes precedence over the file.
        type: str
      ca_bundle:
        description: File with the certificates to trust in place of the system's.
        type: path
      dest:
        description: Folder that the model will be put in. The hub is not asked when it is finished already.
        type: path
  registry:
    description:
      - An image registry which must answer.
    type: dict
    suboptions:
      url:
        description: URL, or host name and port, of the registry.
        type: str
        required: true
      ca_bundle:
        description: File with the certificates to trust in place of the system's.
        type: path
  archive:
    description:
      - An image archive, as C(docker save) writes it, which must be there.
    type: dict
    suboptions:
      path:
        description: The archive.
        type: path
        required: true
      digest:
        description: The id of the image that must be in it, C(sha256:) and 64 hexadecimal digits.
        type: str
  engine:
    description:
      - An engine that will be served. It must have been built by the image that is going to serve it.
    type: dict
    suboptions:
      path:
        description: The engine's folder. It may be missing.
        type: path
        required: true
      image_digest:
        description: The digest of the image.
        type: str
        required: true
  architectures:
    description:
      - Processor architectures that will do, in the kernel's names. Empty for any.
    type: list
    elements: str
    default: []
  systems:
    description:
      - Distributions that will do, by their C(ID) in C(/etc/os-release), and the oldest version of each. Empty for any.
    type: dict
    default: {}
  systemd:
    description:
      - Whether systemd must be running.
    type: bool
    default: false
  variables:
    description:
      - What remedies call the settings that they tell to correct. The keys are V(ports), V(disk), V(memory),
        V(endpoint), V(repository), V(token), V(ca_bundle), V(registry), V(archive) and V(engine). The default is the
        name of the option.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds to wait for each answer over the network.
    type: int
    default: 20
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Look whether a small model could be served here
  tritonops.trtllm.preflight_info:
    ports:
      - port: 8000
        what: HTTP
      - port: 8001
        what: gRPC
    unit: triton.service
    container: triton
    disk:
      - path: /opt/trtllm/weights/0123456789abcdef
        bytes: 269000000
        what: weights
    hub:
      repository: HuggingFaceTB/SmolLM2-135M-Instruct
      revision: main
    systemd: true
  register: preflight

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ item.message }}; {{ item.remedy }}"
  loop: "{{ preflight.findings }}"
"""

RETURN = r"""
findings:
  description: The obstacles; empty when there are none.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description:
        - Which check it comes from. One of V(port_taken), V(disk_space), V(memory), V(architecture), V(os_untested),
          V(os_unsupported), V(systemd), V(hub_token_missing), V(hub_token_refused), V(hub_not_found),
          V(hub_unreachable), V(registry_unreachable), V(archive_missing), V(archive_unreadable), V(archive_image),
          V(archive_unchecked), V(engine_image).
      type: str
      sample: port_taken
    severity:
      description: V(error) for what will stop the deployment, V(warning) for what may.
      type: str
      sample: error
    message:
      description: What was found.
      type: str
      sample: "port 8000 on 127.0.0.1 (HTTP) is taken by pid 4242: nginx: master process (it listens on 0.0.0.0)"
    remedy:
      description: What to do about it.
      type: str
      sample: stop it, or choose another port in ports
facts:
  description: What was measured.
  returned: always
  type: dict
  contains:
    architecture:
      description: Architecture of the processor.
      type: str
      sample: x86_64
    system:
      description: The distribution's C(ID) and C(VERSION_ID).
      type: str
      sample: debian 12
    memory_bytes:
      description: Memory of the host.
      type: int
      sample: 25208512512
    disk:
      description: The file systems that O(disk) asks for.
      type: list
      elements: dict
      sample:
        - mount: /
          needed_bytes: 269000000
          free_bytes: 84000000000
"""

import json
import socket
import ssl
import typing as t
from urllib.error import HTTPError, URLError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import ConnectionError as UrlsConnectionError
from ansible.module_utils.urls import SSLValidationError, open_url
from ansible_collections.tritonops.trtllm.plugins.module_utils import _preflight as checks
from ansible_collections.tritonops.trtllm.plugins.module_utils._artifact import is_complete
from ansible_collections.tritonops.trtllm.plugins.module_utils._host import memory_total
from ansible_collections.tritonops.trtllm.plugins.module_utils._hub_access import (
    Fetch,
    Hub,
    Reply,
    Unreachable,
    check_hub,
    check_registry,
)

NAMES = {
    "ports": "ports",
    "disk": "disk",
    "memory": "memory_bytes",
    "endpoint": "hub.endpoint",
    "repository": "hub.repository",
    "token": "hub.token_file",
    "ca_bundle": "hub.ca_bundle",
    "registry": "registry.url",
    "archive": "archive",
    "engine": "engine",
}


def fetcher(timeout: int, ca_bundle: str | None, token: str | None = None) -> Fetch:
    """Asks for a URL once, without following redirects off to where the files are stored."""

    def fetch(method: str, url: str) -> Reply:
        headers = {"Authorization": "Bearer " + token} if token else None
        try:
            with open_url(
                url,
                method=method,
                headers=headers,
                timeout=timeout,
                ca_path=ca_bundle,
                follow_redirects="none" if method == "HEAD" else "safe",
                # The token is for the hub, not for whom it redirects to.
                unredirected_headers=["Authorization"],
                use_netrc=False,
            ) as reply:
                return Reply(reply.status, {name.lower(): value for name, value in reply.headers.items()})
        except HTTPError as exc:
            exc.close()
            return Reply(exc.code, {name.lower(): value for name, value in exc.headers.items()})
        except (URLError, SSLValidationError, UrlsConnectionError, ssl.SSLError, socket.timeout, OSError) as exc:
            raise Unreachable(str(getattr(exc, "reason", exc))) from exc

    return fetch


def own_container(module: AnsibleModule, name: str | None) -> checks.Container | None:
    """What the engine knows about the service's container, if there are an engine and such a container."""
    docker = module.get_bin_path("docker") if name else None
    if docker is None:
        return None
    rc, out, _err = module.run_command([docker, "container", "inspect", t.cast(str, name)])
    if rc != 0:
        return None
    inspected = json.loads(out)[0]
    bindings = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    published = (int(binding["HostPort"]) for bound in bindings.values() for binding in bound or [])
    return checks.Container(inspected["Id"], frozenset(published))


def read_token(module: AnsibleModule, hub: t.Mapping[str, t.Any]) -> str | None:
    if hub["token"]:
        return hub["token"]
    token = checks.read_text(hub["token_file"]).strip() if hub["token_file"] else ""
    if token:
        # Whatever is returned is searched for these.
        module.no_log_values.add(token)
    return token or None


def hub_findings(module: AnsibleModule, hub: t.Mapping[str, t.Any], names: t.Mapping[str, str]) -> list[checks.Finding]:
    if hub["dest"] and is_complete(hub["dest"]):
        return []
    token = read_token(module, hub)
    wanted = Hub(hub["endpoint"].rstrip("/"), hub["repository"], hub["revision"], hub["files"], bool(token), names)
    return check_hub(wanted, fetcher(module.params["timeout"], hub["ca_bundle"], token))


def look(module: AnsibleModule) -> dict[str, t.Any]:
    """Run every check that was asked for."""
    params = module.params
    names = dict(NAMES, **params["variables"])
    release, machine, memory = checks.os_release(), checks.architecture(), memory_total()
    spaces = checks.measure_disk(params["disk"])
    found = checks.check_architecture(machine, params["architectures"])
    found += checks.check_os(release, params["systems"])
    found += checks.check_systemd() if params["systemd"] else []
    own = checks.OwnService(params["unit"], own_container(module, params["container"]))
    found += checks.check_ports(params["ports"], own, names["ports"])
    found += checks.check_disk(spaces, names["disk"])
    found += checks.check_memory(params["memory_bytes"] or 0, memory, names["memory"])
    if params["archive"]:
        found += checks.check_archive(params["archive"]["path"], params["archive"]["digest"], names["archive"])
    if params["engine"]:
        found += checks.check_engine(params["engine"]["path"], params["engine"]["image_digest"], names["engine"])
    if params["hub"]:
        found += hub_findings(module, params["hub"], names)
    if params["registry"]:
        fetch = fetcher(params["timeout"], params["registry"]["ca_bundle"])
        found += check_registry(params["registry"]["url"], names, fetch)
    return {
        "findings": found,
        "facts": {
            "architecture": machine,
            "system": f"{release.get('ID', 'unknown')} {release.get('VERSION_ID', '')}",
            "memory_bytes": memory,
            "disk": [
                {"mount": space.mount, "needed_bytes": space.needed, "free_bytes": space.free} for space in spaces
            ],
        },
    }


def argument_spec() -> dict[str, t.Any]:
    return {
        "ports": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "port": {"type": "int", "required": True},
                "address": {"type": "str", "default": "127.0.0.1"},
                "what": {"type": "str"},
            },
        },
        "unit": {"type": "str"},
        "container": {"type": "str"},
        "disk": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "path", "required": True},
                "bytes": {"type": "int", "required": True},
                "what": {"type": "str"},
            },
        },
        "memory_bytes": {"type": "int"},
        "hub": {
            "type": "dict",
            "options": {
                "endpoint": {"type": "str", "default": "https://huggingface.co"},
                "repository": {"type": "str", "required": True},
                "revision": {"type": "str", "required": True},
                "files": {"type": "list", "elements": "str", "default": ["config.json"]},
                "token_file": {"type": "path"},
                "token": {"type": "str", "no_log": True},
                "ca_bundle": {"type": "path"},
                "dest": {"type": "path"},
            },
        },
        "registry": {
            "type": "dict",
            "options": {"url": {"type": "str", "required": True}, "ca_bundle": {"type": "path"}},
        },
        "archive": {
            "type": "dict",
            "options": {"path": {"type": "path", "required": True}, "digest": {"type": "str"}},
        },
        "engine": {
            "type": "dict",
            "options": {"path": {"type": "path", "required": True}, "image_digest": {"type": "str", "required": True}},
        },
        "architectures": {"type": "list", "elements": "str", "default": []},
        "systems": {"type": "dict", "default": {}},
        "systemd": {"type": "bool", "default": False},
        "variables": {"type": "dict", "default": {}},
        "timeout": {"type": "int", "default": 20},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = look(module)
    except (OSError, ValueError) as exc:
        module.fail_json(msg=f"the host cannot be looked at: {exc}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
