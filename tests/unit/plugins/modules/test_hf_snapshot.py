# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with the rehearsal's hub and the real huggingface_hub."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact import _artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import read_artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.weights import _hf_hub, _weights
from ansible_collections.tritonops.trtllm.plugins.modules import hf_snapshot
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[4]
REPOSITORY = "tiny/llama"
CANARY = "hf_canaryCANARYcanary"
BIG = 300_000
CHUNK = 10_000

pytest.importorskip("huggingface_hub")


def load_server():
    spec = importlib.util.spec_from_file_location("rehearsal_hub_server", ROOT / "rehearsal/hub/server.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


server = load_server()


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "models" / REPOSITORY
    (folder / "original").mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("# tiny")
    (folder / "model.safetensors").write_bytes(os.urandom(BIG))
    (folder / "pytorch_model.bin").write_bytes(b"the same again")
    (folder / "original" / "params.json").write_text("{}")
    return folder


@pytest.fixture
def hub(tree):
    hub = server.Hub(root=tree.parents[1])
    with server.HubServer(hub) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        hub.http, hub.url = http, http.url
        hub.commit = hub.repository(REPOSITORY).commit
        yield hub
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch, tmp_path):
    monkeypatch.setattr(_hf_hub, "MAX_DELAY", 0.05)
    # Only the hub may be slow.
    monkeypatch.setattr(server, "time", SimpleNamespace(sleep=time.sleep))
    monkeypatch.setattr("time.sleep", lambda _seconds, _sleep=time.sleep: _sleep(0.01))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def run(capsys, tmp_path, hub):
    def call(check=False, **arguments):
        arguments = {
            "repository": REPOSITORY,
            "revision": hub.commit,
            "dest": str(tmp_path / "weights" / "key"),
            "endpoint": hub.url,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **arguments,
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        with patch_module_args(given), pytest.raises(SystemExit):
            hf_snapshot.main()
        out = capsys.readouterr().out
        assert CANARY not in out
        return json.loads(out)

    return call


def fetched(hub, name="model.safetensors"):
    return [byte_range for method, path, byte_range in hub.requests if method == "GET" and path.endswith(name)]


def dest_files(tmp_path):
    dest = tmp_path / "weights" / "key"
    return sorted(str(path.relative_to(dest)) for path in dest.rglob("*") if path.is_file())


HOSTILE_NAMES = {
    "../../../outside/pwned.json": "has an empty part, . or ..",
    "tokenizer/../../../../outside/cron": "has an empty part, . or ..",
    "/{outside}/pwned.json": "is absolute",
    "tokenizer//double": "has an empty part, . or ..",
    "./tokenizer.json": "has an empty part, . or ..",
    "tokenizer\\..\\x": "has a backslash",
    "tokenizer\nnew": "has control characters",
    "tokenizer\0new": "has control characters",
    "tokenizer\u2028new": "has control characters",
    "artifact.json": "is reserved",
    "artifact.json/tokenizer.json": "is reserved",
    ".cache/huggingface/download/tokenizer.json": "is reserved",
    f"{'x' * 27}=.e/tokenizer.json": "unfinished downloads",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
@pytest.mark.parametrize("by", ["commit", "main"])
def test_hostile_names_are_refused(run, hub, tmp_path, name, by):
    """File names from a hub, a mirror or an attacker in between must not decide where root writes."""
    outside = tmp_path / "outside"
    outside.mkdir()
    victims = [outside / victim for victim in ("pwned.json", "cron")]
    for victim in victims:
        victim.write_text("theirs")
        victim.chmod(0o600)
    files = hub.repository(REPOSITORY).blobs
    called = name.replace("/{outside}", str(outside))
    # With a wrong digest the downloaded file would be removed.
    files[called] = replace(files["tokenizer.json"], name=called, git_sha1="0" * 40)
    there = set(tmp_path.rglob("*"))
    message = run(revision=hub.commit if by == "commit" else "main")["msg"]
    assert f"{REPOSITORY}@" in message and hub.url in message
    assert HOSTILE_NAMES[name] in message and (ascii(called) in message or repr(called) in message), message
    assert {(victim.read_text(), victim.stat().st_mode & 0o777) for victim in victims} == {("theirs", 0o600)}
    assert set(tmp_path.rglob("*")) == there
    assert not [path for method, path, _range in hub.requests if "/resolve/" in path]


def test_a_file_that_is_also_a_folder_is_refused(run, hub):
    files = hub.repository(REPOSITORY).blobs
    files["config.json/x.json"] = replace(files["config.json"], name="config.json/x.json")
    assert f"{hub.url} has unsafe file names: 'config.json' is both a file and a folder" in run()["msg"]


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "x/../../../../outside/pwned"},
        {"sha256": "*"},
        {"git_sha1": "../" * 8 + "outside"},
        {"size": "12"},
        {"size": None},
        {"size": -1},
        {"size": 10**400},
    ],
)
def test_hostile_digests_and_sizes_are_refused(run, hub, tmp_path, change):
    files = hub.repository(REPOSITORY).blobs
    name = "model.safetensors" if "sha256" in change else "config.json"
    entry = files[name].sibling()
    if "sha256" in change:
        entry["lfs"].update(change)
    entry.update({"size" if key == "size" else "blobId": value for key, value in change.items()})
    files[name] = SimpleNamespace(name=name, sibling=lambda: entry)
    message = run()["msg"]
    assert f"for the file '{name}'. The hub" in message and hub.url in message
    assert not (tmp_path / "weights/key").exists()


