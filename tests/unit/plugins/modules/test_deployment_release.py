# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release is served, and which is rolled back to, after any failures of earlier runs."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.release import _served
from ansible_collections.tritonops.trtllm.plugins.modules import deployment_release
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

UNIT = "trtllm@default.service"


class Deployment:
    """A deployment with the releases a, b and c, and the actions of a play."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        for name in "abc":
            (folder / "releases" / name).mkdir(parents=True)

    def run(self, release: str | None = None, check: bool = False, **options: t.Any) -> Result:
        given = {"release": release} if release else {}
        return run_module(deployment_release, self._capsys, check, path=str(self.folder), **given, **options)

    def switch(self, release: str, **options: t.Any) -> Result:
        result = self.run(release, **options)
        assert not result.get("failed"), result
        return result

    def prove(self, *releases: str) -> None:
        for release in releases:
            self.run(release, state="proved")

    def served(self, *releases: str) -> None:
        """Switch to each release in turn, and prove it."""
        for release in releases:
            self.switch(release)
            self.prove(release)

    @property
    def links(self) -> tuple[str, str]:
        links = (self.folder / name for name in ("current", "previous"))
        current, previous = (os.readlink(link) if link.is_symlink() else "" for link in links)
        return current, previous


def of(current: str, previous: str = "") -> dict[str, str]:
    return {"current": current, "previous": previous}


@pytest.fixture(name="deployment")
def fixture_deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Deployment:
    return Deployment(tmp_path / "deployments/default", capsys)


def test_the_first_release_has_no_fallback(deployment: Deployment) -> None:
    result = deployment.switch("a")
    assert deployment.links == ("releases/a", "")
    assert (result["changed"], result["current"], result["previous"], result["proved"]) == (True, "a", "", False)
    assert result["fallback"] == of("")
    assert not deployment.switch("a")["changed"]


def test_a_second_release_falls_back_to_the_first(deployment: Deployment) -> None:
    deployment.served("a")
    result = deployment.switch("b")
    assert deployment.links == ("releases/b", "releases/a")
    assert (result["fallback"], result["proved"]) == (of("a"), False)
    deployment.prove("b")
    result = deployment.switch("c")
    assert (deployment.links, result["fallback"]) == (("releases/c", "releases/b"), of("b", "a"))


def test_a_rollback_is_an_ordinary_switch(deployment: Deployment) -> None:
    deployment.served("a", "b")
    result = deployment.switch("a")
    assert deployment.links == ("releases/a", "releases/b")
    assert (result["fallback"], result["proved"]) == (of("b", "a"), True)


def test_a_failed_switch_is_undone(deployment: Deployment) -> None:
    deployment.served("a", "b")
    fallback = deployment.switch("c")["fallback"]
    result = deployment.run(state="restored", fallback=fallback)
    assert (result["changed"], deployment.links) == (True, ("releases/b", "releases/a"))
    assert not deployment.run(state="restored", fallback=fallback)["changed"]


def test_without_a_fallback_nothing_is_current(deployment: Deployment) -> None:
    fallback = deployment.switch("a")["fallback"]
    assert deployment.run(state="restored", fallback=fallback)["changed"]
    assert deployment.links == ("", "")


def test_a_run_killed_before_the_proof_is_continued(deployment: Deployment) -> None:
    """For the next run the release is the current one, and it still falls back to the proved one."""
    deployment.served("a")
    deployment.switch("b")
    result = deployment.switch("b")
    assert (result["changed"], result["proved"], result["fallback"]) == (False, False, of("a"))
    deployment.prove("b")
    assert deployment.switch("b")["fallback"] == of("b", "a")


def test_an_unproved_release_is_never_a_fallback(deployment: Deployment) -> None:
    deployment.served("a")
    deployment.switch("b")
    result = deployment.switch("c")
    assert (deployment.links, result["fallback"]) == (("releases/c", "releases/a"), of("a"))
    # Also if the switch is to the release before it.
    deployment.switch("a")
    assert deployment.links == ("releases/a", "")


def test_an_unproved_first_release_is_no_fallback(deployment: Deployment) -> None:
    deployment.switch("a")
    result = deployment.switch("b")
    assert (deployment.links, result["fallback"]) == (("releases/b", ""), of(""))


def test_the_current_release_stays_if_its_proof_fails(deployment: Deployment) -> None:
    """The switch did not cause the failure, because the release was current and proved."""
    deployment.served("a", "b")
    assert deployment.switch("b")["fallback"] == of("b", "a")


def test_a_removed_release_is_no_fallback(deployment: Deployment) -> None:
    deployment.served("a", "b")
    (deployment.folder / "releases/b/proved").unlink()
    (deployment.folder / "releases/b").rmdir()
    assert deployment.switch("c")["fallback"] == of("a")
    assert deployment.links == ("releases/c", "releases/a")


def test_a_proof_is_recorded_once(deployment: Deployment) -> None:
    deployment.switch("a")
    assert deployment.run("a", check=True, state="proved")["changed"]
    assert not deployment.switch("a")["proved"], "check mode changes nothing"
    result = deployment.run("a", state="proved")
    assert (result["changed"], result["current"]) == (True, "a")
    assert not deployment.run("a", state="proved")["changed"]
    assert deployment.switch("a")["proved"]


def test_a_proof_of_a_missing_release_fails(deployment: Deployment) -> None:
    message = deployment.run("d", state="proved")["msg"]
    assert f"cannot change the release that {deployment.folder} serves" in message and "No such file" in message


def test_check_mode_predicts_a_run_and_shows_the_diff(deployment: Deployment) -> None:
    deployment.served("a")
    predicted = deployment.switch("b", check=True)
    assert deployment.links == ("releases/a", "")
    result = deployment.switch("b")
    names = ("changed", "current", "previous", "fallback", "diff")
    assert {name: predicted[name] for name in names} == {name: result[name] for name in names}
    assert result["diff"] == {"before": "current: a\nprevious: \n", "after": "current: b\nprevious: a\n"}
    assert deployment.run(check=True, state="restored", fallback=of("a"))["changed"]
    assert deployment.links == ("releases/b", "releases/a")


def test_check_mode_before_the_deployment_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(deployment_release, capsys, True, path=str(tmp_path / "none"), release="a")
    assert (result["changed"], result["current"], result["fallback"]) == (True, "a", of(""))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("options", "missing"),
    [({}, "release"), ({"state": "proved"}, "release"), ({"state": "restored"}, "fallback")],
)
def test_each_state_requires_its_options(deployment: Deployment, options: dict[str, str], missing: str) -> None:
    assert missing in deployment.run(**options)["msg"]


def test_a_folder_in_place_of_a_link_is_not_replaced(deployment: Deployment) -> None:
    (deployment.folder / "current/theirs").mkdir(parents=True)
    assert "cannot change the release" in deployment.run("a")["msg"]
    assert (deployment.folder / "current/theirs").is_dir()


# --- the links


class Killed(Exception):
    """Ends a run between two steps."""


def killed_after(allowed: int, real: t.Any) -> t.Callable[..., None]:
    """The function, which raises Killed after the allowed number of calls."""
    calls = iter(range(allowed))

    def step(*arguments: t.Any) -> None:
        if next(calls, None) is None:
            raise Killed
        real(*arguments)

    return step


@pytest.mark.parametrize("at", ["symlink", "replace", "rename", "unlink"])
def test_there_is_always_a_release_to_serve(deployment: Deployment, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a run is killed at any step, the next run has the same result."""
    deployment.served("a", "b")
    # A file that a killed run has left.
    (deployment.folder / "previous.partial").symlink_to("releases/gone")
    for allowed in range(3):
        step = killed_after(allowed, getattr(os, at))
        before = deployment.links
        with monkeypatch.context() as patch:
            patch.setattr(os, at, step)
            try:
                _served.set_links(str(deployment.folder), _served.Links("c", "b"))
            except Killed:
                assert deployment.links[0] in (before[0], "releases/c")
        assert (deployment.folder / "current").resolve().is_dir()
    _served.set_links(str(deployment.folder), _served.Links("c", "b"))
    assert deployment.links == ("releases/c", "releases/b")
    assert sorted(path.name for path in deployment.folder.iterdir()) == ["current", "previous", "releases"]


