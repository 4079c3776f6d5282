# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle is assembled from parts and signed; its signature and files are verified."""

from __future__ import annotations

import base64
import errno
import mmap
import os
import shutil
import subprocess
import tempfile
import typing as t
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import LARGEST_MANIFEST
from ansible_collections.tritonops.trtllm.plugins.modules import bundle, bundle_info, bundle_signature
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

Capture = pytest.CaptureFixture[str]


class Made:
    """A bundle of two parts, and the results of the modules."""

    def __init__(self, folder: Path, capsys: Capture) -> None:
        self.path = folder / "bundle"
        self.record = folder / "run" / "verified.json"
        self._folder, self._capsys = folder, capsys
        self.part("wheels", {"a.whl": b"wheel", "b.whl": b"other"})
        self.part("packages/debian-12", {"Packages": b"Package: a\n"})

    def part(self, path: str, files: dict[str, bytes]) -> None:
        draft = Draft(str(self._folder / "parts" / path), {"files": sorted(files)})
        progress = draft.begin()
        for name, content in files.items():
            Path(draft.payload, name).write_bytes(content)
        draft.publish({}, progress)

    def make(self, *paths: str, **options: t.Any) -> Result:
        parts = [
            {"path": path, "src": str(self._folder / "parts" / path)}
            for path in paths or ("wheels", "packages/debian-12")
        ]
        return run_module(
            bundle, self._capsys, dest=str(self.path), about={"model": {"name": "m"}}, parts=parts, **options
        )

    def info(self, **options: t.Any) -> Result:
        return run_module(bundle_info, self._capsys, path=str(self.path), record=str(self.record), **options)

    def refusal(self, **options: t.Any) -> str:
        return failure(bundle_info, self._capsys, path=str(self.path), record=str(self.record), **options)


@pytest.fixture
def made(tmp_path: Path, capsys: Capture) -> Made:
    return Made(tmp_path, capsys)


def overwrite(path: Path, content: bytes) -> None:
    """Without changing size or time, so that it is not noticed."""
    before = path.stat()
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_bundle_has_every_file_of_its_parts(made: Made) -> None:
    assert made.make()["changed"]
    found = made.info()
    assert found["files"] == 3 and found["size"] == found["hashed"] == 21
    assert found["manifest"]["model"] == {"name": "m"}
    assert (made.path / "packages/debian-12/Packages").read_bytes() == b"Package: a\n"
    assert not (made.path / "wheels/artifact.json").exists()


def test_second_run_changes_nothing_unless_a_part_has_changed(made: Made) -> None:
    made.make("wheels")
    assert not made.make("wheels")["changed"]
    assert made.make()["reason"] == "its contents have changed"
    assert made.info()["files"] == 3


def test_check_mode_writes_nothing(made: Made) -> None:
    assert made.make(check=True)["changed"]
    assert not made.path.exists()


def test_damaged_bundle_is_assembled_again(made: Made) -> None:
    made.make()
    (made.path / "wheels/a.whl").unlink()
    assert made.make()["reason"] == "wheels/a.whl is missing"
    assert made.info()["files"] == 3


def test_all_problems_are_reported_at_once(made: Made) -> None:
    made.make()
    (made.path / "wheels/a.whl").unlink()
    overwrite(made.path / "wheels/b.whl", b"OTHER")
    (made.path / "wheels/c.whl").write_bytes(b"more")
    (made.path / "packages/debian-12/Packages").write_bytes(b"short")
    message = made.refusal()
    for problem in (
        "wheels/a.whl is missing",
        "wheels/b.whl has been changed: its sha256 is",
        "wheels/c.whl is not in the manifest",
        "packages/debian-12/Packages has 5 bytes instead of 11",
    ):
        assert problem in message


def test_only_a_folder_can_be_verified(made: Made) -> None:
    """A gateway has no weights, and no room for them."""
    made.part("packages/a", {"one.deb": b"one"})
    made.part("weights", {"large": b"large"})
    made.make("packages/a", "weights")
    (made.path / "weights/large").unlink()
    assert "large is missing" in made.refusal()
    assert made.info(below="packages/a")["hashed"] == 3
    assert made.info(below="packages/a")["hashed"] == 0
    overwrite(made.path / "packages/a/one.deb", b"two")
    (made.path / "packages/a/more.deb").write_bytes(b"")
    words = made.refusal(below="packages/a")
    assert "packages/a/one.deb has been changed" in words and "packages/a/more.deb is not in the manifest" in words
    assert "large" not in words


