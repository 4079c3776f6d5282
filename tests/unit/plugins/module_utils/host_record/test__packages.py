# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages attributed to us are those a part has named and their dependencies, regardless of other changes."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import (
    DPKG_FIELDS,
    Package,
    absorb,
    empty_tally,
    left_over,
    listing,
    parse_dpkg,
    parse_rpm,
    rich_groups,
    way_back,
)

Tally = t.Dict[str, t.Any]


def package(version: str = "1", needs: str = "", wants: str = "", auto: bool = False, gives: str = "") -> Package:
    groups = tuple(frozenset(group.split("|")) for group in needs.split())
    return Package(version, auto, groups, frozenset(wants.split()), frozenset(gives.split()))


def host(**packages: Package) -> dict[str, Package]:
    """A host whose packages provide their own names."""
    return {
        name: Package(one.version, one.auto, one.needs, one.wants, one.gives | {name}) for name, one in packages.items()
    }


BARE = host(libc=package(), runc=package("1.1"), iptables=package("1.8", auto=True))
ENGINE = {"engine": package(needs="containerd libc", wants="tools"), "containerd": package(), "tools": package()}
NAMED = ["engine", "runc", "iptables"]


def tallied(before: t.Mapping[str, Package], now: dict[str, Package], tally: Tally | None = None) -> Tally:
    return absorb(tally or empty_tally(), listing(dict(before)), now, "docker", NAMED)


def test_named_packages_and_their_dependencies_are_attributed_to_us() -> None:
    now = {**BARE, **host(**ENGINE, htop=package(needs="ncurses"), ncurses=package())}
    assert set(tallied(BARE, now)["came"]) == {"engine", "containerd", "tools"}


def test_partially_installed_packages_of_a_killed_run_are_ours() -> None:
    half = {**BARE, **host(engine=ENGINE["engine"], containerd=package())}
    assert set(tallied(BARE, half)["came"]) == {"engine", "containerd"}


def test_the_first_record_wins_and_a_second_run_adds_nothing() -> None:
    now = {**BARE, **host(**ENGINE)}
    first = tallied(BARE, now)
    assert tallied(now, now, first) == first
    upgraded = {**now, "engine": package("2")}
    assert tallied(upgraded, upgraded, first)["came"]["engine"]["version"] == "1"


def test_removed_packages_are_restored_in_their_version() -> None:
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE)
    tally = tallied(BARE, now)
    assert tally["went"] == {"runc": {"part": "docker", "version": "1.1", "auto": False, "gives": ["runc"]}}
    assert way_back(tally, now, {})["install"] == {"runc": "1.1"}


def test_a_package_removed_and_reinstalled_is_unchanged() -> None:
    without = host(libc=package(), iptables=BARE["iptables"])
    tally = tallied(without, BARE, tallied(BARE, without))
    assert tally["went"] == tally["came"] == {}


def test_a_changed_version_is_restored_unless_others_have_changed_it_again() -> None:
    newer = {**BARE, "runc": package("1.2"), "libc": package("9")}
    tally = tallied(BARE, newer)
    # libc was upgraded by others or for their packages, so it is not downgraded.
    assert way_back(tally, host(**newer), {})["move"] == {"runc": "1.1"}
    assert way_back(tally, host(**{**newer, "runc": package("1.3")}), {})["move"] == {}


def test_a_package_that_was_automatic_is_marked_automatic_again() -> None:
    now = {**BARE, "iptables": package("1.8", gives="iptables")}
    assert way_back(tallied(BARE, now), now, {})["not_asked"] == ["iptables"]


def test_packages_that_others_need_stay_with_their_dependencies() -> None:
    now = {**BARE, **host(**ENGINE, theirs=package(needs="engine|nothing"))}
    plan = way_back(tallied(BARE, now), now, {})
    assert plan["remove"] == ["tools"]
    assert plan["held"] == {"engine": "theirs needs it", "containerd": "engine needs it"}


def test_a_package_that_others_can_replace_is_removed() -> None:
    now = {**BARE, **host(**ENGINE, theirs=package(needs="containerd|runc"))}
    assert way_back(tallied(BARE, now), now, {})["remove"] == ["containerd", "engine", "tools"]


