# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records are opened, closed and restored, with killed runs in between; packages, units and accounts are simulated."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _host_record
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import Package
from ansible_collections.tritonops.trtllm.plugins.modules import host_record, host_record_info
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

Described = t.Dict[str, t.Any]


class FakeHost:
    """A simulated host, except for its files."""

    family = "deb"

    def __init__(self) -> None:
        self.listed = {"libc6": Package("2.36", gives=frozenset({"libc6"}))}
        self.units: dict[str, Described] = {}
        self.groups: dict[str, Described] = {}
        self.users: dict[str, Described] = {}
        self.repositories: dict[str, list[str]] = {}
        self.half_way = ""
        self.mounted: list[str] = []

    def install(self, *names: str) -> None:
        self.listed.update({name: Package("1", gives=frozenset({name})) for name in names})

    def remove(self, *names: str) -> None:
        for name in names:
            del self.listed[name]

    def packages(self) -> dict[str, Package]:
        return dict(self.listed)

    def can_be_had(self, wanted: t.Mapping[str, str]) -> dict[str, list[str]]:
        return {name: self.repositories.get(name, []) for name in wanted}

    def interrupted(self) -> str:
        return self.half_way

    def finish_interrupted(self) -> None:
        self.half_way = ""

    def remove_key(self, name: str) -> None:
        del self.listed[name]

    def unit(self, name: str) -> Described | None:
        return self.units.get(name)

    def unit_owner(self, name: str) -> str:
        return "engine" if name == "engine.service" else ""

    def user(self, name: str) -> Described | None:
        return self.users.get(name)

    def group(self, name: str) -> Described | None:
        return self.groups.get(name)

    def mounts(self) -> str:
        return "".join(f"/dev/x {path} xfs rw 0 0\n" for path in self.mounted)

    def unmount(self, path: str) -> None:
        self.mounted.remove(path)

    def set_unit(self, name: str, state: Described) -> None:
        self.units[name] = state

    def remove_user(self, name: str) -> None:
        del self.users[name]

    def set_group(self, name: str, now: Described, wanted: Described | None) -> None:
        if wanted is None:
            del self.groups[name]
        else:
            self.groups[name] = wanted


