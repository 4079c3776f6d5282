# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_record and host_record_info on real files, with a fake of the host's packages, units and accounts."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _host_record
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import Package
from ansible_collections.tritonops.trtllm.plugins.modules import host_record, host_record_info
from ansible_collections.tritonops.trtllm.tests.unit.support.fake_packages import FakePackages
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

Described = t.Dict[str, t.Any]


class FakeHost(FakePackages):
    """Implements _host_record.LiveHost."""

    family = "deb"

    def __init__(self) -> None:
        super().__init__({"podman": "oldrunc|crun"})
        self.install("libc6", version="2.36")
        self.units: dict[str, Described] = {}
        self.groups: dict[str, Described] = {}
        self.users: dict[str, Described] = {}
        self.repositories: dict[str, list[str]] = {}
        self.incomplete = ""
        self.mounted: list[str] = []

    def available_versions(self, names: t.Collection[str]) -> dict[str, list[str]]:
        return {name: self.repositories.get(name, []) for name in names}

    def interrupted(self) -> str:
        return self.incomplete

    def finish_interrupted(self) -> None:
        self.incomplete = ""

    def remove_key(self, name: str) -> None:
        del self.listed[name]

    def unit(self, name: str) -> Described | None:
        return self.units.get(name)

    def unit_owner(self, name: str) -> str:
        return "docker" if name == "docker.service" else ""

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

    def set_group(self, name: str, now: Described, before: Described | None) -> None:
        if before is None:
            del self.groups[name]
        else:
            self.groups[name] = before


