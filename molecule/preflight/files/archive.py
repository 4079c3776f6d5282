# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the part of a C(docker save) archive that tells which image is in it. The argument is its name."""

from __future__ import annotations

import io
import json
import sys
import tarfile

manifest = json.dumps([{"Config": "blobs/sha256/" + "a" * 64, "RepoTags": ["test:1"], "Layers": []}]).encode()
member = tarfile.TarInfo("manifest.json")
member.size = len(manifest)
with tarfile.open(sys.argv[1], "w") as archive:
    archive.addfile(member, io.BytesIO(manifest))