def test_a_part_on_hold_keeps_its_packages_and_replaced_ones_stay_removed() -> None:
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE)
    plan = way_back(tallied(BARE, now), now, {"docker": "in use"})
    assert plan["remove"] == [] and plan["install"] == {}
    assert plan["held"] == dict.fromkeys(ENGINE, "in use")


def test_a_replaced_package_is_not_restored_while_its_replacement_stays() -> None:
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE, theirs=package(needs="engine"))
    assert way_back(tallied(BARE, now), now, {})["install"] == {}
    # A dependency of a named package does not prevent that.
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE, theirs=package(needs="containerd"))
    assert way_back(tallied(BARE, now), now, {})["install"] == {"runc": "1.1"}


# Docker and runc conflict; podman works with either of two packages that provide a runtime.
PODMAN = host(
    libc=package(), runc=package("1.1", gives="runtime"), iptables=BARE["iptables"], podman=package(needs="runtime")
)
WITH_CRUN = {
    **{name: one for name, one in PODMAN.items() if name != "runc"},
    **host(**ENGINE, crun=package(gives="runtime", needs="yajl"), yajl=package(), htop=package()),
}


def test_a_substitute_for_a_removed_package_is_ours_with_its_dependencies() -> None:
    tally = tallied(PODMAN, WITH_CRUN)
    assert set(tally["came"]) == {*ENGINE, "crun", "yajl"}
    assert not tally["came"]["crun"]["named"]


def test_a_package_without_a_removed_counterpart_belongs_to_others() -> None:
    # podman was installed with its dependencies.
    before = {name: one for name, one in PODMAN.items() if name not in ("podman", "runc")}
    assert set(tallied(before, WITH_CRUN)["came"]) == set(ENGINE)
    # podman used another package, and still does.
    both = {**PODMAN, "other": package(gives="runtime other")}
    assert "crun" not in tallied(both, {**WITH_CRUN, "other": both["other"]})["came"]


def test_a_substitute_is_removed_only_after_the_original_is_restored() -> None:
    tally = tallied(PODMAN, WITH_CRUN)
    plan = way_back(tally, WITH_CRUN, {})
    assert plan["remove"] == sorted(ENGINE)
    assert plan["remove_at_last"] == ["crun", "yajl"] and plan["held"] == {}
    back = {**PODMAN, "crun": WITH_CRUN["crun"], "yajl": WITH_CRUN["yajl"]}
    plan = way_back(tally, back, {})
    assert plan["remove"] == ["crun", "yajl"] and plan["remove_at_last"] == []


@pytest.mark.parametrize(("lost", "hold"), [({"runc"}, {}), (set(), {"docker": "in use"})])
def test_a_substitute_stays_if_the_original_is_not_restored(lost: set[str], hold: dict[str, str]) -> None:
    plan = way_back(tallied(PODMAN, WITH_CRUN), WITH_CRUN, hold, lost)
    assert not {"crun", "yajl"} & {*plan["remove"], *plan["remove_at_last"]}
    assert plan["install"] == {}
    assert plan["held"]["crun"] == ("podman needs it" if lost else "in use")


def test_an_original_that_conflicts_with_needed_packages_is_not_restored() -> None:
    theirs = {**WITH_CRUN, **host(theirs=package(needs="engine"))}
    plan = way_back(tallied(PODMAN, WITH_CRUN), theirs, {})
    assert plan["install"] == {} and plan["remove_at_last"] == []
    assert plan["held"]["crun"] == "podman needs it"


def test_imported_keys_are_ours_without_being_named() -> None:
    key = "gpg-pubkey-621e9f35-58adea78"
    tally = tallied(BARE, {**BARE, key: package(gives="gpg(621e9f35)")})
    assert set(tally["came"]) == {key}


def test_unchanged_packages_are_not_recorded() -> None:
    now = {**BARE, **host(**ENGINE)}
    tally = tallied(BARE, now)
    assert left_over(tally, BARE) == empty_tally()
    assert set(left_over(tally, {**BARE, **host(tools=package())})["came"]) == {"tools"}


