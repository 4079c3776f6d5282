# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rehearsal's hub, started by its command line; test_hf_snapshot tests it with the real client."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

requests = pytest.importorskip("requests")

SERVER = Path(__file__).parents[3] / "rehearsal/hub/server.py"
WEIGHTS = os.urandom(200_000)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name in ("org/open", "org/gated"):
        (root / name / "sub").mkdir(parents=True)
        (root / name / "config.json").write_text("{}")
        (root / name / "sub/model.safetensors").write_bytes(WEIGHTS)
    (root / "org/gated/.commit").write_text("c" * 40 + "\n")
    (root / "token").write_text("hf_right\n")
    fault = json.dumps({"kind": "unavailable", "path": "config.json", "method": "GET"})
    command = [sys.executable, str(SERVER), "--root", str(root), "--port", "0", "--gated", "org/gated"]
    command += ["--token-file", str(root / "token"), "--fault", fault]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        session = requests.Session()
        session.trust_env = False
        session.base = process.stderr.readline().split(" at ")[1].strip()
        yield session
        process.terminate()
        process.stderr.close()


def info(hub, name, revision="main"):
    return hub.get(f"{hub.base}/api/models/{name}/revision/{revision}", params={"blobs": "True"})


def test_info_has_size_and_digest_of_each_file(hub):
    answer = info(hub, "org/open").json()
    small, big = answer["siblings"]
    assert small == {"rfilename": "config.json", "size": 2, "blobId": hashlib.sha1(b"blob 2\0{}").hexdigest()}
    assert big["rfilename"] == "sub/model.safetensors"
    assert big["lfs"] == {"size": 200_000, "sha256": hashlib.sha256(WEIGHTS).hexdigest(), "pointerSize": 134}
    assert len(answer["sha"]) == 40 and answer["gated"] is False
    assert info(hub, "org/open", answer["sha"]).json() == answer


def test_a_commit_can_be_set(hub):
    assert info(hub, "org/gated").json()["sha"] == "c" * 40


def test_head_and_range(hub):
    commit = info(hub, "org/open").json()["sha"]
    url = f"{hub.base}/org/open/resolve/{commit}/sub/model.safetensors"
    digest = f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
    head = hub.head(url)
    assert (head.headers["ETag"], head.headers["X-Linked-Etag"]) == (digest, digest)
    assert (head.headers["X-Repo-Commit"], head.headers["X-Linked-Size"]) == (commit, "200000")
    assert head.headers["Content-Length"] == "200000"
    assert hub.get(url).content == WEIGHTS
    part = hub.get(url, headers={"Range": "bytes=150000-"})
    assert (part.status_code, part.content) == (206, WEIGHTS[150_000:])
    assert hub.get(url, headers={"Range": "bytes=200000-"}).status_code == 416


@pytest.mark.parametrize(
    "path, token, status, code",
    [
        ("org/gated/resolve/main/config.json", None, 401, "GatedRepo"),
        ("org/gated/resolve/main/config.json", "hf_wrong", 401, None),
        ("org/gated/resolve/main/config.json", "hf_right", 200, None),
        ("org/none/resolve/main/config.json", None, 404, "RepoNotFound"),
        ("org/../resolve/main/token", None, 404, None),
        ("org/open/resolve/main/none.json", None, 404, "EntryNotFound"),
        ("org/open/resolve/v2/config.json", None, 404, "RevisionNotFound"),
        ("elsewhere", None, 404, None),
    ],
)
def test_access_depends_on_repository_and_token(hub, path, token, status, code):
    answer = hub.head(f"{hub.base}/{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    assert (answer.status_code, answer.headers.get("X-Error-Code")) == (status, code)


def test_a_fault_from_the_command_line_occurs_once(hub):
    url = f"{hub.base}/org/open/resolve/main/config.json"
    assert [hub.get(url).status_code for _try in range(2)] == [503, 200]