def test_link_out_of_the_bundle_is_refused(made: Made, tmp_path: Path) -> None:
    made.make()
    (tmp_path / "elsewhere").write_bytes(b"wheel")
    (made.path / "wheels/a.whl").unlink()
    (made.path / "wheels/a.whl").symlink_to(tmp_path / "elsewhere")
    assert "wheels/a.whl is not a regular file" in made.refusal()


def test_folder_that_is_a_link_is_refused(made: Made, tmp_path: Path) -> None:
    made.make()
    (made.path / "more").symlink_to(tmp_path)
    assert "more is not in the manifest" in made.refusal()


def test_verified_file_is_read_again_only_if_it_was_written_to(made: Made) -> None:
    made.make()
    assert made.info()["hashed"] == 21
    assert made.info()["hashed"] == 0
    overwrite(made.path / "wheels/b.whl", b"OTHER")
    assert "wheels/b.whl has been changed" in made.refusal()


@pytest.mark.parametrize("name", ["", "wheels", "wheels/a.whl", "manifest.json", ".."])
@pytest.mark.parametrize("by", ["owner", "group", "everybody"])
def test_bundle_that_others_can_change_is_refused(made: Made, name: str, by: str) -> None:
    made.make()
    changed = (made.path / name).resolve()
    if by == "everybody":
        changed.chmod(0o777)
        problem = f"{changed} can be written to by everybody"
    elif os.geteuid():
        pytest.skip("only root can give files to others")
    elif by == "group":
        os.chown(changed, 0, 54321)
        changed.chmod(0o775)
        problem = f"{changed} can be written to by the group 54321"
    else:
        os.chown(changed, 54321, 0)
        problem = f"{changed} belongs to the user 54321"
    message = made.refusal()
    assert f"others than root can change the bundle {made.path}:\n- {problem}\nGive it to root (chown" in message


def test_bundle_behind_a_link_that_others_can_change_is_refused(made: Made, tmp_path: Path, capsys: Capture) -> None:
    """Of the folders that lead to it, only the second one, with another link, can be changed."""
    made.make()
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir(mode=0o700)
    (theirs / "link").symlink_to(made.path)
    ours.symlink_to("theirs/link")
    assert run_module(bundle_info, capsys, path=str(ours))["files"] == 3
    theirs.chmod(0o777)
    message = failure(bundle_info, capsys, path=str(ours))
    assert f"- {theirs} can be written to by everybody\n" in message


def test_bundle_below_a_folder_like_tmp_is_accepted(made: Made, tmp_path: Path) -> None:
    made.make()
    tmp_path.chmod(0o1777)
    assert made.info()["files"] == 3


