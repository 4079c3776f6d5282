# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""trtllm_sources with repositories on disk and the real git. molecule/source_build tests git-lfs."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import quote

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend import _sources
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_sources
from ansible_collections.tritonops.trtllm.tests.unit.support.git_repository import git, repository

PASSWORD = "S3CRET:CAN@RY/"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Any]:
    llm = repository(tmp_path / "llm", {"examples/convert.py": "# convert\n"})
    backend = repository(tmp_path / "backend", {"all_models/a/config.pbtxt": "name"})
    git(tmp_path / "backend", "tag", "v1")
    return {
        "backend": {"repository": str(tmp_path / "backend"), "ref": "v1", "commit": backend},
        "tensorrt_llm": {"repository": str(tmp_path / "llm"), "commit": llm},
    }


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Any]:
    def call(sources: dict[str, Any], check: bool = False, **more: Any) -> Any:
        arguments = {"sources": sources, "dest": str(tmp_path / "clone"), "_ansible_check_mode": check, **more}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            trtllm_sources.main()
        return json.loads(capsys.readouterr().out)

    return call


def test_templates_and_tools_are_cloned_once(run: Callable[..., Any], sources: Any, tmp_path: Path) -> None:
    predicted = run(sources, check=True)
    assert predicted["changed"] and not (tmp_path / "clone").exists()
    result = run(sources)
    assert (result["changed"], result["reason"]) == (True, predicted["reason"])
    assert (tmp_path / "clone/all_models/a/config.pbtxt").read_text() == "name"
    assert (tmp_path / "clone/tensorrt_llm/examples/convert.py").exists()
    # No server is needed from here on.
    shutil.rmtree(tmp_path / "backend")
    assert run(sources)["changed"] is False


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_repository_whose_submodule_folder_is_a_link_is_refused(
    run: Callable[..., Any], sources: Any, tmp_path: Path, kind: str
) -> None:
    """TensorRT-LLM is cloned to that folder, and would overwrite the link's target."""
    victim = tmp_path / "victim"
    (victim / "examples").mkdir(parents=True)
    (victim / "examples/convert.py").write_text("theirs")
    folder = tmp_path / "backend/tensorrt_llm"
    folder.symlink_to(victim) if kind == "link" else folder.write_text("")
    git(tmp_path / "backend", "add", ".")
    git(tmp_path / "backend", "commit", "--quiet", "--message", "hostile")
    commit = git(tmp_path / "backend", "rev-parse", "HEAD")
    hostile = {**sources, "backend": {"repository": str(tmp_path / "backend"), "commit": commit}}
    assert "has something other than a folder at tensorrt_llm" in run(hostile)["msg"]
    assert (victim / "examples/convert.py").read_text() == "theirs" and len(list(victim.iterdir())) == 1