def test_previous_is_set_first(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a run is killed in between, the served release is both current and previous, and is the fallback."""
    deployment.served("a")
    real = os.replace

    def once(source: str, dest: str) -> None:
        if dest.endswith("current"):
            raise OSError("killed")
        real(source, dest)

    monkeypatch.setattr(os, "replace", once)
    assert "killed" in deployment.run("b")["msg"]
    assert deployment.links == ("releases/a", "releases/a")
    monkeypatch.setattr(os, "replace", real)
    assert deployment.switch("b")["fallback"]["current"] == "a"
    assert deployment.links == ("releases/b", "releases/a")


# --- the running release


@pytest.fixture(name="systemctl")
def fixture_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], Path]:
    """Installs a systemctl that prints this text, and writes its arguments to the file."""

    def install(answer: str) -> Path:
        (tmp_path / "bin").mkdir(exist_ok=True)
        program = tmp_path / "bin/systemctl"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n{answer}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        return tmp_path / "asked"

    return install


@pytest.fixture(name="container")
def fixture_container() -> t.Iterator[t.Callable[[str], int]]:
    """Starts a process whose command line gives a container this folder."""
    started = []

    def start(folder: str) -> int:
        command = [sys.executable, "-c", "import time; time.sleep(60)", "--volume", f"{folder}:/release:ro"]
        started.append(subprocess.Popen(command))
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("runs", "running"), [("a", True), ("b", False), ("a-longer", False)])
def test_the_unit_runs_a_release(
    deployment: Deployment,
    systemctl: t.Callable[[str], Path],
    container: t.Callable[[str], int],
    runs: str,
    running: bool,
) -> None:
    asked = systemctl(f"echo MainPID={container(str(deployment.folder / 'releases' / runs))}")
    assert deployment.switch("a", unit=UNIT)["running"] is running
    assert asked.read_text() == f"show --property MainPID,NeedDaemonReload,FragmentPath,UnitFileState {UNIT}\n"


@pytest.mark.parametrize("answer", ["echo MainPID=0", "exit 1", "echo MainPID=4194304999"])
def test_a_stopped_unit_runs_no_release(
    deployment: Deployment, systemctl: t.Callable[[str], Path], answer: str
) -> None:
    systemctl(answer)
    assert deployment.switch("a", unit=UNIT)["running"] is None


@pytest.mark.parametrize(("answer", "outdated"), [("yes", True), ("no", False)])
def test_whether_systemd_has_read_the_unit(
    deployment: Deployment, systemctl: t.Callable[[str], Path], answer: str, outdated: bool
) -> None:
    systemctl(f"echo NeedDaemonReload={answer}; echo MainPID=0")
    assert deployment.switch("a", unit=UNIT)["reload"] is outdated


@pytest.mark.parametrize(
    ("answer", "enabled"),
    [("enabled", True), ("disabled", False), ("enabled-runtime", False), ("masked", False), ("", False)],
)
def test_whether_the_unit_starts_at_boot(
    deployment: Deployment, systemctl: t.Callable[[str], Path], answer: str, enabled: bool
) -> None:
    systemctl(f"echo UnitFileState={answer}; echo MainPID=0")
    assert deployment.switch("a", unit=UNIT)["enabled"] is enabled


def test_without_a_unit_systemctl_is_not_called(deployment: Deployment, systemctl: t.Callable[[str], Path]) -> None:
    asked = systemctl("echo 1")
    assert deployment.switch("a")["running"] is None and not asked.exists()


# --- a loss of power


@pytest.fixture(name="steps")
def fixture_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced, and which links are set, in order."""
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        steps.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def replaced(source: str, dest: str) -> None:
        steps.append(f"link {os.path.basename(dest)}")
        replace(source, dest)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    return steps


def test_a_release_is_on_disk_before_it_is_served(
    deployment: Deployment, systemctl: t.Callable[[str], Path], steps: list[str], tmp_path: Path
) -> None:
    unit = tmp_path / "units/trtllm@.service"
    unit.parent.mkdir()
    release = deployment.folder / "releases/a"
    for path in (unit, *(release / name for name in ("run", "stop", "release.json"))):
        path.write_text("content")
    systemctl(f"echo MainPID=0; echo FragmentPath={unit}")
    deployment.run("a", check=True, unit=UNIT)
    assert steps == []
    deployment.switch("a", unit=UNIT)
    before, after = steps[: steps.index("link current")], steps[steps.index("link current") + 1 :]
    files = {str(release / name) for name in ("run", "stop", "release.json")}
    assert {*files, str(release), str(release.parent), str(unit), str(unit.parent)} == set(before)
    assert after == [str(deployment.folder)]


def test_new_scripts_of_the_current_release_are_synced(deployment: Deployment, steps: list[str]) -> None:
    deployment.served("a")
    (deployment.folder / "releases/a/run").write_text("new")
    steps.clear()
    assert not deployment.switch("a")["changed"]
    assert str(deployment.folder / "releases/a/run") in steps and "link current" not in steps


def test_links_and_proofs_are_synced(deployment: Deployment, steps: list[str]) -> None:
    deployment.served("a", "b")
    assert steps[-1] == str(deployment.folder / "releases/b")
    deployment.run(state="restored", fallback=of("a"))
    assert steps[-2:] == ["link current", str(deployment.folder)]
    deployment.run(state="restored", fallback=of(""))
    assert steps[-1] == str(deployment.folder)


def test_the_mark_of_a_roll_is_found_until_it_is_removed(deployment: Deployment) -> None:
    deployment.served("a")
    assert deployment.run(check=True, state="rolling")["changed"]
    assert not deployment.switch("a")["rolling"], "check mode changes nothing"
    assert deployment.run(state="rolling")["changed"] and not deployment.run(state="rolling")["changed"]
    assert deployment.switch("a")["rolling"]
    assert deployment.run(state="rolled")["changed"] and not deployment.run(state="rolled")["changed"]
    assert not deployment.switch("a")["rolling"]