class Rehearsed:
    """The module on a host whose files are below a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.host = FakeHost()
        self.etc = folder / "etc"
        self.etc.mkdir()
        (folder / "lib").mkdir()
        self.data = folder / "var" / "engine"
        self.settings = self.etc / "engine" / "daemon.json"
        self.record = folder / "lib" / "trtllm" / "host_record.json"
        self._capsys = capsys

    def run(self, state: str, check: bool = False, **more: t.Any) -> Result:
        result = run_module(host_record, self._capsys, check=check, state=state, path=str(self.record), **more)
        assert not result.get("failed"), result
        return result

    def info(self, **more: t.Any) -> Result:
        result = run_module(host_record_info, self._capsys, path=str(self.record), **more)
        assert not result.get("failed"), result
        return result

    def open(self, **more: t.Any) -> Result:
        scope = {
            "packages": ["engine", "oldrunc"],
            "files": [str(self.etc / "engine"), str(self.etc / "engine" / "certs" / "*"), str(self.etc / "key")],
            "json_files": [str(self.settings)],
            "line_files": [str(self.etc / "fstab")],
            "trees": [str(self.data), str(self.etc / "engine" / "made.json")],
            "units": ["engine.service"],
            "groups": ["engine"],
        }
        return self.run("open", part="engine", **{**scope, **more})

    def work(self) -> None:
        """The changes of a role."""
        self.host.install("engine")
        self.host.units["engine.service"] = {"enabled": "enabled", "active": True}
        self.host.groups.setdefault("engine", {"members": []})
        self.settings.parent.mkdir(exist_ok=True)
        config = json.loads(self.settings.read_text()) if self.settings.exists() else {}
        self.settings.write_text(json.dumps({**config, "debug": True}))
        (self.etc / "key").write_text("ours")
        fstab = self.etc / "fstab"
        fstab.write_text((fstab.read_text() if fstab.exists() else "") + "UUID=2 /mnt\n")
        (self.data / "images").mkdir(parents=True, exist_ok=True)
        (self.settings.parent / "made.json").touch()

    def close(self) -> Result:
        return self.run("closed", part="engine")

    def serve(self) -> None:
        self.open()
        self.work()
        self.close()

    def remove_packages(self, **more: t.Any) -> None:
        gone = self.info(**more)["remove"]
        self.host.remove(*gone)
        if "engine" in gone:
            del self.host.units["engine.service"]

    def files(self) -> dict[str, str]:
        root = self.etc.parent
        return {
            str(path.relative_to(root)): path.read_text() if path.is_file() else "" for path in sorted(root.rglob("*"))
        }


@pytest.fixture(name="site")
def fixture_site(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Rehearsed:
    site = Rehearsed(tmp_path, capsys)
    monkeypatch.setattr(host_record, "Host", lambda module: site.host)
    monkeypatch.setattr(host_record_info, "Host", lambda module: site.host)
    return site


def test_a_bare_host_is_restored(site: Rehearsed) -> None:
    before = site.files()
    site.serve()
    told = site.info()
    assert told["remove"] == ["engine"] and told["units"] == ["engine.service"]
    site.remove_packages()
    done = site.run("restored")
    assert done["changed"] and done["left"] == {}
    assert site.files() == before
    assert site.host.groups == {}
    assert not site.run("restored")["changed"]


def test_an_earlier_state_is_restored(site: Rehearsed) -> None:
    site.settings.parent.mkdir()
    site.settings.write_text('{"labels":   ["rack=7"]}')
    site.settings.chmod(0o640)
    (site.etc / "fstab").write_text("UUID=1 /\n")
    (site.etc / "key").symlink_to("elsewhere")
    site.data.mkdir(parents=True)
    site.data.chmod(0o755)
    site.host.groups["engine"] = {"members": ["alice"]}
    before = site.files()
    site.open()
    site.data.chmod(0o710)
    (site.etc / "key").unlink()
    site.work()
    site.host.groups["engine"] = {"members": ["alice", "operator"]}
    site.close()
    site.remove_packages()
    site.run("restored")
    assert site.files() == before
    assert site.settings.stat().st_mode & 0o777 == 0o640
    assert site.data.stat().st_mode & 0o777 == 0o755
    assert (site.etc / "key").is_symlink()
    assert site.host.groups["engine"] == {"members": ["alice"]}


def test_a_folder_with_data_of_others_is_not_changed(site: Rehearsed) -> None:
    site.data.mkdir(parents=True)
    (site.data / "theirs").write_text("data")
    site.serve()
    site.remove_packages()
    site.run("restored")
    assert (site.data / "theirs").read_text() == "data" and (site.data / "images").is_dir()


def test_a_killed_run_is_completed_by_the_next(site: Rehearsed) -> None:
    before = site.files()
    site.open()
    site.work()
    # Killed here. Somebody installs a package before the next run.
    site.host.install("htop")
    site.serve()
    assert site.info()["remove"] == ["engine"]
    site.remove_packages()
    site.run("restored")
    assert site.files() == before and "htop" in site.host.listed


def test_teardown_can_follow_a_killed_run(site: Rehearsed) -> None:
    before = site.files()
    site.open()
    site.work()
    assert site.info()["remove"] == ["engine"]
    site.remove_packages()
    site.run("restored")
    assert site.files() == before


def test_changes_by_others_between_two_runs_are_kept(site: Rehearsed) -> None:
    site.serve()
    site.host.install("podman")
    site.settings.write_text(json.dumps({"debug": True, "labels": ["rack=7"]}))
    (site.etc / "fstab").write_text("UUID=2 /mnt\nUUID=3 /data\n")
    (site.etc / "key").write_text("theirs")
    site.host.groups["engine"]["members"] = ["alice"]
    # A second run does not attribute them to the collection.
    site.open()
    site.close()
    assert site.info()["remove"] == ["engine"]
    site.remove_packages()
    done = site.run("restored")
    assert json.loads(site.settings.read_text()) == {"labels": ["rack=7"]}
    assert (site.etc / "fstab").read_text() == "UUID=3 /data\n"
    assert (site.etc / "key").read_text() == "theirs"
    assert done["left"][str(site.etc / "key")] == "was changed by others since"
    assert done["left"][str(site.settings.parent)] == "has daemon.json in it"
    assert not site.run("restored")["changed"]


def test_a_pattern_finds_new_files(site: Rehearsed) -> None:
    certificates = site.etc / "engine" / "certs"
    certificates.mkdir(parents=True)
    (certificates / "theirs").write_text("theirs")
    site.open()
    site.work()
    (certificates / "ours").write_text("ours")
    site.close()
    site.remove_packages()
    site.run("restored")
    assert [path.name for path in certificates.iterdir()] == ["theirs"]


def test_a_second_run_records_nothing_new(site: Rehearsed) -> None:
    assert site.open()["changed"]
    site.work()
    assert site.close()["changed"]
    assert not site.open()["changed"]
    assert not site.close()["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_the_result_has_the_roles_installed_packages(site: Rehearsed, check: bool) -> None:
    site.host.listed.update({"engine": Package("5:28.5.1-1"), "oldrunc:amd64": Package("1.1")})
    assert site.open(check=check)["installed"] == {"engine": "5:28.5.1-1", "oldrunc": "1.1"}
    assert site.open(check=check, packages=[])["installed"] == {}


def test_nested_parts_are_recorded_separately(site: Rehearsed) -> None:
    site.open()
    site.run("open", part="python", packages=["venv"])
    site.host.install("venv", "htop")
    site.run("closed", part="python")
    site.work()
    site.close()
    assert site.info()["remove"] == ["engine", "venv"]
    assert site.info(hold={"python": "wanted"})["remove"] == ["engine"]


def test_packages_installed_before_python_are_recorded(site: Rehearsed, tmp_path: Path) -> None:
    before = tmp_path / "packages-before"
    before.write_text("libc6\t2.36\tx86_64\t0\n")
    site.host.install("python3.11", "htop")
    site.run("open", part="interpreter", packages=["python3.11"], before=str(before))
    site.run("closed", part="interpreter")
    assert site.info()["remove"] == ["python3.11"]


def test_two_parts_may_write_the_same_file(site: Rehearsed) -> None:
    before = site.files()
    second = {"part": "toolkit", "json_files": [str(site.settings)], "units": ["engine.service"], "groups": ["engine"]}
    for _run in range(2):
        site.serve()
        site.run("open", **second)
        config = json.loads(site.settings.read_text())
        site.settings.write_text(json.dumps({**config, "runtimes": {"nvidia": {}}}))
        site.host.groups["engine"] = {"members": ["operator"]}
        site.run("closed", **second)
    site.remove_packages()
    site.run("restored")
    assert site.files() == before and site.host.groups == {}


def test_check_mode_predicts_and_changes_nothing(site: Rehearsed) -> None:
    before = site.files()
    assert site.run("open", check=True, part="engine", files=[str(site.etc / "key")])["changed"]
    assert not site.run("closed", check=True, part="engine")["changed"]
    assert site.files() == before
    site.serve()
    served = site.files()
    predicted = site.run("restored", check=True)
    assert site.files() == served and site.host.groups
    site.remove_packages()
    done = site.run("restored")
    assert predicted["restored"] == done["restored"] and predicted["left"] == done["left"]


def test_our_mounts_are_unmounted(site: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> None:
    fstab = site.etc / "fstab"
    monkeypatch.setattr(_host_record, "FSTAB", str(fstab))
    fstab.write_text("UUID=1 /data xfs\n")
    site.serve()
    site.host.mounted = ["/data", "/mnt"]
    held = site.run("restored", hold={"engine": "wanted"})
    assert not held["changed"] and site.host.mounted == ["/data", "/mnt"]
    assert "mount /mnt" in site.run("restored", check=True)["restored"] and site.host.mounted == ["/data", "/mnt"]
    site.run("restored")
    assert site.host.mounted == ["/data"] and fstab.read_text() == "UUID=1 /data xfs\n"


def test_check_mode_can_be_told_what_else_is_removed(site: Rehearsed) -> None:
    root = site.etc.parent / "root"
    site.run("open", part="python", files=[str(root)])
    (root / "venv").mkdir(parents=True)
    site.run("closed", part="python")
    assert site.run("restored", check=True)["left"] == {str(root): "has venv in it"}
    assert site.run("restored", check=True, gone=[str(root / "venv")])["restored"] == [str(root)]
    # A real run checks this itself.
    assert site.run("restored", gone=[str(root / "venv")])["left"] == {str(root): "has venv in it"}


def test_a_part_on_hold_is_kept_and_removed_later(site: Rehearsed) -> None:
    before = site.files()
    site.serve()
    hold = {"hold": {"engine": "the container web is somebody else's"}}
    site.remove_packages(**hold)
    done = site.run("restored", **hold)
    assert not done["changed"] and "package engine" in done["left"]
    assert "engine" in site.host.listed and site.settings.exists() and site.data.exists()
    site.remove_packages()
    site.run("restored")
    assert site.files() == before


def test_files_that_others_use_are_kept(site: Rehearsed) -> None:
    site.serve()
    # Others have replaced our Docker with theirs, and use its data.
    site.host.remove("engine")
    site.host.install("engine-ce")
    done = site.run("restored")
    assert (site.data / "images").exists() and "engine" in site.host.groups
    assert {name: done["left"][name] for name in (str(site.data), "group engine")} == {
        str(site.data): "is still used",
        "group engine": "is still used",
    }


def test_the_state_of_an_existing_unit_is_restored(site: Rehearsed) -> None:
    site.host.install("engine")
    site.host.units["engine.service"] = {"enabled": "disabled", "active": False}
    site.serve()
    assert site.info()["remove"] == []
    site.run("restored")
    assert site.host.units["engine.service"] == {"enabled": "disabled", "active": False}


def test_removed_packages_are_named_with_the_available_version(site: Rehearsed) -> None:
    site.host.install("oldrunc")
    site.open()
    site.work()
    site.host.remove("oldrunc")
    site.close()
    for version, install, unavailable in (
        ("1", ["oldrunc=1"], []),
        ("2", ["oldrunc"], ["oldrunc 1"]),
        ("", [], ["oldrunc 1"]),
    ):
        site.host.repositories = {"oldrunc": [version]} if version else {}
        told = site.info()
        assert (told["install"], told["unavailable"]) == (install, unavailable)


PODMAN = Package("1", needs=(frozenset({"oldrunc", "crun"}),), gives=frozenset({"podman"}))


def serve_beside_podman(site: Rehearsed) -> None:
    """podman's runtime conflicts with Docker, and is replaced by another one."""
    site.host.install("oldrunc")
    site.host.listed["podman"] = PODMAN
    site.open()
    site.work()
    site.host.remove("oldrunc")
    site.host.install("crun", "gpg-pubkey-1-1")
    site.close()