class Site:
    """The modules on a host whose files are in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.host = FakeHost()
        self.etc = folder / "etc"
        self.etc.mkdir()
        (folder / "lib").mkdir()
        self.data = folder / "var" / "docker"
        self.settings = self.etc / "docker" / "daemon.json"
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
            "packages": ["docker", "oldrunc"],
            "files": [str(self.etc / "docker"), str(self.etc / "docker" / "certs" / "*"), str(self.etc / "key")],
            "json_files": [str(self.settings)],
            "line_files": [str(self.etc / "fstab")],
            "trees": [str(self.data), str(self.etc / "docker" / "made.json")],
            "units": ["docker.service"],
            "groups": ["docker"],
        }
        return self.run("open", part="docker", **{**scope, **more})

    def work(self) -> None:
        """Make the changes of a role."""
        self.host.install("docker")
        self.host.units["docker.service"] = {"enabled": "enabled", "active": True}
        self.host.groups.setdefault("docker", {"members": []})
        self.settings.parent.mkdir(exist_ok=True)
        config = json.loads(self.settings.read_text()) if self.settings.exists() else {}
        self.settings.write_text(json.dumps({**config, "debug": True}))
        (self.etc / "key").write_text("ours")
        fstab = self.etc / "fstab"
        fstab.write_text((fstab.read_text() if fstab.exists() else "") + "UUID=2 /mnt\n")
        (self.data / "images").mkdir(parents=True, exist_ok=True)
        (self.settings.parent / "made.json").touch()

    def close(self) -> Result:
        return self.run("closed", part="docker")

    def run_role(self) -> None:
        self.open()
        self.work()
        self.close()

    def remove_packages(self, **more: t.Any) -> None:
        names = self.info(**more)["remove"]
        self.host.remove(*names)
        if "docker" in names:
            del self.host.units["docker.service"]

    def files(self) -> dict[str, str]:
        root = self.etc.parent
        return {
            str(path.relative_to(root)): path.read_text() if path.is_file() else "" for path in sorted(root.rglob("*"))
        }


@pytest.fixture(name="site")
def fixture_site(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path, capsys)
    monkeypatch.setattr(host_record, "Host", lambda module: site.host)
    monkeypatch.setattr(host_record_info, "Host", lambda module: site.host)
    return site


def test_a_host_without_anything_is_restored(site: Site) -> None:
    before = site.files()
    site.run_role()
    result = site.info()
    assert result["remove"] == ["docker"] and result["units"] == ["docker.service"]
    site.remove_packages()
    done = site.run("restored")
    assert done["changed"] and done["remaining"] == {}
    assert site.files() == before
    assert site.host.groups == {}
    assert not site.run("restored")["changed"]


def test_existing_files_and_groups_are_restored(site: Site) -> None:
    site.settings.parent.mkdir()
    site.settings.write_text('{"labels":   ["rack=7"]}')
    site.settings.chmod(0o640)
    (site.etc / "fstab").write_text("UUID=1 /\n")
    (site.etc / "key").symlink_to("elsewhere")
    site.data.mkdir(parents=True)
    site.data.chmod(0o755)
    site.host.groups["docker"] = {"members": ["alice"]}
    before = site.files()
    site.open()
    site.data.chmod(0o710)
    (site.etc / "key").unlink()
    site.work()
    site.host.groups["docker"] = {"members": ["alice", "operator"]}
    site.close()
    site.remove_packages()
    site.run("restored")
    assert site.files() == before
    assert site.settings.stat().st_mode & 0o777 == 0o640
    assert site.data.stat().st_mode & 0o777 == 0o755
    assert (site.etc / "key").is_symlink()
    assert site.host.groups["docker"] == {"members": ["alice"]}


def test_a_folder_that_contained_data_is_not_changed(site: Site) -> None:
    site.data.mkdir(parents=True)
    (site.data / "theirs").write_text("data")
    site.run_role()
    site.remove_packages()
    site.run("restored")
    assert (site.data / "theirs").read_text() == "data" and (site.data / "images").is_dir()


def test_the_run_after_a_killed_run_records_both(site: Site) -> None:
    before = site.files()
    site.open()
    site.work()
    # The run was killed. Others install a package before the next one.
    site.host.install("htop")
    site.run_role()
    assert site.info()["remove"] == ["docker"]
    site.remove_packages()
    site.run("restored")
    assert site.files() == before and "htop" in site.host.listed


def test_a_host_is_restored_right_after_a_killed_run(site: Site) -> None:
    before = site.files()
    site.open()
    site.work()
    assert site.info()["remove"] == ["docker"]
    site.remove_packages()
    site.run("restored")
    assert site.files() == before


def test_changes_of_others_between_two_runs_are_kept(site: Site) -> None:
    site.run_role()
    site.host.install("podman")
    site.settings.write_text(json.dumps({"debug": True, "labels": ["rack=7"]}))
    (site.etc / "fstab").write_text("UUID=2 /mnt\nUUID=3 /data\n")
    (site.etc / "key").write_text("theirs")
    site.host.groups["docker"]["members"] = ["alice"]
    # A second run does not record these as changes of the collection.
    site.open()
    site.close()
    assert site.info()["remove"] == ["docker"]
    site.remove_packages()
    done = site.run("restored")
    assert json.loads(site.settings.read_text()) == {"labels": ["rack=7"]}
    assert (site.etc / "fstab").read_text() == "UUID=3 /data\n"
    assert (site.etc / "key").read_text() == "theirs"
    assert done["remaining"][str(site.etc / "key")] == "was changed by others"
    assert done["remaining"][str(site.settings.parent)] == "contains daemon.json"
    assert not site.run("restored")["changed"]


def test_a_pattern_matches_new_files(site: Site) -> None:
    certificates = site.etc / "docker" / "certs"
    certificates.mkdir(parents=True)
    (certificates / "theirs").write_text("theirs")
    site.open()
    site.work()
    (certificates / "ours").write_text("ours")
    site.close()
    site.remove_packages()
    site.run("restored")
    assert [path.name for path in certificates.iterdir()] == ["theirs"]


def test_a_second_run_records_nothing_new(site: Site) -> None:
    assert site.open()["changed"]
    site.work()
    assert site.close()["changed"]
    assert not site.open()["changed"]
    assert not site.close()["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_opening_returns_the_installed_packages(site: Site, check: bool) -> None:
    site.host.listed.update({"docker": Package("5:28.5.1-1"), "oldrunc:amd64": Package("1.1")})
    assert site.open(check=check)["installed"] == {"docker": "5:28.5.1-1", "oldrunc": "1.1"}
    assert site.open(check=check, packages=[])["installed"] == {}


def test_nested_parts_have_their_own_packages(site: Site) -> None:
    site.open()
    site.run("open", part="python", packages=["venv"])
    site.host.install("venv", "htop")
    site.run("closed", part="python")
    site.work()
    site.close()
    assert site.info()["remove"] == ["docker", "venv"]
    assert site.info(keep={"python": "wanted"})["remove"] == ["docker"]


def test_packages_that_were_installed_before_the_record_was_opened(site: Site, tmp_path: Path) -> None:
    before = tmp_path / "packages-before"
    before.write_text("libc6\t2.36\tx86_64\t0\n")
    site.host.install("python3.11", "htop")
    site.run("open", part="interpreter", packages=["python3.11"], before=str(before))
    site.run("closed", part="interpreter")
    assert site.info()["remove"] == ["python3.11"]


def test_two_parts_can_change_the_same_file(site: Site) -> None:
    before = site.files()
    second = {"part": "toolkit", "json_files": [str(site.settings)], "units": ["docker.service"], "groups": ["docker"]}
    for _run in range(2):
        site.run_role()
        site.run("open", **second)
        config = json.loads(site.settings.read_text())
        site.settings.write_text(json.dumps({**config, "runtimes": {"nvidia": {}}}))
        site.host.groups["docker"] = {"members": ["operator"]}
        site.run("closed", **second)
    site.remove_packages()
    site.run("restored")
    assert site.files() == before and site.host.groups == {}


def test_check_mode_predicts_and_changes_nothing(site: Site) -> None:
    before = site.files()
    assert site.run("open", check=True, part="docker", files=[str(site.etc / "key")])["changed"]
    assert not site.run("closed", check=True, part="docker")["changed"]
    assert site.files() == before
    site.run_role()
    changed = site.files()
    predicted = site.run("restored", check=True)
    assert site.files() == changed and site.host.groups
    site.remove_packages()
    done = site.run("restored")
    assert predicted["restored"] == done["restored"] and predicted["remaining"] == done["remaining"]


def test_file_systems_that_were_added_to_fstab_are_unmounted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fstab = site.etc / "fstab"
    monkeypatch.setattr(_host_record, "FSTAB", str(fstab))
    fstab.write_text("UUID=1 /data xfs\n")
    site.run_role()
    site.host.mounted = ["/data", "/mnt"]
    held = site.run("restored", keep={"docker": "wanted"})
    assert not held["changed"] and site.host.mounted == ["/data", "/mnt"]
    assert "mount /mnt" in site.run("restored", check=True)["restored"] and site.host.mounted == ["/data", "/mnt"]
    site.run("restored")
    assert site.host.mounted == ["/data"] and fstab.read_text() == "UUID=1 /data xfs\n"


def test_check_mode_considers_paths_that_would_already_be_removed(site: Site) -> None:
    root = site.etc.parent / "root"
    site.run("open", part="python", files=[str(root)])
    (root / "venv").mkdir(parents=True)
    site.run("closed", part="python")
    assert site.run("restored", check=True)["remaining"] == {str(root): "contains venv"}
    assert site.run("restored", check=True, already_removed=[str(root / "venv")])["restored"] == [str(root)]
    # A real run checks that itself.
    assert site.run("restored", already_removed=[str(root / "venv")])["remaining"] == {str(root): "contains venv"}


def test_a_kept_part_can_be_restored_later(site: Site) -> None:
    before = site.files()
    site.run_role()
    keep = {"keep": {"docker": "the container web is somebody else's"}}
    site.remove_packages(**keep)
    done = site.run("restored", **keep)
    assert not done["changed"] and "package docker" in done["remaining"]
    assert "docker" in site.host.listed and site.settings.exists() and site.data.exists()
    site.remove_packages()
    site.run("restored")
    assert site.files() == before


def test_data_that_others_still_use_is_kept(site: Site) -> None:
    site.run_role()
    # Others replaced the package and continue to use its data.
    site.host.remove("docker")
    site.host.install("docker-ce")
    done = site.run("restored")
    assert (site.data / "images").exists() and "docker" in site.host.groups
    assert {name: done["remaining"][name] for name in (str(site.data), "group docker")} == {
        str(site.data): "is still used",
        "group docker": "is still used",
    }


def test_the_state_of_an_existing_unit_is_restored(site: Site) -> None:
    site.host.install("docker")
    site.host.units["docker.service"] = {"enabled": "disabled", "active": False}
    site.run_role()
    assert site.info()["remove"] == []
    site.run("restored")
    assert site.host.units["docker.service"] == {"enabled": "disabled", "active": False}


def test_a_package_is_reinstalled_in_the_available_version(site: Site) -> None:
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
        result = site.info()
        assert (result["install"], result["unavailable"]) == (install, unavailable)


def install_beside_podman(site: Site) -> None:
    """podman's runtime conflicts with the docker and is replaced by another one."""
    site.host.install("oldrunc", "podman")
    site.open()
    site.work()
    site.host.remove("oldrunc")
    site.host.install("crun", auto=True)
    site.host.install("gpg-pubkey-1-1")
    site.close()