@pytest.mark.parametrize("commit", ["../../../outside", "0" * 40, "", None])
def test_a_commit_that_was_not_requested_is_refused(run, hub, commit):
    asked = hub.commit
    repository = hub.repository(REPOSITORY)
    with mock.patch.object(server.Handler, "_send_info", autospec=True) as send_info:
        send_info.side_effect = lambda handler, _repository, send_body: _info(
            handler, replace(repository, commit=commit), send_body
        )
        assert "claims to be commit" in run(revision=asked)["msg"]


_info = server.Handler._send_info


def test_a_link_in_an_unfinished_download_is_not_followed(run, hub, tmp_path):
    """An earlier run, or somebody else, may have left a link in the place of a file."""
    outside = tmp_path / "outside"
    outside.mkdir()
    payload = Path(_artifact.make_partial(str(tmp_path / "weights/key"), {}))
    inputs = json.loads(json.dumps(run(check=True)["diff"]["after"]))
    (payload.parent / "inputs.json").write_text(json.dumps(_artifact.marked(json.loads(inputs)["inputs"])))
    (payload / "config.json").symlink_to(outside / "new.json")
    assert f"'config.json' leads to {outside}/new.json" in run()["msg"]
    assert not list(outside.iterdir())


@pytest.mark.parametrize("source", ["hub", "folder"])
def test_files_of_others_at_dest_are_refused(run, tree, tmp_path, source):
    theirs = tmp_path / "weights/key/thesis.tex"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    arguments = {} if source == "hub" else {"src": str(tree), "repository": None, "revision": None}
    for check in (True, False):
        assert "weights/key is not empty and contains no artifact.json" in run(check=check, **arguments)["msg"]
    assert theirs.read_text() == "theirs"


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        "{}",
        '{"weight_map": {"a": 1}}',
        '{"weight_map": [1]}',
        '{"weight_map": {"a": [], "b": 1}}',
        "[" * 100000,
    ],
    ids=lambda text: text[:30],
)
def test_an_invalid_index_is_refused(run, tree, index):
    (tree / "model.safetensors.index.json").write_text(index)
    result = run(src=str(tree), repository=None, revision=None)
    assert f"model.safetensors.index.json of {tree} is not an index of safetensors files: download it" in result["msg"]


def test_an_index_is_not_read_to_its_end(run, tree, monkeypatch):
    monkeypatch.setattr(_weights, "MAX_INDEX_LENGTH", 20)
    (tree / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))
    assert "is not an index of safetensors files" in run(src=str(tree), repository=None, revision=None)["msg"]


@pytest.mark.parametrize("dest", [".", "..", "copy"])
def test_dest_that_overlaps_src_is_refused(run, tree, dest):
    before = sorted(tree.rglob("*"))
    result = run(src=str(tree), repository=None, revision=None, dest=str(tree / dest))
    assert "must not be the same folder, nor one inside the other" in result["msg"]
    assert sorted(tree.rglob("*")) == before


