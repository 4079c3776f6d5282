# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our conversion against checksums of what upstream's converter wrote for the same models."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from trtllm_cpu.checkpoint import choose_dtype, make_config, rank_targets
from trtllm_cpu.tensors import DTYPES, Snapshot

VECTORS = Path(__file__).parents[4] / "shared/vectors"
# Tied embeddings convert without a flag only from the release after the recorded one on; there, --load_by_shard did it.
SOURCES = {"main-20241202": (None, "pe0", "pe1"), "v0.9.0": ("byshard",)}
CASE = re.compile(r"(?P<model>(?:llama|mistral)\S*?)__(?P<dtype>\w+?)__tp(?P<tp>\d)_pp(?P<pp>\d)(?:_(?P<suffix>\w+))?$")

Tensors = dict[tuple[str, str], tuple[str, str, str]]


def recorded() -> dict[tuple[str, str], Tensors]:
    cases: dict[tuple[str, str], Tensors] = defaultdict(dict)
    for flavour, suffixes in SOURCES.items():
        with gzip.open(VECTORS / f"manifests/{flavour}.tsv.gz", "rt", encoding="utf-8") as file:
            for case, rank_file, tensor, dtype, shape, digest in csv.reader(file, delimiter="\t"):
                match = CASE.match(case)
                if match and match["suffix"] in suffixes:
                    cases[flavour, case][rank_file, tensor] = dtype, shape, digest
    return cases


def converted(case: str) -> Tensors:
    match = CASE.match(case)
    assert match is not None
    folder = VECTORS / "inputs" / match["model"]
    snapshot = Snapshot(folder)
    dtype = choose_dtype(match["dtype"], snapshot)
    sharding = {"pe0": (True, 0), "pe1": (True, 1)}.get(match["suffix"], (False, 0))
    hf_config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = make_config(hf_config, dtype, int(match["tp"]), int(match["pp"]), *sharding)
    code, numpy_dtype = DTYPES[dtype]
    found: Tensors = {}
    for rank in range(config["mapping"]["world_size"]):
        for target in rank_targets(config, rank, "lm_head.weight" not in snapshot):
            array = np.ascontiguousarray(target.read(snapshot).astype(numpy_dtype, copy=False))
            shape = "x".join(map(str, array.shape))
            found[f"rank{rank}.safetensors", target.name] = code, shape, hashlib.sha256(array.tobytes()).hexdigest()
    return found


@pytest.mark.skipif(not VECTORS.is_dir(), reason="upstream's recorded outputs are not beside this checkout")
def test_every_recorded_conversion_comes_out_bit_for_bit() -> None:
    cases = recorded()
    assert len(cases) > 50
    assert [key for key, tensors in cases.items() if converted(key[1]) != tensors] == []