def test_a_substitute_is_removed_when_the_original_is_restored(site: Rehearsed) -> None:
    found = site.files()
    serve_beside_podman(site)
    site.host.repositories = {"oldrunc": ["1"]}
    told = site.info()
    assert (told["remove"], told["remove_at_last"], told["back"]) == (["engine"], ["crun"], ["oldrunc"])
    assert told["signing_keys"] == ["gpg-pubkey-1-1"] and told["held"] == {}
    predicted = site.run("restored", check=True)
    assert predicted["left"] == {} and predicted["remembered"] == []
    site.remove_packages()
    site.host.install("oldrunc")
    assert site.info()["remove"] == ["crun"]
    site.remove_packages()
    done = site.run("restored")
    assert "key gpg-pubkey-1-1" in done["restored"] and set(predicted["restored"]) <= set(done["restored"])
    assert done["left"] == {} and done["remembered"] == []
    assert set(site.host.listed) == {"libc6", "podman", "oldrunc"} and site.files() == found


def test_a_substitute_is_kept_and_reported_if_the_original_is_unavailable(site: Rehearsed) -> None:
    serve_beside_podman(site)
    told = site.info()
    assert told["remove_at_last"] == [] and told["held"] == {"crun": "podman needs it"}
    site.remove_packages()
    done = site.run("restored")
    assert done["left"] == {"package crun": "podman needs it"} and done["remembered"] == ["engine"]


