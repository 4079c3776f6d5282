# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hub's token is seen by nobody who was not given it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from site_under_test import HOST, STATE, Site

# Kept apart so that this file, too, does not have the canary in it.
CANARY = "hf_" + "canary" * 4
WATCH = f"grep --files-with-matches --null --text {CANARY} /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null"


def test_the_token_is_in_no_log_argument_environment_or_record(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{CANARY}\n")
    facts = tmp_path / "facts"
    variables = {
        "trtllm_model": {"preset": "smollm2-135m-instruct", "repository": "rehearsal/Gated"},
        "trtllm_token_file": str(token),
    }
    process = site.start("site", "-vvv", "--tags", "preflight,host_python,model_weights", variables=variables)
    seen: set[str] = set()
    log = tmp_path / "log"
    with log.open("w") as stream:
        import threading

        reader = threading.Thread(target=lambda: stream.write(process.stdout.read()))
        reader.start()
        while process.poll() is None:
            seen |= set(site.run("sh", "-c", WATCH, check=False).stdout.split("\0")) - {""}
            time.sleep(0.02)
        reader.join()
    assert process.returncode == 0, log.read_text()[-3000:]
    own = {name for name in seen if "/self/" in name}
    assert seen - own == set()
    assert CANARY not in log.read_text()
    assert not facts.exists()

    kept = f"{site.root}/secrets/hf_token"
    assert site.read("stat", "--format", "%U %a", kept).split() == ["root", "600"]
    places = f"{site.root} /root /tmp /var/tmp /var/log /etc /home"
    found = site.run("grep", "--recursive", "--files-with-matches", "--text", CANARY, *places.split(), check=False).stdout
    assert found.split() == [kept]
    assert CANARY not in site.read("journalctl", "--no-pager")
    assert CANARY not in site.read("sh", "-c", "docker inspect $(docker ps --all --quiet) $(docker images --quiet)")
    site.run("rm", kept)