def test_a_replacement_is_removed_after_the_reinstallation(site: Site) -> None:
    found = site.files()
    install_beside_podman(site)
    site.host.repositories = {"oldrunc": ["1"]}
    result = site.info()
    assert (result["remove"], result["remove_later"], result["reinstall"]) == (["docker"], ["crun"], ["oldrunc"])
    assert result["signing_keys"] == ["gpg-pubkey-1-1"] and result["kept"] == {}
    predicted = site.run("restored", check=True)
    assert predicted["remaining"] == {} and predicted["remaining_parts"] == []
    site.remove_packages()
    site.host.install("oldrunc")
    assert site.info()["remove"] == ["crun"]
    site.remove_packages()
    done = site.run("restored")
    assert "key gpg-pubkey-1-1" in done["restored"] and set(predicted["restored"]) <= set(done["restored"])
    assert done["remaining"] == {} and done["remaining_parts"] == []
    assert set(site.host.listed) == {"libc6", "podman", "oldrunc"} and site.files() == found


def test_a_replacement_is_reported_if_the_original_is_unavailable(site: Site) -> None:
    install_beside_podman(site)
    result = site.info()
    assert result["remove_later"] == [] and result["kept"] == {"crun": "podman needs it"}
    site.remove_packages()
    done = site.run("restored")
    assert done["remaining"] == {"package crun": "podman needs it"} and done["remaining_parts"] == ["docker"]


