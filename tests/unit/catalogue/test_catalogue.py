# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Consistency between files of the catalogue. The schemas check single files."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _model_config
from ansible_collections.tritonops.trtllm.tests.unit.support import upstream

PROJECT = Path(__file__).parents[3]
CATALOGUE = PROJECT / "catalogue"


@cache
def read(kind: str, name: str) -> Any:
    return yaml.safe_load((CATALOGUE / kind / f"{name}.yml").read_text(encoding="utf-8"))


def names(kind: str) -> list[str]:
    return sorted(path.stem for path in (CATALOGUE / kind).glob("*.yml"))


RELEASES = sorted(names("releases"), key=version)
PAIRS = list(pairwise(RELEASES))


def placeholders(release: Any) -> set[str]:
    return {name for model in release["placeholders"].values() for group in model.values() for name in group}


def has(release: Any) -> dict[str, set[str]]:
    """All names of a version that a later one may drop, by the kinds of `changes`."""
    return {
        "convert": set(release["convert"]["flags"]),
        "build": set(release["build"]["flags"]),
        "placeholders": placeholders(release),
    }


def test_no_version_is_missing_between_the_first_and_the_last_with_engines() -> None:
    minors = [f"0.{minor}.0" for minor in range(8, 22)] + ["1.0.0", "1.1.0", "1.2.0"]
    assert {*minors, "0.18.1", "0.18.2", "1.2.1"} <= set(RELEASES)


@pytest.mark.parametrize(("kind", "field"), [("releases", "release"), ("models", "name"), ("shapes", "name")])
def test_a_file_has_the_name_of_its_entry(kind: str, field: str) -> None:
    assert {name: read(kind, name)[field] for name in names(kind)} == {name: name for name in names(kind)}


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_changes_list_exactly_the_dropped_names(before: str, after: str) -> None:
    old, new = has(read("releases", before)), has(read("releases", after))
    said = {kind: set(changed) for kind, changed in read("releases", after)["changes"].items()}
    assert said == {kind: old[kind] - new[kind] for kind in old}


@pytest.mark.parametrize("release", RELEASES)
def test_new_names_of_changes_exist(release: str) -> None:
    facts = read("releases", release)
    new = {
        (kind, name)
        for kind, changed in facts["changes"].items()
        for text in changed.values()
        for name in text.split(" and ")
    }
    assert {(kind, name) for kind, name in new if name and name not in has(facts)[kind]} == set()


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_version_of_tokenizers_never_decreases(before: str, after: str) -> None:
    old, new = read("releases", before)["tokenizers"], read("releases", after)["tokenizers"]
    assert version(old) <= version(new)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_old_gpus_are_dropped_and_new_ones_added(before: str, after: str) -> None:
    old, new = read("releases", before)["compute_capability"], read("releases", after)["compute_capability"]
    assert version(old["least"]) <= version(new["least"])
    assert version(old.get("most", "99.0")) <= version(new.get("most", "99.0"))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_llm_api_keeps_its_architectures(before: str, after: str) -> None:
    old, new = (
        read("releases", name).get("llmapi", {"architectures": []})["architectures"] for name in (before, after)
    )
    assert set(old) <= set(new)
    assert new == sorted(new)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_versions_are_in_order_of_dates_and_images(before: str, after: str) -> None:
    old, new = read("releases", before), read("releases", after)
    assert old["date"] < new["date"]
    assert max((image["tag"] for image in old["images"]), default="") < min(
        (image["tag"] for image in new["images"]), default="99"
    )


@pytest.mark.parametrize("release", RELEASES)
def test_images_are_sorted_and_named_by_tag(release: str) -> None:
    images = read("releases", release)["images"]
    assert [image["tag"] for image in images] == sorted({image["tag"] for image in images})
    assert all(f":{image['tag']}-" in image["reference"] for image in images)


@pytest.mark.parametrize("release", RELEASES)
def test_defaults_are_among_the_choices(release: str) -> None:
    facts = read("releases", release)
    flags = {**facts["convert"]["flags"], **facts["build"]["flags"]}
    limited = {name: flag for name, flag in flags.items() if "default" in flag and "choices" in flag}
    assert [name for name, flag in limited.items() if flag["default"] not in flag["choices"]] == []


