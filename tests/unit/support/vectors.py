# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded outputs of upstream's converter, and the contents of a folder in the same form."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import deserialize

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
# The recorded version, and the released version with its format.
RELEASES = {"v0.9.0": "0.9.0", "v0.14.0": "0.14.0", "main-20241202": "0.16.0"}
NAME = re.compile(r"(?P<model>.+?)__(?P<dtype>\w+?)__tp(?P<tp>\d+)_pp(?P<pp>\d+)(?P<rest>\w*)")

# The dtype, shape and checksum of each tensor, by file and name.
Tensors = t.Dict[t.Tuple[str, str], t.Tuple[str, str, str]]


@dataclass
class Case:
    version: str
    name: str
    tensors: Tensors = field(default_factory=dict)

    @property
    def source(self) -> str:
        return str(VECTORS / "inputs" / self._parts["model"])

    @property
    def options(self) -> dict[str, t.Any]:
        """The arguments of trtllm_checkpoint for this case."""
        tp_size, rest = int(self._parts["tp"]), self._parts["rest"].split("_")
        options = {
            "release": RELEASES[self.version],
            "dtype": self._parts["dtype"],
            "tp_size": tp_size,
            "pp_size": int(self._parts["pp"]),
        }
        if "moeep" in rest:
            options["moe_ep_size"] = tp_size
        for cut in filter(None, (re.fullmatch(r"moetp(\d+)ep(\d+)", word) for word in rest)):
            options.update(moe_tp_size=int(cut[1]), moe_ep_size=int(cut[2]))
        for dimension in (0, 1):
            if f"pe{dimension}" in rest:
                options.update(use_parallel_embedding=True, embedding_sharding_dim=dimension)
        # That version accepts the argument and still writes both tensors.
        if "share" in rest and self.version != "v0.9.0":
            options["use_embedding_sharing"] = True
        return options

    @property
    def config(self) -> dict[str, t.Any] | None:
        path = VECTORS / "configs" / self.version / f"{self.name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def _parts(self) -> t.Mapping[str, str]:
        return t.cast("re.Match[str]", NAME.fullmatch(self.name)).groupdict()


def recorded(version: str) -> list[Case]:
    cases: dict[str, Case] = {}
    with gzip.open(VECTORS / "manifests" / f"{version}.tsv.gz", "rt") as stream:
        for name, file, tensor, *facts in csv.reader(stream, delimiter="\t"):
            case = cases.setdefault(name, Case(version, name))
            case.tensors[file, tensor] = tuple(facts)
    return list(cases.values())


def tensors_in(folder: str) -> Tensors:
    """The tensors in a folder, read by the safetensors library."""
    return {
        (path.name, name): (
            found["dtype"],
            "x".join(map(str, found["shape"])),
            hashlib.sha256(found["data"]).hexdigest(),
        )
        for path in sorted(Path(folder).glob("*.safetensors"))
        for name, found in deserialize(path.read_bytes())
    }
