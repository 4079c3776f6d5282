# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""How every module of the collection ends: with the results of its work, or with an error that a person can act on."""

from __future__ import annotations

import typing as t
from contextlib import nullcontext

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import LeaseError, kept

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class ModuleFailure(Exception):
    """An expected error: what failed and what to change. `details` become results of the failed module."""

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.details = details


def run_module(
    module: AnsibleModule,
    work: t.Callable[[AnsibleModule], t.Mapping[str, t.Any]],
    failure: str,
    remedy: str = "",
    errors: tuple[type[Exception], ...] = (OSError,),
    renews_lease: bool = True,
) -> None:
    """End the module with what `work` returns.

    `failure` says what could not be done if one of `errors`, whose own words follow, comes from the system; `remedy`
    says what to change. `renews_lease` is whether the module renews the lease of the host for its run.
    """
    try:
        with kept() if renews_lease else nullcontext():
            results = work(module)
    except ModuleFailure as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except LeaseError as exc:
        module.fail_json(msg=str(exc))
    except errors as exc:
        module.fail_json(msg=f"{failure}: {exc}{remedy and f'. {remedy}'}")
    module.exit_json(**results)
