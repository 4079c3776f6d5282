# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests run the rehearsal's programs with the packages that the image has."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[3]


def pins(path: str) -> dict[str, str]:
    lines = (PROJECT / path).read_text(encoding="utf-8").splitlines()
    return dict(line.lower().replace("_", "-").split("==") for line in lines if "==" in line and line[0] != "#")


def test_the_tests_have_the_packages_of_the_image() -> None:
    image = pins("rehearsal/backend/requirements.txt")
    tests = {**pins("requirements-test.txt"), **pins("requirements-dev.txt")}
    shared = image.keys() & tests.keys()
    assert {"llguidance", "mpi4py", "prometheus-client", "starlette", "tokenizers", "uvicorn"} <= shared
    assert {name: tests[name] for name in shared} == {name: image[name] for name in shared}
