# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with the rehearsal's hub and the real huggingface_hub."""

from __future__ import annotations

import importlib.util
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact import _artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import read_artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.weights import _hf_hub
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
    monkeypatch.setattr(_hf_hub, "DOWNLOAD_CHUNK", CHUNK)
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
    ["{", "[]", "{}", '{"weight_map": [1]}', '{"weight_map": {"a": [], "b": 1}}', "[" * 100000],
    ids=lambda text: text[:30],
)
def test_an_invalid_index_is_refused(run, tree, index):
    (tree / "model.safetensors.index.json").write_text(index)
    result = run(src=str(tree), repository=None, revision=None)
    assert "model.safetensors.index.json is not an index of safetensors files: download it again" in result["msg"]


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
        f"_hf_hub.DOWNLOAD_CHUNK = {CHUNK}\n"
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
