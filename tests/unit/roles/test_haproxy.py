# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of gateways and endpoints, and how they are started."""

from __future__ import annotations

import configparser

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.modules import certificate
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import ROLES, Role, tasks_of


@pytest.mark.parametrize("instance", ["gateway", "endpoint"])
def test_systemd_waits_longer_than_haproxy_for_the_last_stream(instance: str) -> None:
    """The longest answer of the plan decides both. The molecule scenario gateway asks systemd itself."""
    (start,) = [task for task in tasks_of(ROLES / instance / "tasks/main.yml") if "reload it" in task["name"]]
    role = Role(instance, "debian-12", **{f"{instance}_answer_timeout": 3277})
    given = {name: role.render(value) for name, value in start["vars"].items() if name != "haproxy_changed"}
    written = Role("haproxy", "debian-12", **given).task("instance", "ansible.builtin.copy")
    assert written["dest"] == f"/etc/systemd/system/trtllm-haproxy@{instance}.service.d/stop.conf"
    settings = configparser.ConfigParser()
    settings.read_string(written["content"])
    assert int(settings["Service"]["TimeoutStopSec"]) == 3277 + 30
    assert "TimeoutStopSec" not in (ROLES / "haproxy/templates/unit.service.j2").read_text()


@pytest.mark.parametrize("instance", ["gateway", "endpoint"])
def test_certificates_last_at_least_a_year(instance: str) -> None:
    default = yaml.safe_load(certificate.DOCUMENTATION)["options"]["days"]["default"]
    tasks = tasks_of(ROLES / instance / "tasks/main.yml")
    issued = [task["tritonops.trtllm.certificate"] for task in tasks if "tritonops.trtllm.certificate" in task]
    assert issued and {entry.get("days", default) for entry in issued} == {default} and default >= 365
