# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root folders with artifacts and releases like those that `site` makes."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft, locked
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import claim

# Of each file of an artifact.
SIZE = 1 << 20


class RootFolder:
    """A root folder of the collection on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        claim(str(path))
        self.clock = 1_700_000_000

    def artifact(self, kind: str, source: str = "", **inputs: t.Any) -> str:
        """Its path. It has a file of 1 MiB."""
        inputs = {"kind": kind, "number": self.clock, **({"source": source} if source else {}), **inputs}
        self.clock += 1
        draft = Draft(str(self.path / kind / f"{self.clock:016x}"), inputs)
        with locked(draft.dest):
            progress = draft.begin()
            Path(draft.payload, "rank0.engine").write_bytes(os.urandom(SIZE))
            draft.publish({}, progress)
        return draft.dest

    def chain(self) -> dict[str, str]:
        """Weights, and the checkpoint and the engine that are made from them."""
        weights = self.artifact("weights")
        checkpoint = self.artifact("checkpoint", source=os.path.basename(weights))
        engine = self.artifact("engine", source=os.path.basename(checkpoint))
        return {"weights": weights, "checkpoint": checkpoint, "engine": engine}

    def release(self, name: str, deployment: str = "default", proved: bool = True, **record: t.Any) -> str:
        """Its path. It has hard links to the files of the engine in its record."""
        folder = self.path / "deployments" / deployment / "releases" / name
        (folder / "model").mkdir(parents=True)
        if "engine" in record:
            os.link(f"{record['engine']}/rank0.engine", folder / "model/rank0.engine")
        (folder / "release.json").write_text(json.dumps({"id": name, **record}))
        self.clock += 10
        for file in [folder / "release.json", *([folder / "proved"] if proved else [])]:
            file.touch()
            os.utime(file, (self.clock, self.clock))
        return str(folder)

    def serve(self, current: str, previous: str = "", deployment: str = "default") -> None:
        for link, name in (("current", current), ("previous", previous)):
            place = self.path / "deployments" / deployment / link
            place.unlink(missing_ok=True)
            if name:
                place.symlink_to(f"releases/{name}")

    def files(self) -> set[str]:
        return {str(path) for path in self.path.rglob("*")}