def test_a_new_dependency_of_a_reinstalled_package_is_reported(site: Site) -> None:
    install_beside_podman(site)
    site.host.repositories = {"oldrunc": ["2"]}
    site.remove_packages()
    site.run("open", part="teardown", packages=site.info()["reinstall"])
    # The available version has another dependency.
    site.host.needs["oldrunc"] = "yajl"
    site.host.install("yajl", auto=True)
    site.host.install("oldrunc", version="2")
    site.run("closed", part="teardown")
    site.remove_packages()
    assert site.run("restored")["remaining"] == {"package yajl": "oldrunc needs it"}


def test_a_package_that_was_not_removed_is_reported(site: Site) -> None:
    site.run_role()
    del site.host.units["docker.service"]
    done = site.run("restored")
    assert done["remaining"] == {"package docker": "was not removed"} and done["remaining_parts"] == ["docker"]


def test_an_interrupted_run_of_the_package_manager_is_finished_first(site: Site) -> None:
    site.host.incomplete = "dpkg was interrupted"
    assert site.run("open", check=True, part="docker", packages=["docker"])["changed"]
    assert site.host.incomplete
    done = site.open()
    assert done["finished"] == "dpkg was interrupted" and not site.host.incomplete


def test_only_root_can_read_the_record_and_the_diff_does_not_show_files(site: Site) -> None:
    site.settings.parent.mkdir()
    site.settings.write_text('{"proxy": "http://user:secret@proxy"}')
    done = site.open()
    assert site.record.stat().st_mode & 0o777 == 0o600
    assert "file" in done["diff"]["after"]
    assert (
        json.loads(site.record.read_text())["files"][str(site.settings)]["before"]["content"]
        not in done["diff"]["after"]
    )


@pytest.mark.parametrize(("text", "says"), [("{", "cannot be read"), ('{"version": 1}', "has version 1")])
def test_an_unusable_record_is_refused(site: Site, capsys: pytest.CaptureFixture[str], text: str, says: str) -> None:
    site.record.parent.mkdir(parents=True)
    site.record.write_text(text)
    result = run_module(host_record, capsys, state="restored", path=str(site.record))
    assert result["failed"] and says in result["msg"] and str(site.record) in result["msg"]


def test_without_a_record_nothing_is_restored(site: Site) -> None:
    done = site.run("restored")
    assert not done["changed"] and done["restored"] == []
    assert not site.info()["recorded"]
