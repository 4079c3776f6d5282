# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of trtllm-serve in the catalogue: consistency, and upstream's own reference of options."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._vulnerabilities import version_order

PROJECT = Path(__file__).parents[3]
CATALOGUE = PROJECT / "catalogue"
VERSIONS = sorted((path.stem for path in (CATALOGUE / "serve").glob("*.yml")), key=version_order)


@cache
def read(name: str) -> Any:
    return yaml.safe_load((CATALOGUE / f"{name}.yml").read_text(encoding="utf-8"))


def version(name: str) -> Any:
    return read(f"serve/{name}")


def test_the_versions_are_those_that_can_be_deployed() -> None:
    assert VERSIONS == ["1.0.0", "1.1.0", "1.2.1", "1.3.0rc29"]
    assert [version(name)["version"] for name in VERSIONS] == VERSIONS
    assert all(version(name)["image"]["reference"].endswith(f":{name}") for name in VERSIONS)


@pytest.mark.parametrize("name", VERSIONS)
def test_an_options_key_is_a_key_of_the_file(name: str) -> None:
    config = version(name)["config"]
    for option in version(name)["options"].values():
        section, _dot, key = option.get("key", "model").rpartition(".")
        assert key in (config["nested"][section] if section else config["keys"])


@pytest.mark.parametrize("name", VERSIONS)
def test_a_spelling_and_a_key_belong_to_one_option(name: str) -> None:
    options = version(name)["options"]
    found = [spelling for option, facts in options.items() for spelling in spellings(option, facts)]
    keys = [option["key"] for option in options.values() if "key" in option]
    assert len(set(found)) == len(found) and len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", VERSIONS)
def test_nested_and_renamed_keys_fit_the_keys(name: str) -> None:
    config = version(name)["config"]
    assert set(config["nested"]) | set(config["merged"]) <= set(config["keys"])
    assert not set(config["tensorrt_backend_only"]) & set(config["keys"])
    for old, new in config["renamed"].items():
        assert old not in config["keys"]
        section, _dot, key = new.rpartition(".")
        assert " " in new or new == "" or key in (config["nested"][section] if section else config["keys"])


@pytest.mark.parametrize(("before", "after"), [*pairwise(VERSIONS)])
def test_a_dropped_key_says_what_replaces_it(before: str, after: str) -> None:
    old, new = version(before)["config"], version(after)["config"]
    assert set(old["keys"]) - set(new["keys"]) <= set(new["renamed"])


@pytest.mark.parametrize("name", VERSIONS)
def test_the_llm_apis_keys_are_those_of_the_profile_llmapi(name: str) -> None:
    known = read(f"releases/{name}")["llmapi"]["model_yaml"] if "rc" not in name else []
    assert set(known) - {"triton_config"} <= set(version(name)["config"]["keys"])


@pytest.mark.parametrize("name", VERSIONS)
def test_architectures_have_one_home(name: str) -> None:
    assert ("architectures" in version(name)) is not (CATALOGUE / f"releases/{name}.yml").is_file()


def test_formats_have_a_compute_capability() -> None:
    formats = read("checkpoint_formats")
    known = {entry["name"] for entry in formats["checkpoint_formats"]}
    without_limit = {"MIXED_PRECISION", "W4A16", "W4A16_NVFP4", "W4A8_NVFP4_FP8", "W8A16"}
    assert {name for one in VERSIONS for name in version(one)["formats"]} == known - {
        "bfloat16",
        "float16",
    } | without_limit
    assert all(name in str(formats["unverified"]) for name in without_limit)


def test_no_image_of_a_version_is_without_the_backend() -> None:
    first = read("upstream")["images_without_backend"]["first"]
    images = [
        image["tag"]
        for path in (CATALOGUE / "releases").glob("*.yml")
        for image in yaml.safe_load(path.read_text(encoding="utf-8"))["images"]
    ]
    assert max(images) == "26.07" < first


def spellings(name: str, option: Any) -> frozenset[str]:
    return frozenset([name, *option.get("aliases", []), *filter(None, [option.get("negation")])])


REFERENCE = yaml.safe_load(Path(__file__).with_name("trtllm_serve_cli.yml").read_text(encoding="utf-8"))
# What the documentation of 1.3.0rc29 has in other ways than the reference, which is older.
GONE = {"--fail_fast_on_attention_window_too_large", "--post_processor_hook"}
NEW = {"--grpc-protocol"}


def kind(option: Any) -> Any:
    if "choices" in option:
        return sorted(option["choices"])
    for name in ("switch", "multiple"):
        if option.get(name):
            return name
    return option.get("type", "str")


def test_options_are_those_of_upstreams_reference() -> None:
    ours = {spellings(name, option): option for name, option in version("1.3.0rc29")["options"].items()}
    theirs = {frozenset(names.split()): facts for names, facts in REFERENCE.items()}
    assert theirs.keys() - ours.keys() == {frozenset([name]) for name in GONE}
    assert ours.keys() - theirs.keys() == {frozenset([name]) for name in NEW}
    for names in theirs.keys() & ours.keys() - {frozenset(["--backend"])}:
        expected, default = theirs[names]
        found = ours[names]
        assert kind(found) == (sorted(expected) if isinstance(expected, list) else expected), names
        assert found.get("default", False if found.get("switch") else None) == default, names