def test_unavailable_packages_are_given_up_unless_their_replacement_is_installed() -> None:
    without = {name: one for name, one in BARE.items() if name != "runc"}
    tally = tallied(BARE, {**without, **host(**ENGINE)})
    assert left_over(tally, without) == empty_tally()
    assert set(left_over(tally, {**without, **host(**ENGINE)})["went"]) == {"runc"}


def dpkg(**fields: str) -> str:
    return "\x1f".join(fields.get(name.replace("db:Status-", "").lower().replace("-", ""), "") for name in DPKG_FIELDS)


def test_dpkgs_list() -> None:
    listed = "\x1e".join(
        [
            dpkg(
                status="installed",
                **{"binary:package": "docker.io:amd64"},
                version="20.10+dfsg",
                depends="libc6 (>= 2.34),\n containerd (>= 1.4) | containerd.io:any",
                recommends="iptables, git | hg",
                provides="docker (= 20.10)",
            ),
            dpkg(status="config-files", **{"binary:package": "runc"}, version="1"),
            dpkg(status="half-configured", **{"binary:package": "containerd"}, version="1.6", predepends="dpkg"),
        ]
    )
    packages = parse_dpkg(listed + "\x1e", ["docker.io"])
    assert set(packages) == {"docker.io:amd64", "containerd"}
    engine = packages["docker.io:amd64"]
    assert engine.auto and engine.version == "20.10+dfsg"
    assert engine.needs == (frozenset({"libc6"}), frozenset({"containerd", "containerd.io"}))
    assert engine.wants == {"iptables", "git", "hg"} and engine.gives == {"docker", "docker.io"}
    assert packages["containerd"].needs == (frozenset({"dpkg"}),)


@pytest.mark.parametrize(("epoch", "version"), [("0", "26.1-1.el9"), ("3", "3:26.1-1.el9")])
def test_rpms_list(epoch: str, version: str) -> None:
    packages = parse_rpm(
        f"docker-ce\t26.1-1.el9\tx86_64\t{epoch}\nbash\t5-1\tx86_64\t0\ngpg-pubkey\tabc-1\t(none)\t0\n",
        "docker-ce\t/bin/sh\ndocker-ce\trpmlib(PayloadFilesHavePrefix)\ndocker-ce\tlibc.so.6\n",
        "docker-ce\tgit\n",
        "docker-ce\tdocker-engine\nbash\tbash\n",
        "bash\t/bin/sh\nbash\t/bin/bash\n",
    )
    assert set(packages) == {"docker-ce", "bash", "gpg-pubkey-abc-1"}
    assert packages["docker-ce"] == Package(
        version,
        needs=(frozenset({"/bin/sh"}), frozenset({"libc.so.6"})),
        wants=frozenset({"git"}),
        gives=frozenset({"docker-engine", "docker-ce"}),
    )
    assert packages["bash"].gives == {"bash", "/bin/sh"}


@pytest.mark.parametrize(
    ("dependency", "groups"),
    [
        ("(crun >= 1.14 or runc)", [{"crun", "runc"}]),
        ("(a and b(x86-64) = 1:2.0-3)", [{"a"}, {"b(x86-64)"}]),
        ("(libx.so.1()(64bit) with libx < 2)", [{"libx.so.1()(64bit)"}, {"libx"}]),
        ("((a and b) or c)", [{"a", "c"}, {"b", "c"}]),
        ("(a or (b or c))", [{"a", "b", "c"}]),
        # Conditional dependencies are ignored.
        ("(a if b)", []),
        ("(a if b else c)", []),
        ("(a and (b unless c))", [{"a"}]),
        ("(a or (b if c))", []),
        ("(a or", []),
        ("a)", []),
    ],
)
def test_a_rich_dependency_of_rpms(dependency: str, groups: list[set[str]]) -> None:
    assert rich_groups(dependency) == [frozenset(group) for group in groups]


def test_rich_dependencies_are_required_and_not_recommended() -> None:
    packages = parse_rpm("podman\t4-1\tx86_64\t0\n", "podman\t(crun or runc)\n", "podman\t(a if b)\n", "", "")
    assert packages["podman"] == Package("4-1", needs=(frozenset({"crun", "runc"}),), gives=frozenset({"podman"}))
