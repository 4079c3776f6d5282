# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the part of a `docker save` archive that identifies the image, here one with the configuration {}.

The argument is the name of the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile

config = b"{}"
blob = f"blobs/sha256/{hashlib.sha256(config).hexdigest()}"
manifest = json.dumps([{"Config": blob, "RepoTags": ["test:1"], "Layers": []}]).encode()
with tarfile.open(sys.argv[1], "w") as archive:
    for name, content in ((blob, config), ("manifest.json", manifest)):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