def test_new_dependencies_of_restored_packages_are_reported(site: Rehearsed) -> None:
    serve_beside_podman(site)
    site.host.repositories = {"oldrunc": ["2"]}
    site.remove_packages()
    site.run("open", part="teardown", packages=site.info()["back"])
    # The available version has more dependencies.
    site.host.install("yajl")
    site.host.listed["oldrunc"] = Package("2", needs=(frozenset({"yajl"}),), gives=frozenset({"oldrunc"}))
    site.run("closed", part="teardown")
    site.remove_packages()
    assert site.run("restored")["left"] == {"package yajl": "oldrunc needs it"}


def test_a_package_that_was_not_removed_is_reported(site: Rehearsed) -> None:
    site.serve()
    del site.host.units["engine.service"]
    done = site.run("restored")
    assert done["left"] == {"package engine": "was not removed"} and done["remembered"] == ["engine"]


def test_an_interrupted_run_of_the_package_manager_is_finished_first(site: Rehearsed) -> None:
    site.host.half_way = "dpkg was interrupted"
    assert site.run("open", check=True, part="engine", packages=["engine"])["changed"]
    assert site.host.half_way
    done = site.open()
    assert done["finished"] == "dpkg was interrupted" and not site.host.half_way


def test_only_root_can_read_the_record_and_the_diff_has_no_contents(site: Rehearsed) -> None:
    site.settings.parent.mkdir()
    site.settings.write_text('{"proxy": "http://user:secret@proxy"}')
    done = site.open()
    assert site.record.stat().st_mode & 0o777 == 0o600
    assert "file" in done["diff"]["after"]
    assert (
        json.loads(site.record.read_text())["files"][str(site.settings)]["before"]["content"]
        not in done["diff"]["after"]
    )


@pytest.mark.parametrize(("text", "says"), [("{", "cannot be read"), ('{"version": 99}', "of version 99")])
def test_an_unusable_record_is_an_error(
    site: Rehearsed, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    site.record.parent.mkdir(parents=True)
    site.record.write_text(text)
    result = run_module(host_record, capsys, state="restored", path=str(site.record))
    assert result["failed"] and says in result["msg"] and str(site.record) in result["msg"]


def test_without_a_record_there_is_nothing_to_restore(site: Rehearsed) -> None:
    done = site.run("restored")
    assert not done["changed"] and done["restored"] == []
    assert not site.info()["recorded"]
