#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_signature

short_description: Check that a bundle's manifest is signed by a key

version_added: "0.1.0"

description:
  - Checks a detached signature by one key and no other, whatever keys the user has. Runs where C(gpg) is, such as on
    the controller.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module

options:
  content:
    description:
      - The signed manifest, in base64.
    type: str
    required: true
  signature:
    description:
      - The signature, in base64.
    type: str
    required: true
  keyring:
    description:
      - File with the public key, as C(gpg --export) writes it, with or without C(--armor).
    type: path
    required: true
  fingerprint:
    description:
      - Fingerprint of that key, with or without spaces.
    type: str
    required: true

requirements:
  - gpg (GnuPG 2)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle_info
"""

EXAMPLES = r"""
---
- name: Read the manifest
  ansible.builtin.slurp:
    src: /srv/bundle/manifest.json
  register: manifest

- name: Read its signature
  ansible.builtin.slurp:
    src: /srv/bundle/manifest.json.asc
  register: signature

- name: Check that our key signed it
  tritonops.trtllm.bundle_signature:
    content: "{{ manifest.content }}"
    signature: "{{ signature.content }}"
    keyring: files/bundle.gpg
    fingerprint: 0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567
  delegate_to: localhost
"""

RETURN = r"""
checksum:
  description: The sha256 of the manifest.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

import base64
import hashlib
import os
import re
import shutil
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import runner

_VALID = re.compile(r"^\[GNUPG:\] VALIDSIG (\S+).* (\S+)$", re.MULTILINE)


def signers(status: str) -> set[str]:
    """Fingerprints of the key that made a good signature, and of the primary key it belongs to."""
    # A signature by an expired or revoked key is valid, but not good.
    if "[GNUPG:] GOODSIG " not in status:
        return set()
    return {fingerprint for found in _VALID.findall(status) for fingerprint in found}


def check(params: t.Mapping[str, t.Any], run: t.Callable[..., str], home: str) -> str:
    content = base64.b64decode(params["content"])
    for name, text in (("manifest", content), ("signature", base64.b64decode(params["signature"]))):
        with open(os.path.join(home, name), "wb") as stream:
            stream.write(text)
    gpg = ["gpg", "--homedir", home, "--batch", "--no-autostart"]
    run([*gpg, "--import", params["keyring"]], f"cannot read the key {params['keyring']}")
    files = [os.path.join(home, name) for name in ("signature", "manifest")]
    status = run([*gpg, "--status-fd", "1", "--verify", *files], "the manifest's signature is not good")
    wanted = re.sub(r"\s", "", params["fingerprint"]).upper()
    if wanted not in signers(status):
        found = ", ".join(sorted(signers(status))) or "no good key"
        raise BundleError(f"the manifest is signed by {found}, not by {wanted}: do not use this bundle")
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True},
            "signature": {"type": "str", "required": True},
            "keyring": {"type": "path", "required": True, "no_log": False},
            "fingerprint": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    # Not below TMPDIR, whose path may be too long for the agent's socket: gpg then refuses to import a key.
    home = tempfile.mkdtemp(dir="/tmp")
    try:
        checksum = check(module.params, runner(module), home)
    except BundleError as exc:
        module.fail_json(msg=str(exc))
    except (OSError, ValueError) as exc:
        module.fail_json(msg=f"the signature cannot be checked: {exc}")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    module.exit_json(changed=False, checksum=checksum)


if __name__ == "__main__":
    main()