def test_the_module_works_without_home(run: Callable[..., Any], sources: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert run(sources)["changed"]


def test_the_users_git_settings_are_used(
    run: Callable[..., Any], sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(f'[url "{tmp_path}/"]\n\tinsteadOf = https://git.example.com/\n')
    sources["backend"]["repository"] = "https://git.example.com/backend"
    assert run(sources)["changed"]


def test_a_missing_file_is_noticed(run: Callable[..., Any], sources: Any, tmp_path: Path) -> None:
    run(sources)
    (tmp_path / "clone/all_models/a/config.pbtxt").unlink()
    assert run(sources, check=True)["reason"] == "file all_models/a/config.pbtxt is missing"
    assert run(sources)["changed"] and (tmp_path / "clone/all_models/a/config.pbtxt").exists()


def test_a_tag_that_was_moved_is_refused(run: Callable[..., Any], sources: Any, tmp_path: Path) -> None:
    git(tmp_path / "backend", "commit", "--quiet", "--allow-empty", "--message", "other")
    git(tmp_path / "backend", "tag", "--force", "--annotate", "--message", "release", "v1")
    other = git(tmp_path / "backend", "rev-parse", "HEAD")
    message = run(sources)["msg"]
    assert f"was moved: it points at {other}, not at {sources['backend']['commit']}" in message
    assert not (tmp_path / "clone").exists()


def test_a_branch_must_have_the_commit(run: Callable[..., Any], sources: Any, tmp_path: Path) -> None:
    sources["backend"]["ref"] = "r26.04"
    assert "has neither a tag nor a branch r26.04" in run(sources)["msg"]
    git(tmp_path / "backend", "branch", "r26.04")
    git(tmp_path / "backend", "switch", "--quiet", "r26.04")
    git(tmp_path / "backend", "commit", "--quiet", "--allow-empty", "--message", "goes on")
    assert run(sources)["changed"]
    sources["backend"]["commit"] = sources["tensorrt_llm"]["commit"]
    assert "the branch r26.04 of" in run(sources)["msg"]


def test_an_interrupted_clone_is_continued(run: Callable[..., Any], sources: Any, tmp_path: Path) -> None:
    repository_url = sources["backend"]["repository"]
    git(tmp_path, "clone", "--quiet", "--bare", repository_url, str(tmp_path / "gone"))
    sources["tensorrt_llm"]["repository"] = str(tmp_path / "not_there_yet")
    assert "does not appear to be a git repository" in run(sources)["msg"]
    assert "correct the repository in trtllm_sources" in run(sources)["msg"]
    # A file that a killed git leaves.
    (tmp_path / "clone.partial/payload/.git/index.lock").touch()
    (tmp_path / "llm").rename(tmp_path / "not_there_yet")
    fetched = (tmp_path / "clone.partial/payload/.git/FETCH_HEAD").stat().st_ino
    assert run(sources)["changed"]
    assert (tmp_path / "clone/.git/FETCH_HEAD").stat().st_ino == fetched


def test_the_submodule_must_be_at_the_planned_commit(
    run: Callable[..., Any], sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # git-lfs may not be installed here, and this test does not need it.
    plain = _sources.Git.run
    monkeypatch.setattr(_sources.Git, "check_version", lambda *_arguments, **_options: None)
    monkeypatch.setattr(
        _sources.Git,
        "run",
        lambda self, what, folder, *words: "" if words[0] == "lfs" else plain(self, what, folder, *words),
    )
    git(
        tmp_path / "backend",
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        str(tmp_path / "llm"),
        "tensorrt_llm",
    )
    git(tmp_path / "backend", "commit", "--quiet", "--message", "with it")
    sources["backend"] = {
        "repository": str(tmp_path / "backend"),
        "commit": git(tmp_path / "backend", "rev-parse", "HEAD"),
    }
    right = sources["tensorrt_llm"]["commit"]
    sources["tensorrt_llm"]["commit"] = "0" * 40
    assert f"has TensorRT-LLM at {right}, not at {'0' * 40}: correct commit" in run(sources, whole=True)["msg"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"backend": {"repository": "/srv/a"}}, "backend.commit must be 40 hexadecimal digits, not None"),
        ({"tensorrt_llm": None}, "tensorrt_llm must be a mapping with repository and commit"),
    ],
)
def test_incomplete_sources_are_refused(run: Callable[..., Any], sources: Any, changes: Any, says: str) -> None:
    assert says in run({**sources, **changes})["msg"]


def test_git_lfs_pointers_are_found_by_their_first_line(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    for name, content in {"a/lib.a": pointer, ".git/lib.a": pointer, "b": f"# {pointer}", "c": pointer * 100}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "nowhere").symlink_to("gone")
    assert _sources.pointer_files(str(tmp_path)) == ["a/lib.a"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("repository", "mirrors"),
    [
        ("https://ops:S3CRETCANARY@git.example.com/x.git", {}),
        ("https://S3CRETCANARY@git.example.com/x.git", {}),
        ("https://github.com/x.git", {"https://github.com/": "http://ops:S3CRETCANARY@git.example.com/"}),
        ("https://github.com/x.git", {"https://S3CRETCANARY@github.com/": "https://git.example.com/"}),
    ],
)
def test_a_login_in_a_url_is_refused_and_neither_stored_nor_shown(
    run: Callable[..., Any], sources: Any, tmp_path: Path, repository: str, mirrors: dict[str, str], check: bool
) -> None:
    failed = run({**sources, "backend": {**sources["backend"], "repository": repository}}, check=check, mirrors=mirrors)
    assert "a URL has a user name or password in it" in failed["msg"]
    assert "S3CRETCANARY" not in json.dumps(failed) and not list(tmp_path.glob("clone*"))


@pytest.fixture
def private(sources: Any, tmp_path: Path) -> Iterator[str]:
    """A server for the repositories, with a login, and the URL of the folder with them."""
    for name in ("backend", "llm"):
        git(tmp_path / name, "update-server-info")
    expected = "Basic " + base64.b64encode(f"ops:{PASSWORD}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] == expected:
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def stored_login(url: str) -> str:
    return f"# the mirror\n{url.replace('://', '://ops:' + quote(PASSWORD, safe='') + '@')}\n"


def test_private_repositories_are_cloned_and_the_login_is_nowhere(
    run: Callable[..., Any], sources: Any, private: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    ours = {
        "backend": {**sources["backend"], "repository": f"{private}/backend/.git"},
        "tensorrt_llm": {**sources["tensorrt_llm"], "repository": f"{private}/llm/.git"},
    }
    refused = run(ours)
    assert "Authentication failed" in refused["msg"] and "trtllm_git_auth_file" in refused["msg"]
    wrong = run(ours, auth=stored_login(private).replace("%40", ""))
    assert "Authentication failed" in wrong["msg"]
    result = run(ours, auth=stored_login(private))
    assert result.get("changed"), result
    assert (tmp_path / "clone/tensorrt_llm/examples/convert.py").exists()
    assert PASSWORD not in json.dumps([refused, wrong, result])
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not [path for path in written if b"S3CRET" in path.read_bytes()]