def test_bundle_on_a_read_only_file_system_can_belong_to_anybody(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.make()
    (made.path / "wheels/a.whl").chmod(0o666)
    monkeypatch.setattr("os.statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert made.info()["files"] == 3


@contextmanager
def opened(path: Path) -> t.Iterator[None]:
    with path.open("ab"):
        yield


@contextmanager
def mapped(path: Path) -> t.Iterator[None]:
    """A mapping outlives the handle that it was made with."""
    with path.open("r+b") as stream:
        memory = mmap.mmap(stream.fileno(), 0)
    with memory:
        yield


@pytest.mark.parametrize("name", ["wheels/b.whl", "packages/debian-12/Packages"])
@pytest.mark.parametrize("hold", [opened, mapped])
def test_bundle_with_a_file_that_a_program_can_write_to_is_refused(
    made: Made, name: str, hold: t.Callable[[Path], t.ContextManager[None]]
) -> None:
    """The program may have opened the file before it was given to root."""
    made.make()
    with hold(made.path / name):
        message = made.refusal()
    assert f"programs can write to the bundle {made.path}:\n- {name} is open for writing\nWait until" in message
    assert made.info()["hashed"] == 21


def test_program_that_reads_a_file_of_the_bundle_is_no_problem(made: Made) -> None:
    made.make()
    with (made.path / "wheels/a.whl").open("rb"):
        assert made.info()["files"] == 3


def test_file_system_without_leases_is_accepted(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.make()

    def no_lease(_stream: t.Any, _command: int, _argument: int) -> t.NoReturn:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("fcntl.fcntl", no_lease)
    assert made.info()["files"] == 3


def test_manifest_that_is_not_the_signed_one_is_refused(made: Made) -> None:
    made.make()
    assert "is not the one whose signature was verified" in made.refusal(checksum="0" * 64)


def test_manifest_that_is_not_the_signed_one_is_not_parsed(made: Made) -> None:
    made.make()
    (made.path / "manifest.json").write_text("{")
    assert "is not the one whose signature was verified" in made.refusal(checksum="0" * 64)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a bundle"),
        ("{", "is damaged"),
        ('{"format": 2}', "does not have the format 1"),
        ("[]", "does not have the format"),
        (" " * LARGEST_MANIFEST, "is damaged"),
        (" " * (LARGEST_MANIFEST + 1), "is larger than 16 MiB"),
    ],
)
def test_folder_that_is_not_a_bundle_is_refused(made: Made, content: str | None, message: str) -> None:
    made.path.mkdir()
    if content is not None:
        (made.path / "manifest.json").write_text(content)
    assert message in made.refusal()


# --- signatures ----------------------------------------------------------------------------------------------------


class Keys:
    """Keys in the keyring of $GNUPGHOME."""

    def gpg(self, *arguments: str) -> str:
        command = ["gpg", "--batch", "--quiet", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def add(self, name: str) -> str:
        self.gpg("--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.com>", "ed25519", "sign", "never")
        listed = self.gpg("--with-colons", "--list-keys", name)
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))

    def export(self, name: str, path: Path) -> Path:
        path.write_text(self.gpg("--armor", "--export", name))
        return path


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Keys]:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    # Not below tmp_path, which can be too long for the agent's socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        monkeypatch.setenv("GNUPGHOME", home)
        yield Keys()
        subprocess.run(["gpgconf", "--kill", "all"], check=True)


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_only_a_signature_with_the_trusted_key_is_good(
    made: Made, keys: Keys, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ("long" * 25)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 25)))
    ours, theirs = keys.add("ours"), keys.add("theirs")
    assert made.make(gpg_key=ours)["changed"]
    assert not made.make(gpg_key=ours)["changed"]
    manifest, signature = made.path / "manifest.json", made.path / "manifest.json.asc"
    arguments = {"content": encoded(manifest), "signature": encoded(signature)}
    public = str(keys.export("ours", tmp_path / "ours.asc"))
    spaced = " ".join(ours[at : at + 4] for at in range(0, 40, 4))
    found = run_module(bundle_signature, capsys, **arguments, keyring=public, fingerprint=spaced)
    assert made.info(checksum=found["checksum"])["files"] == 3

    other = str(keys.export("theirs", tmp_path / "theirs.asc"))
    assert "is not good" in failure(bundle_signature, capsys, **arguments, keyring=other, fingerprint=theirs)
    both = str(keys.export("example.com", tmp_path / "both.asc"))
    assert f"signed with {ours}, not with {theirs}" in failure(
        bundle_signature, capsys, **arguments, keyring=both, fingerprint=theirs
    )
    arguments["content"] = base64.b64encode(manifest.read_bytes() + b" ").decode()
    assert "is not good" in failure(bundle_signature, capsys, **arguments, keyring=public, fingerprint=ours)


def test_bundle_without_its_signature_is_signed_again(made: Made, keys: Keys) -> None:
    made.make()
    assert made.make(gpg_key=keys.add("ours"))["reason"] == "it is not signed"
    assert made.make()["reason"] == "it is signed, but no key is set"


def test_unknown_key_leaves_no_bundle(made: Made, keys: Keys, capsys: Capture) -> None:
    assert "cannot sign the manifest with the key nobody: gpg: " in made.make(gpg_key="nobody")["msg"]
    assert not made.path.exists()