def test_a_model_is_downloaded_once(run, hub, tree, tmp_path):
    predicted = run(check=True)
    assert predicted["changed"] and not (tmp_path / "weights").exists()
    result = run()
    assert result["changed"], result
    assert result["reason"] == predicted["reason"] == f"no artifact at {tmp_path}/weights/key"
    assert result["commit"] == hub.commit
    assert result["files"] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert dest_files(tmp_path) == ["artifact.json", *result["files"]]
    assert result["total_size"] == result["downloaded"] == sum((tree / name).stat().st_size for name in result["files"])
    assert (tmp_path / "weights/key/model.safetensors").read_bytes() == (tree / "model.safetensors").read_bytes()
    assert result["diff"]["after"] == predicted["diff"]["after"]
    hub.requests.clear()
    again = run()
    assert (again["changed"], again["reason"], again["downloaded"]) == (False, None, 0)
    assert hub.requests == []


def test_a_branch_is_resolved_and_its_commit_recorded(run, hub, tmp_path):
    result = run(revision="main")
    assert (result["changed"], result["commit"]) == (True, hub.commit)
    record = read_artifact(str(tmp_path / "weights/key"))
    assert record["inputs"]["commit"] == hub.commit
    assert record["versions"]["huggingface_hub"]
    assert run(revision=hub.commit)["changed"] is False


def test_other_patterns_are_other_inputs(run):
    run()
    result = run(allow_patterns=["config.json"], ignore_patterns=[])
    assert result["reason"] == "inputs changed: allow_patterns, ignore_patterns"
    assert result["files"] == ["config.json"]


def test_verify_repairs_a_flipped_byte(run, tmp_path):
    run()
    damaged = tmp_path / "weights/key/model.safetensors"
    content = bytearray(damaged.read_bytes())
    content[1000] ^= 1
    damaged.write_bytes(content)
    assert run()["changed"] is False
    result = run(verify=True)
    assert result["reason"].startswith("file model.safetensors has sha256")
    assert run(verify=True)["changed"] is False


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_an_interrupted_transfer_is_resumed(run, hub, kind, monkeypatch):
    _hf_hub.load_library()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1)
    hub.faults = [server.Fault(kind, "model.safetensors", "GET", after=200_000, seconds=600)]
    result = run()
    assert result["changed"], result
    ranges = fetched(hub)
    assert ranges[0] is None and ranges[1] == "bytes=200000-"


def test_a_transfer_from_a_host_without_ranges_starts_again(run, hub, tree, tmp_path, monkeypatch):
    """It answers 200 with the whole file, as some CDNs do after a break."""

    def serve(handler, send_body, original=server.Handler._serve):
        hub.note(handler.command, "/asked", handler.headers.get("Range"))
        del handler.headers["Range"]
        original(handler, send_body)

    monkeypatch.setattr(server.Handler, "_serve", serve)
    hub.faults = [server.Fault("cut", "model.safetensors", "GET", after=200_000)]
    assert run()["changed"]
    assert "bytes=200000-" in fetched(hub, "asked")
    assert (tmp_path / "weights/key/model.safetensors").read_bytes() == (tree / "model.safetensors").read_bytes()


def test_a_dying_hub_is_reported_and_the_next_run_resumes(run, hub, tmp_path):
    hub.faults = [
        server.Fault("cut", "model.safetensors", "GET", after=200_000),
        server.Fault("unavailable", "model.safetensors", "HEAD", times=-1, skip=1),
    ]
    failed = run()
    assert failed["failed"]
    assert f"cannot fetch {REPOSITORY}@{hub.commit} at {hub.url}: the hub says 503" in failed["msg"]
    assert "The hub is temporarily unavailable" in failed["msg"] and "run again" in failed["msg"]
    assert not (tmp_path / "weights/key").exists()
    hub.faults = []
    hub.requests.clear()
    result = run()
    assert fetched(hub) == ["bytes=200000-"]
    assert result["downloaded"] == BIG - 200_000


