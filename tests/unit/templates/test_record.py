# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recording a template that was built from a record gives the same record."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support import upstream
from ansible_collections.tritonops.trtllm.tests.unit.templates import record


@pytest.mark.parametrize("release", upstream.RELEASES)
def test_a_template_built_from_a_record_gives_the_same_record(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (upstream.FACTS / f"{release}.yml").read_text(encoding="utf-8")
    folder = upstream.write_templates(release, tmp_path / "templates")
    monkeypatch.setattr(upstream, "FACTS", tmp_path)
    record.main([release, str(folder)])
    assert (tmp_path / f"{release}.yml").read_text(encoding="utf-8") == before


def test_a_difference_is_reported(tmp_path: Path) -> None:
    folder = upstream.write_templates("0.9.0", tmp_path)
    record.main(["--check", "0.9.0", str(folder)])
    path = folder / "ensemble/config.pbtxt"
    path.write_text(path.read_text(encoding="utf-8").replace("top_k", "top_q"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"0\.9\.0\.yml is not what"):
        record.main(["--check", "0.9.0", str(folder)])
