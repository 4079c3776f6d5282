# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules end with their results, or with an error that says what failed. Defects of the program are not hidden."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support import module_run

Ended = t.Callable[..., module_run.Result]


def failing(error: Exception) -> t.Callable[[AnsibleModule], t.Any]:
    def work(_module: AnsibleModule) -> t.Any:
        raise error

    return work


@pytest.fixture(name="ended")
def fixture_ended(capsys: pytest.CaptureFixture[str]) -> Ended:
    """What Ansible gets from a module with this work."""

    def ended(work: t.Callable[[AnsibleModule], t.Any], **options: t.Any) -> module_run.Result:
        def main() -> None:
            run_module(AnsibleModule(argument_spec={"name": {"type": "str"}}), work, "cannot change a", **options)

        return module_run.run_module(t.cast(t.Any, SimpleNamespace(main=main)), capsys, name="x")

    return ended


def test_results(ended: Ended) -> None:
    result = ended(lambda module: {"changed": True, "name": module.params["name"]})
    assert (result["changed"], result["name"], result.get("failed")) == (True, "x", None)


def test_an_expected_error_has_its_details(ended: Ended) -> None:
    result = ended(failing(ModuleFailure("b is full: delete c", rc=3, log=["d"])))
    assert result["failed"] and (result["msg"], result["rc"], result["log"]) == ("b is full: delete c", 3, ["d"])


def test_an_error_of_the_system_says_what_failed(ended: Ended) -> None:
    refused = PermissionError(13, "Permission denied", "/a")
    assert ended(failing(refused))["msg"] == "cannot change a: [Errno 13] Permission denied: '/a'"
    assert ended(failing(refused), remedy="Run it as root.")["msg"].endswith("denied: '/a'. Run it as root.")


def test_other_errors_are_named(ended: Ended) -> None:
    with pytest.raises(ValueError, match="a defect"):
        ended(failing(ValueError("a defect")))
    assert ended(failing(ValueError("no JSON")), errors=(OSError, ValueError))["msg"] == "cannot change a: no JSON"