def test_kill_9_leaves_no_final_name_and_the_next_run_resumes(run, hub, tmp_path):
    hub.faults = [server.Fault("stall", "model.safetensors", "GET", after=200_000, times=-1, seconds=600)]
    dest = tmp_path / "weights" / "key"
    code = (
        "from ansible_collections.tritonops.trtllm.plugins.module_utils.weights import _hf_hub, _weights\n"
        f"request = _weights.Request({str(dest)!r}, {REPOSITORY!r}, {hub.commit!r}, None, {hub.url!r}, False, None,"
        " _hf_hub.DEFAULT_ALLOW, _hf_hub.DEFAULT_IGNORE, 4, False, False)\n"
        "_weights.snapshot(_weights.HubSource(request, _hf_hub.load_library(), None))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        begun = Path(f"{dest}.partial/payload/.cache/huggingface/download")
        try:
            wait_until(lambda: any(path.stat().st_size > CHUNK for path in begun.glob("*.incomplete")))
        finally:
            child.kill()
    assert not dest.exists()
    hub.faults = []
    hub.requests.clear()
    result = run()
    assert result["changed"]
    assert fetched(hub)[0].startswith("bytes=")
    assert result["downloaded"] < result["total_size"]


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def send(monkeypatch):
    """Replaces what the hub sends for the paths that end so; without a length, as it ends with the connection."""

    def replace_answer(ending, blocks, status=200, method="GET", **headers):
        def serve(handler, send_body, original=server.Handler._serve):
            if not handler.path.split("?")[0].endswith(ending) or handler.command != method:
                original(handler, send_body)
                return
            handler.close_connection = True
            handler.server.hub.note(handler.command, handler.path, handler.headers.get("Range"))
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            with suppress(OSError):
                for block in blocks():
                    handler.wfile.write(block)
                    sent.append(len(block))

        monkeypatch.setattr(server.Handler, "_serve", serve)

    sent = []
    replace_answer.sent = sent
    return replace_answer


def dripping(real_sleep=time.sleep):
    return (b"x" for _number in range(400) if not real_sleep(0.05))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_body_that_is_longer_than_announced_ends_at_that_size(run, send, hub, tree, tmp_path, name):
    send(name, lambda: (b"x" * CHUNK for _number in range(10_000)))
    size = (tree / name).stat().st_size
    written = []
    real = _hf_hub._discard
    with mock.patch.object(_hf_hub, "_discard") as discard:
        discard.side_effect = lambda *args: (written.append(_hf_hub.received_bytes(*args)), real(*args))
        failed = run()
    assert f"{name} has more than the {size} bytes that the hub announced. The hub, or a mirror" in failed["msg"]
    assert max(written) <= size and sum(send.sent) < 50 << 20
    assert not list(
        (tmp_path / "weights/key.partial/payload").rglob(f"*.{hub.repository(REPOSITORY).blobs[name].etag}.*")
    )


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_dripping_body_is_not_waited_for(run, send, hub, monkeypatch, name):
    monkeypatch.setattr(_hf_hub, "RATE_SECONDS", 0.3)
    monkeypatch.setattr(_hf_hub, "MAX_ATTEMPTS", 3)
    send(name, dripping)
    failed = run()
    assert "TimeoutError: less than 100 bytes per second for 0 s. Downloaded data is kept" in failed["msg"]
    assert len(fetched(hub, name)) == 3


def test_a_slow_body_with_the_minimum_rate_is_waited_for(run, hub, monkeypatch):
    monkeypatch.setattr(_hf_hub, "RATE_SECONDS", 0.1)
    hub.bytes_per_second = 500_000
    assert run()["changed"]


@pytest.mark.parametrize("method, ending", [("GET", "/revision/main"), ("HEAD", "config.json")])
def test_a_dripping_answer_is_not_waited_for(run, monkeypatch, method, ending):
    monkeypatch.setattr(_hf_hub, "MAX_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(_hf_hub, "MAX_ATTEMPTS", 2)

    def serve(handler, send_body, original=server.Handler._serve):
        if not handler.path.split("?")[0].endswith(ending) or handler.command != method:
            original(handler, send_body)
            return
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        with suppress(OSError):
            for block in dripping():
                handler.wfile.write(block)

    monkeypatch.setattr(server.Handler, "_serve", serve)
    assert "TimeoutError: no complete response within 0.3 s" in run(revision="main")["msg"]


def test_a_mirror_that_sends_no_length_is_named(run, send, hub):
    blob = hub.repository(REPOSITORY).blobs["config.json"]
    headers = {"ETag": f'"{blob.etag}"', "X_Repo_Commit": hub.repository(REPOSITORY).commit}
    send("config.json", list, method="HEAD", **headers)
    message = run()["msg"]
    assert "Content-Length" in message and "http://127.0.0.1:" in message


@pytest.mark.parametrize("status", [200, 302, 403])
def test_an_answer_of_the_hub_is_limited_in_bytes(run, send, status):
    send("/revision/main", lambda: (b" " * CHUNK for _number in range(20_000)), status, Location="/elsewhere")
    assert "has more than 16777216 bytes. The hub, or a mirror" in run(revision="main")["msg"]
    assert sum(send.sent) < 50 << 20


def test_a_compressed_answer_is_limited_in_bytes(run, send):
    content = gzip.compress(b" " * (200 << 20))
    send("/revision/main", lambda: [content], Content_Encoding="gzip")
    assert "has more than 16777 bytes" in run(revision="main")["msg"]


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 100_000, '{"siblings": 1}', "[]", "<html>"])
def test_an_invalid_answer_of_the_hub_is_an_error(run, send, body):
    send("/revision/main", lambda: [body.encode()])
    assert f"cannot fetch {REPOSITORY}@main at " in run(revision="main")["msg"]


