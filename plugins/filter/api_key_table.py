# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import read_keys, table


def table_of(keys: t.Any) -> list[str]:
    read, problems = read_keys(keys)
    if problems:
        raise AnsibleFilterError("the API keys are not valid:\n" + "\n".join(problems))
    return table(read, datetime.now(timezone.utc))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"api_key_table": table_of}
