# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unknown variables, and values that the planner does not use."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import (
    unknown_names,
    variable_refusals,
)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("trtllm_realease", "trtllm_release"),
        ("trtllm_limit", "trtllm_limits"),
        ("trtllm_tokenfile", "trtllm_token_file"),
        ("trtllm_bundle_system", "trtllm_bundle_systems"),
        # an option of the role trtllm_backend
        ("trtllm_backend_git_mirror", "trtllm_backend_git_mirrors"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_name(name: str, meant: str) -> None:
    (refusal,) = unknown_names(["ansible_host", name, meant])
    assert refusal.variable == name and f"(did you mean {meant}?)" in refusal.message
    assert not refusal.waive


@pytest.mark.parametrize("name", ["trtllm_plan_waive", "trtllm_preflight_waive"])
def test_a_variable_of_earlier_versions_is_refused_with_its_new_name(name: str) -> None:
    (refusal,) = unknown_names([name])
    assert refusal.message == "is now called trtllm_waive: move its value there"


def test_the_common_prefix_does_not_count_as_similar() -> None:
    (refusal,) = unknown_names(["trtllm_wool"])
    assert "did you mean" not in refusal.message and "another prefix" in refusal.message


@pytest.mark.parametrize("name", ["trtllm_planned", "trtllm_backend_ca_bundle", "trtllm", "__trtllm_x", "my_trtllm_x"])
def test_other_names_are_not_refused(name: str) -> None:
    assert unknown_names([name]) == []


@pytest.mark.parametrize(
    ("name", "value", "refused", "says"),
    [
        ("trtllm_proxy", {"htp": "x"}, "trtllm_proxy.htp", "did you mean http?"),
        ("trtllm_storage", {"drivs": []}, "trtllm_storage.drivs", "did you mean drives?"),
        ("trtllm_storage", {"wipe": "serial"}, "trtllm_storage.wipe", "must be a list"),
        ("trtllm_storage", {"move": "perhaps"}, "trtllm_storage", "perhaps"),
        ("trtllm_ca_certificates", [{"file": "x"}], "trtllm_ca_certificates", "must be a single value"),
        ("trtllm_ca_certificates", None, "trtllm_ca_certificates", "must be a list"),
        # Without quotes, YAML reads 0750 as an octal number.
        ("trtllm_root_mode", 0o750, "trtllm_root_mode", "0755, 0751, 0750, 0711, 0710, 0700"),
        ("trtllm_root_mode", "0775", "trtllm_root_mode", "0755"),
        ("trtllm_root_mode", "u=rwx,g=rx,o=", "trtllm_root_mode", "0755"),
        ("trtllm_root_group", ["adm"], "trtllm_root_group", "must be a single value"),
        ("trtllm_docker_source", "vender", "trtllm_docker_source", "did you mean vendor?"),
        ("trtllm_bundle_systems", ["debian12"], "trtllm_bundle_systems", "did you mean debian-12?"),
        ("trtllm_bundle_mirrors", {"debain": "x"}, "trtllm_bundle_mirrors.debain", "did you mean debian?"),
        ("trtllm_bundle_repositories", {"debian12": []}, "trtllm_bundle_repositories.debian12", "mean debian-12?"),
        (
            "trtllm_bundle_repositories",
            {"debian-12": [{"name": "a", "uri": "b"}]},
            "trtllm_bundle_repositories.debian-12.uri",
            "did you mean uris?",
        ),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: Any, refused: str, says: str) -> None:
    (refusal,) = variable_refusals([], {name: value})
    assert refusal.variable == refused and says in refusal.message


@pytest.mark.parametrize("value", ["http://me:secret@proxy", ["http://me:secret@proxy"], {"http": ["me:secret@proxy"]}])
def test_a_proxys_password_is_not_shown(value: Any) -> None:
    assert "secret" not in str([refusal.as_dict() for refusal in variable_refusals([], {"trtllm_proxy": value})])


def test_correct_values_are_not_refused() -> None:
    right: dict[str, Any] = {
        "trtllm_proxy": {"http": "http://proxy.example.com:3128", "no_proxy": ".example.com"},
        "trtllm_storage": {
            "grow_root": True,
            "drives": ["empty_nvme"],
            "mount": "/opt/trtllm",
            "wipe": [],
            "move": False,
        },
        "trtllm_ca_certificates": ["~/ca.pem"],
        "trtllm_root_mode": "0750",
        "trtllm_root_group": "adm",
        "trtllm_docker_source": "existing",
        "trtllm_bundle_systems": ["debian-12"],
        "trtllm_bundle_mirrors": {"debian-security": "http://mirror.example.com/debian-security"},
        "trtllm_bundle_repositories": {"oraclelinux-9": [{"name": "a", "baseurl": "file:///a", "key": "/a/gpg"}]},
    }
    assert variable_refusals(right, right) == []
