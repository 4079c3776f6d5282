# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The converter against upstream's own: every tensor of every recorded case, bit for bit."""

from __future__ import annotations

import json
import shutil

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._checkpoint_layout import Cut
from ansible_collections.tritonops.trtllm.plugins.module_utils._native_converter import Request, convert, prepare
from ansible_collections.tritonops.trtllm.tests.unit.support.vectors import RELEASES, recorded, tensors_in

# How many cases there are, and of how many of them config.json was recorded.
RECORDED = {"v0.9.0": (68, 2), "v0.14.0": (105, 7), "main-20241202": (106, 0)}


def cut_of(options):
    names = ("tp_size", "pp_size", "moe_tp_size", "moe_ep_size", "use_parallel_embedding", "embedding_sharding_dim")
    cut = {name: options[name] for name in names if name in options}
    return Cut.of(
        cut.pop("tp_size"),
        cut.pop("pp_size"),
        cut.pop("moe_tp_size", None),
        cut.pop("moe_ep_size", None),
        share_embedding=options.get("use_embedding_sharing", False),
        **cut,
    )


@pytest.mark.parametrize("version", RELEASES)
def test_every_tensor_is_upstreams(version, tmp_path):
    cases = recorded(version)
    compared = 0
    for case in cases:
        conversion = prepare(Request(case.source, RELEASES[version], case.options["dtype"], cut_of(case.options)))
        folder = tmp_path / case.name
        folder.mkdir()
        convert(conversion, str(folder), lambda _count: None, workers=2)
        assert tensors_in(str(folder)) == case.tensors, case.name
        if case.config is not None:
            compared += 1
            assert json.loads((folder / "config.json").read_text()) == case.config, case.name
        shutil.rmtree(folder)
    assert (len(cases), compared) == RECORDED[version]
