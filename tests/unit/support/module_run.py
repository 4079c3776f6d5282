# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's main() as Ansible does: arguments in, JSON out."""

from __future__ import annotations

import json
import types
import typing as t
from unittest import mock

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

Result = t.Dict[str, t.Any]


def run_module(
    module: types.ModuleType, capsys: pytest.CaptureFixture[str], check: bool = False, **arguments: t.Any
) -> Result:
    internal = {"_ansible_check_mode": check, "_ansible_diff": True}
    # Another test may have imported the controller's code, which would then receive the module's warnings.
    on_a_host = mock.patch.object(_internal, "is_controller", False)
    # On a host, a module is a new process without earlier warnings.
    no_warnings = mock.patch.dict(warnings._global_warnings, clear=True)
    with on_a_host, no_warnings, patch_module_args({**arguments, **internal}), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def failure(module: types.ModuleType, capsys: pytest.CaptureFixture[str], **arguments: t.Any) -> str:
    """The message of a run that must fail."""
    result = run_module(module, capsys, **arguments)
    assert result.get("failed"), result
    return result["msg"]
