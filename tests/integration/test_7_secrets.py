# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hub's token does not leak."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from site_under_test import CANARY, HOST, GatedHub, Site

pytestmark = pytest.mark.long

WATCH = "/root/watch-for-the-canary"


class Watch:
    """Repeatedly searches the arguments and environments of the host's processes for the canary.

    It reads the canary from standard input, so that it does not find itself.
    """

    def __init__(self) -> None:
        grep = f"grep --files-with-matches --text --file {WATCH} /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
        script = f"cat >{WATCH}; while true; do {grep} 2>/dev/null; done"
        self._process = subprocess.Popen(
            ["docker", "exec", "-i", HOST, "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin
        self._process.stdin.write(f"{CANARY}\n")
        self._process.stdin.close()
        self.found: set[str] = set()
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        assert self._process.stdout
        self.found.update(line.strip() for line in self._process.stdout)

    def stop(self, site: Site) -> set[str]:
        site.run("pkill", "--full", "watch-for-the-canary", check=False)
        self._process.wait()
        self._thread.join()
        site.run("rm", "--force", WATCH)
        return self.found


def test_the_token_is_in_no_log_argument_environment_or_record(site: Site, gated_hub: GatedHub, tmp_path: Path) -> None:
    facts = tmp_path / "facts"
    cached = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(facts)}
    variables = {**gated_hub.variables, "trtllm_token_file": str(gated_hub.token)}
    watch = Watch()
    played = site.play("site", "-vvv", variables=variables, environment=cached)
    seen = watch.stop(site)
    assert played.returncode == 0
    assert seen == set()
    assert CANARY not in played.output
    assert list(facts.iterdir()) and not [path for path in facts.iterdir() if CANARY in path.read_text()]

    places = [site.root, "/root", "/tmp", "/var/tmp", "/var/log", "/etc", "/home", "/run"]
    found = site.run(
        "grep", "--recursive", "--files-with-matches", "--text", "--devices=skip", CANARY, *places, check=False
    )
    assert found.stdout == ""
    assert CANARY not in site.read("journalctl", "--no-pager")
    assert CANARY not in site.read("sh", "-c", "docker inspect $(docker ps --all --quiet) $(docker images --quiet)")


def test_the_canary_would_be_found(site: Site) -> None:
    watch = Watch()
    # The process runs until the watch has found it.
    leak = subprocess.Popen(["docker", "exec", HOST, "env", f"LEAK={CANARY}", "sleep", "infinity"])
    try:
        site.wait(60, lambda: bool(watch.found))
    finally:
        site.run("pkill", "--full", "^sleep infinity$", check=False)
        leak.wait()
        watch.stop(site)