def test_a_file_damaged_in_transfer_is_downloaded_again(run, hub, tree, tmp_path):
    hub.faults = [server.Fault("flip", "model.safetensors", "GET", after=1234)]
    assert run()["changed"]
    assert len(fetched(hub)) == 2
    assert (tmp_path / "weights/key/model.safetensors").read_bytes() == (tree / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name, digest", [("model.safetensors", "sha256"), ("config.json", "git sha1")])
def test_a_file_that_stays_damaged_is_named(run, hub, tmp_path, name, digest):
    hub.faults = [server.Fault("flip", name, "GET", after=5, times=-1)]
    failed = run()
    blob = hub.repository(REPOSITORY).blobs[name]
    assert f"{name} of {REPOSITORY}@{hub.commit}" in failed["msg"]
    assert f"was damaged twice: expected {digest} {blob.etag}, got {digest} " in failed["msg"]
    assert not (tmp_path / "weights/key").exists()
    assert not (tmp_path / "weights/key.partial/payload" / name).exists()


def test_a_partial_file_that_is_too_long_is_discarded(run, hub, tmp_path):
    hub.faults = [
        server.Fault("cut", "model.safetensors", "GET", after=20_000),
        server.Fault("unavailable", "model.safetensors", "HEAD", times=-1, skip=1),
    ]
    run()
    begun = next((tmp_path / "weights/key.partial/payload").rglob("*.incomplete"))
    begun.write_bytes(b"x" * (BIG + 1))
    hub.faults = []
    assert run()["changed"]


@pytest.mark.parametrize("kind", ["unavailable", "rate_limit"])
def test_a_temporary_failure_is_retried(run, hub, kind):
    hub.faults = [server.Fault(kind, f"/revision/{hub.commit}", seconds=0.01)]
    assert run()["changed"]


def test_a_long_retry_after_is_reported(run, hub):
    hub.faults = [server.Fault("rate_limit", times=-1, seconds=3600)]
    failed = run()
    assert "the hub says 429: We had to rate limit your IP" in failed["msg"]
    assert "a pause of 60 min 00 s: run again after that; a token (token_file or HF_TOKEN)" in failed["msg"]


def test_an_unreachable_hub_is_reported(run, tmp_path):
    failed = run(endpoint="http://127.0.0.1:9")
    assert "at http://127.0.0.1:9: ConnectError: " in failed["msg"]
    assert "check endpoint, ca_bundle" in failed["msg"]
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("endpoint", ["http://[", "nonsense", "http://", "http://a:b"])
def test_an_endpoint_that_is_no_url_is_reported(run, endpoint):
    assert f"cannot fetch {REPOSITORY}@" in run(endpoint=endpoint)["msg"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Hub.example:443/a@b:80/c", "hub.example"),
        ("http://user:word@hub.example:8080?a=/b", "hub.example:8080"),
        ("https://[::1]:80", "[::1]"),
        ("https://hub.example:", "hub.example"),
        ("nonsense", ""),
    ],
)
def test_the_host_of_a_url(url, place):
    assert _hf_hub._place(url) == place


def gate(hub):
    hub.gated, hub.token = {REPOSITORY}, CANARY


def test_gated_without_token(run, hub, tmp_path):
    gate(hub)
    for check in (True, False):
        failed = run(check=check)
        assert "the hub says 401: Access to model tiny/llama is restricted. Please log in." in failed["msg"]
        assert f"accept the model's licence at {hub.url}/{REPOSITORY}" in failed["msg"]
        assert "set token_file (or HF_TOKEN)" in failed["msg"]
    assert not (tmp_path / "weights").exists()


