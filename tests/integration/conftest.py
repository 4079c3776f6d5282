# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the rehearsed site, which the tests in this folder share. They run in the order of their files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from figures import Figures
from site_under_test import CANARY, PROJECT, STATE, GatedHub, Site, another_hub
from xdist.scheduler import LoadScopeScheduling


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-figures", action="store_true", help="write what was measured to docs/benchmarks.md")


class ByHost(LoadScopeScheduling):
    """The tests of the site share a host, so one process runs them all in order. Each scenario has its own host.

    Those of another file share what they start, as do those of a rehearsed fleet.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.endswith("/test_scenarios.py"):
            return nodeid
        return "site" if file.startswith("tests/integration/") and "/test_9_" not in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHost:
    return ByHost(config, log)


@pytest.fixture(scope="session")
def site() -> Site:
    return Site()


@pytest.fixture(scope="session")
def gated_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedHub]:
    folder = tmp_path_factory.mktemp("hub")
    repository = folder / "models" / "rehearsal" / "Gated"
    repository.parent.mkdir(parents=True)
    repository.symlink_to(STATE / "models" / "HuggingFaceTB" / "SmolLM2-135M-Instruct")
    token = folder / "token"
    token.write_text(f"{CANARY}\n")
    revision = yaml.safe_load((STATE / "hub.yml").read_text())["revision"]
    model = {"preset": "smollm2-135m-instruct", "repository": "rehearsal/Gated", "revision": revision}
    options = ("--gated", "rehearsal/Gated", "--token-file", str(token))
    with another_hub(folder / "models", 1, *options) as endpoint:
        # The host reaches this hub by the bridge of Docker.
        waived = {"trtllm_waive": ["unencrypted_token"]}
        yield GatedHub({"trtllm_model": model, "trtllm_weights": {"endpoint": endpoint}, **waived}, token)


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """What became of the requests in the tests of test_9_<section>.py."""
    figures = Figures()
    yield figures
    figures.show(request.path.stem.removeprefix("test_9_"), write=request.config.getoption("--write-figures"))


@pytest.fixture
def slow_hub() -> Iterator[str]:
    with another_hub(STATE / "models", 2, "--bytes-per-second", "15000000") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """The greedy completion of transformers, recorded by rehearsal/reference/record.py."""
    recorded = json.loads((PROJECT / "rehearsal/reference/smollm2-135m-instruct.json").read_text())
    completion: dict[str, Any] = recorded["completions"]["tutorial"]
    return completion
