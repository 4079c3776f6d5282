# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """For modules that wait for a server."""

    DOCUMENTATION = r"""
options:
  deadline:
    description:
      - Maximum time to wait, in seconds, even if the server does not respond.
    type: float
    default: 600
  interval:
    description:
      - The time between two checks, in seconds.
    type: float
    default: 1
  unit:
    description:
      - The systemd unit of the server. If it is set, the module notices when it ends, and reads its journal.
    type: str
  restarts:
    description:
      - How many times O(unit) may be restarted by systemd during the wait before the module fails. Each restart is a
        warning.
    type: int
    default: 0
  container:
    description:
      - The name of the server's container. If it is set, the module notices when it ends, and reads its log.
      - If O(unit) is also set, the container does not have to exist at first, because the unit creates it.
    type: str
requirements:
  - docker (the Docker SDK for Python), only with O(container)
"""