def test_gated_with_a_refused_token(run, hub, tmp_path):
    gate(hub)
    token = tmp_path / "token"
    token.write_text("hf_wrong")
    failed = run(token_file=str(token))
    assert "the hub says 401: Invalid credentials in Authorization header" in failed["msg"]
    assert "The token was refused" in failed["msg"] and "hf_wrong" not in json.dumps(failed)


def test_gated_without_the_licence(run, hub, tmp_path, monkeypatch):
    gate(hub)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    hub.faults = [server.Fault("gated", "config.json", times=-1)]
    failed = run()
    assert "the hub says 403: Access to model tiny/llama is restricted" in failed["msg"]
    assert "The token works, but its account has no access" in failed["msg"]


@pytest.mark.parametrize(
    "said, remedy",
    [
        (
            "Please enable access to public gated repositories in your fine-grained token settings to view this",
            "The token works, but its permissions do not: change them in the token's settings as the hub says",
        ),
        (
            "Your request to access model tiny/llama is awaiting a review from the repo authors.",
            "its account has asked for access: wait until it is granted at",
        ),
    ],
)
def test_the_remedy_for_a_gated_model_follows_the_hub(run, hub, monkeypatch, said, remedy):
    gate(hub)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    monkeypatch.setattr(server, "gated_message", lambda _repository: said)
    hub.faults = [server.Fault("gated", "config.json", times=-1)]
    message = run()["msg"]
    assert said.rstrip(".") in message and remedy in message and "licence" not in message


@pytest.fixture
def redirected(monkeypatch, hub):
    """The hub redirects weights to another URL; `storage` is the host there."""

    def to(location):
        def send_file(handler, repository, name, send_body, original=server.Handler._send_file):
            blob = repository.blobs[name]
            if not blob.is_lfs:
                original(handler, repository, name, send_body)
                return
            headers = {
                "X-Linked-Etag": f'"{blob.sha256}"',
                "X-Linked-Size": str(blob.size),
                "X-Repo-Commit": repository.commit,
                "Location": location,
            }
            handler._reply(302, headers, 0, "text/plain")

        monkeypatch.setattr(server.Handler, "_send_file", send_file)

    return to