@pytest.mark.parametrize("release", RELEASES)
def test_runtime_default_is_the_build_default(release: str) -> None:
    facts = read("releases", release)
    built = facts["build"]["flags"]["--tokens_per_block"]["default"]
    assert facts["runtime_defaults"]["tokens_per_block"] == built


@pytest.mark.parametrize("release", RELEASES)
def test_a_placeholder_is_in_one_group_of_its_model(release: str) -> None:
    for model, groups in read("releases", release)["placeholders"].items():
        listed = [name for group in groups.values() for name in group]
        assert sorted(listed) == sorted(set(listed)), model


@pytest.mark.parametrize("release", RELEASES)
def test_flags_that_every_plan_uses_are_known(release: str) -> None:
    facts = read("releases", release)
    assert {"--model_dir", "--output_dir", "--dtype", "--tp_size", "--pp_size", "--workers"} <= set(
        facts["convert"]["flags"]
    )
    assert {"--checkpoint_dir", "--output_dir", "--max_batch_size", "--max_input_len"} <= set(facts["build"]["flags"])
    assert {"--model_repo", "--world_size", "--http_port", "--grpc_port", "--metrics_port"} <= set(
        facts["launch"]["flags"]
    )


@pytest.mark.parametrize("release", RELEASES)
def test_scripts_and_templates_moved_in_0_20(release: str) -> None:
    facts = read("releases", release)
    moved = version(release) >= (0, 20, 0)
    assert facts["image_build"]["method"] == ("make" if moved else "dockerfile")
    assert ("pip_constraints" in facts["image_build"]) is (version(release) < (0, 10, 0))
    assert all(script.startswith("models/core/") is moved for script in facts["convert"]["scripts"].values())
    assert ("triton_backend" in facts["layout"]["clone"]["all_models"]) is moved


@pytest.mark.parametrize("model", upstream.MODELS)
@pytest.mark.parametrize("release", upstream.RELEASES)
def test_placeholders_match_upstreams_templates(release: str, model: str) -> None:
    found = _model_config.placeholders(upstream.templates(release)[model])
    groups = read("releases", release)["placeholders"][model]
    assert {name for group in groups.values() for name in group} == {item.name for item in found}
    # Placeholders outside of quotes are not valid text format until they are filled.
    bare = {item.name for item in found if not item.quoted}
    assert set(groups["required_to_parse"]) - {"triton_backend"} == bare


@pytest.mark.parametrize("name", names("models"))
def test_every_model_can_be_served_by_a_version(name: str) -> None:
    architecture = read("models", name)["architecture"]
    assert any(architecture in read("releases", release)["convert"]["scripts"] for release in RELEASES)


def test_shared_notes_apply_to_known_versions() -> None:
    for entry in listed("notes"):
        first, last = entry["first"], entry.get("last", RELEASES[-1])
        assert {first, last} <= set(RELEASES)
        assert version(first) < version(last), "a note for a single version belongs in its file"


@pytest.mark.parametrize("release", RELEASES)
def test_a_version_does_not_repeat_shared_notes(release: str) -> None:
    shared = {entry["note"] for entry in listed("notes")}
    assert shared & set(read("releases", release)["notes"]) == set()


def listed(kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load((CATALOGUE / f"{kind}.yml").read_text(encoding="utf-8"))[kind]
    return entries


@pytest.mark.parametrize(("kind", "field"), [("vulnerabilities", "id"), ("log_patterns", "name")])
def test_an_entry_is_listed_once(kind: str, field: str) -> None:
    found = [entry[field] for entry in listed(kind)]
    assert sorted(found) == sorted(set(found))


def test_log_patterns_name_known_versions() -> None:
    named = {
        release
        for entry in listed("log_patterns")
        for release in re.findall(r"\d+\.\d+\.\d+", entry.get("releases", ""))
    }
    assert named and named <= set(RELEASES)


@pytest.mark.parametrize("shape", [name for name in names("shapes") if read("shapes", name)["gpus"]["count"]])
def test_the_gpus_of_a_shape_have_a_speed_and_their_number_is_in_its_name(shape: str) -> None:
    gpus = read("shapes", shape)["gpus"]
    speeds = yaml.safe_load((CATALOGUE / "gpus.yml").read_text(encoding="utf-8"))["gpus"]
    assert gpus["name"] in speeds and shape.endswith(f".{gpus['count']}")
