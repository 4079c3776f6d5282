# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The signature of a bundle's manifest."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile

from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._command import Run

_VALID = re.compile(r"^\[GNUPG:\] VALIDSIG (\S+).* (\S+)$", re.MULTILINE)


def signers(status: str) -> set[str]:
    """Fingerprints of the key that made a good signature, and of its primary key."""
    # A signature with an expired or revoked key is valid, but not good.
    if "[GNUPG:] GOODSIG " not in status:
        return set()
    return {fingerprint for found in _VALID.findall(status) for fingerprint in found}


def verified_checksum(content: str, signature: str, keyring: str, fingerprint: str, run: Run) -> str:
    """The sha256 of the manifest `content`, if the key with this fingerprint has signed it."""
    manifest = base64.b64decode(content)
    # Not below TMPDIR: if the path of the agent's socket is too long, gpg does not import keys.
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        for name, text in (("manifest", manifest), ("signature", base64.b64decode(signature))):
            with open(os.path.join(home, name), "wb") as stream:
                stream.write(text)
        gpg = ["gpg", "--homedir", home, "--batch", "--no-autostart"]
        run([*gpg, "--import", keyring], f"cannot read the key {keyring}")
        files = [os.path.join(home, name) for name in ("signature", "manifest")]
        status = run([*gpg, "--status-fd", "1", "--verify", *files], "the signature of the manifest is not good")
    found, wanted = signers(status), re.sub(r"\s", "", fingerprint).upper()
    if wanted not in found:
        keys = ", ".join(sorted(found)) or "no good key"
        raise BundleError(f"the manifest is signed with {keys}, not with {wanted}: do not use this bundle")
    return hashlib.sha256(manifest).hexdigest()