class Storage(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<html>Blocked by policy</html>"
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Do not log requests."""


@pytest.fixture
def storage():
    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize(
    "status, phrase", [(403, "403 Forbidden"), (401, "401 Unauthorized"), (502, "502 Bad Gateway")]
)
def test_a_refusal_behind_the_hub_is_not_blamed_on_the_token(
    run, hub, redirected, storage, monkeypatch, status, phrase
):
    hub.token = CANARY
    monkeypatch.setenv("HF_TOKEN", CANARY)
    redirected(f"http://{storage}/{status}?signature=secret")
    message = run()["msg"]
    assert (
        f"{storage}, not the hub, says {phrase}. The hub redirects downloads to {storage}: allow this host" in message
    )
    assert "oken" not in message and "licence" not in message and "secret" not in message


def test_a_host_behind_the_hub_that_cannot_be_reached_is_named(run, redirected):
    redirected("http://blocked.invalid/weights?signature=secret")
    message = run()["msg"]
    assert "(blocked.invalid). The hub redirects downloads to blocked.invalid: allow this host to reach it" in message


@pytest.mark.parametrize("ending", ["/revision/main", "config.json"])
def test_a_page_of_a_proxy_is_not_blamed_on_the_token(run, hub, send, monkeypatch, ending):
    hub.token = CANARY
    monkeypatch.setenv("HF_TOKEN", CANARY)
    method = "GET" if ending.startswith("/") else "HEAD"
    send(ending, lambda: [b"<html>"], 403, method, Content_Type="text/html")
    message = run(revision="main")["msg"]
    assert "the hub, or a proxy in between, says 403 Forbidden. Downloaded data is kept" in message
    assert "check endpoint" in message and "oken" not in message


def test_a_login_in_the_endpoint_is_refused_and_neither_stored_nor_shown(run, hub, tmp_path):
    for check in (True, False):
        failed = run(check=check, endpoint=hub.url.replace("://", f"://ops:{CANARY}@"))
        assert "endpoint: a URL has a user name or password in it" in failed["msg"]
    assert not (tmp_path / "weights").exists()


def test_gated_with_a_token_that_is_not_stored(run, hub, tmp_path):
    gate(hub)
    token = tmp_path / "token"
    token.write_text(f"{CANARY}\n")
    assert run(token_file=str(token))["changed"]
    token.unlink()
    leaks = [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert leaks == []


def test_a_token_by_option_is_neither_stored_nor_shown(run, hub, tmp_path):
    gate(hub)
    assert run(check=True, token=CANARY)["changed"]
    assert run(token=f"{CANARY}\n")["changed"]
    assert [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()] == []
    assert "the token is empty: write it to the file" in run(token="", dest=str(tmp_path / "other"))["msg"]
    assert "mutually exclusive: token|token_file" in run(token=CANARY, token_file="/nowhere")["msg"]


def test_only_the_given_token_is_used(run, hub, monkeypatch):
    hub.token = CANARY
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_wrong")
    assert run()["changed"]


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path / "hub.pem"
    path.write_bytes(
        certificate.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(path)


def test_a_mirror_with_its_own_certificate(run, hub, certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    hub.http.socket = context.wrap_socket(hub.http.socket, server_side=True)
    endpoint = hub.url.replace("http:", "https:")
    monkeypatch.setenv("SSL_CERT_FILE", "")
    close_session = import_module("huggingface_hub.utils").close_session
    close_session()
    failed = run(endpoint=endpoint)
    assert "CERTIFICATE_VERIFY_FAILED" in failed["msg"] and "ca_bundle" in failed["msg"]
    close_session()
    assert run(endpoint=endpoint, ca_bundle=certificate)["changed"]
    close_session()


@pytest.mark.parametrize("content, words", [(None, "cannot read the token"), (" \n", "is empty")])
def test_an_unusable_token_file_is_reported(run, tmp_path, content, words):
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    assert words in run(token_file=str(token))["msg"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            {"repository": "tiny/none"},
            "the hub says 404: Repository not found. Correct repository or endpoint; if it is",
        ),
        ({"revision": "0" * 40}, f"the hub says 404: Invalid rev id: {'0' * 40}. Correct revision"),
        ({"repository": "a/b/c"}, "it must have the form organisation/name"),
        ({"allow_patterns": ["*.xyz"]}, "has no file that allow_patterns and ignore_patterns select"),
        ({"repository": None}, "one of the following is required: repository, src"),
    ],
)
def test_bad_input_changes_nothing(run, tmp_path, arguments, words):
    failed = run(**arguments)
    assert failed["failed"] and words in failed["msg"]
    assert not (tmp_path / "weights").exists()


def test_weights_that_are_only_pickled_are_refused(run, hub, tree):
    (tree / "model.safetensors").unlink()
    hub._repositories.clear()
    failed = run(revision="main")
    assert "has no safetensors weights, only pytorch_model.bin: choose a revision" in failed["msg"]


@pytest.mark.parametrize("by", ["hub", "folder", "check"])
def test_a_repository_without_weights_is_refused(run, hub, tree, tmp_path, by):
    for name in ("model.safetensors", "pytorch_model.bin"):
        (tree / name).unlink()
    hub._repositories.clear()
    source = {"src": str(tree), "repository": None} if by == "folder" else {"revision": "main"}
    failed = run(check=by == "check", **source)
    assert "has no safetensors weights: choose a revision or repository" in failed["msg"]
    assert not (tmp_path / "weights").exists()


def test_a_tokenizer_needs_no_weights(run, hub, tree):
    """Its patterns also select the index of weights that they do not select."""
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (tree / "model.safetensors.index.json").write_text(json.dumps(index))
    hub._repositories.clear()
    files = ["*.json", "*.model", "*.txt", "*.jinja"]
    assert run(revision="main", allow_patterns=files)["changed"]
    assert run(repository=None, src=str(tree), allow_patterns=files)["changed"]


def test_a_repository_that_lacks_shards_of_its_index_is_refused(run, hub, tree, tmp_path):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model.safetensors"}}
    (tree / "model.safetensors.index.json").write_text(json.dumps(index))
    hub._repositories.clear()
    failed = run(revision="main")
    assert f"{hub.url} is incomplete: model.safetensors.index.json names model-00001-of-00002" in failed["msg"]
    assert "choose another revision" in failed["msg"] and not (tmp_path / "weights/key").exists()


@pytest.mark.parametrize("size, refused", [(60 * 10**9, True), (50 * 10**9 + 1, True), (50 * 10**9, False)])
def test_a_file_that_only_xet_serves_is_refused_before_the_download(run, hub, monkeypatch, size, refused):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=7))
    files = hub.repository(REPOSITORY).blobs
    files["model.safetensors"] = replace(files["model.safetensors"], size=size)
    message = run()["msg"]
    assert ("has files of more than 50 GB, which hubs only serve by Xet" in message) == refused, message
    assert not refused or f"model.safetensors ({size / 1e9:.3g} GB). Choose a revision or rep" in message
    assert "hf_xet" not in message
    assert not refused or not [path for _method, path, _range in hub.requests if "/resolve/" in path]


def test_a_full_disk_is_reported(run, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=7))
    failed = run()
    assert "no space left for the weights (tiny/llama)" in failed["msg"]
    assert "ENOSPC): 300 kB needed, 7 B available" in failed["msg"]
    assert not (tmp_path / "weights").exists()


def test_a_folder_as_source(run, hub, tree, tmp_path):
    result = run(repository=None, src=str(tree))
    assert (result["changed"], result["commit"]) == (True, None)
    assert result["files"] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert run(repository=None, src=str(tree), verify=True)["changed"] is False
    (tree / "config.json").write_text("{}")
    assert run(repository=None, src=str(tree))["reason"] == "inputs changed: listing"
    assert hub.requests == []


def test_a_missing_or_incomplete_folder_is_refused(run, tree):
    assert "does not exist on this host" in run(repository=None, src="/nowhere")["msg"]
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model.safetensors"}}
    (tree / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "names model-00001-of-00002.safetensors; complete the folder" in run(repository=None, src=str(tree))["msg"]


def test_offline_uses_the_librarys_cache(run, hub, tmp_path):
    library = _hf_hub.load_library()
    cache = str(tmp_path / "cache")
    library.snapshot_download(REPOSITORY, endpoint=hub.url, cache_dir=cache, token=False)
    hub.requests.clear()
    result = run(offline=True, revision="main", cache_dir=cache)
    assert (result["changed"], result["commit"]) == (True, hub.commit), result
    assert run(offline=True, revision="main", cache_dir=cache)["changed"] is False
    assert hub.requests == []


def test_offline_detects_a_damaged_cache(run, hub, tmp_path):
    library = _hf_hub.load_library()
    cache = tmp_path / "cache"
    library.snapshot_download(REPOSITORY, endpoint=hub.url, cache_dir=str(cache), token=False)
    blob = next(path for path in cache.rglob("blobs/*") if path.stat().st_size == BIG)
    blob.write_bytes(b"x" * BIG)
    assert "model.safetensors" in run(offline=True, cache_dir=str(cache))["msg"]


def test_offline_finishes_a_complete_download(run, hub, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("os.rename", mock.Mock(side_effect=OSError(5, "pulled the plug")))
        assert "pulled the plug" in run()["msg"]
    hub.requests.clear()
    assert run(offline=True)["changed"]
    assert hub.requests == []


def test_offline_without_files_is_an_error(run, tmp_path):
    failed = run(offline=True, cache_dir=str(tmp_path / "cache"))
    assert f"offline is set, but {REPOSITORY}@" in failed["msg"]
    assert "Unset offline, or set src to the folder of a copy" in failed["msg"]


@pytest.fixture
def no_library(monkeypatch):
    def load(_ca_bundle):
        raise ImportError("huggingface_hub")

    monkeypatch.setattr(hf_snapshot, "load_library", load)


def test_check_mode_predicts_without_the_library(run, no_library, hub):
    assert run(check=True)["changed"]
    assert hub.requests == []
    assert "huggingface_hub" in run()["msg"]


def test_check_mode_knows_a_recorded_branch_without_the_library(run, hub, monkeypatch):
    run(revision="main")
    monkeypatch.setattr(hf_snapshot, "load_library", mock.Mock(side_effect=ImportError()))
    result = run(check=True, revision="main")
    assert (result["changed"], result["commit"]) == (False, hub.commit)


def test_check_mode_before_the_token_exists(run, hub):
    gate(hub)
    assert run(check=True, token_file="/nowhere/hf_token")["changed"]
