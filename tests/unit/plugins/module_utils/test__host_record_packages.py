# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages are ours: what a part has named and what that needs, whatever else happened meanwhile."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._host_record_packages import (
    DPKG_FIELDS,
    Package,
    absorb,
    empty_tally,
    left_over,
    parse_dpkg,
    parse_rpm,
    way_back,
)

Tally = t.Dict[str, t.Any]


def package(version: str = "1", needs: str = "", wants: str = "", auto: bool = False, gives: str = "") -> Package:
    groups = tuple(frozenset(group.split("|")) for group in needs.split())
    return Package(version, auto, groups, frozenset(wants.split()), frozenset(gives.split()))


def host(**packages: Package) -> dict[str, Package]:
    """Every package gives its own name."""
    return {
        name: Package(one.version, one.auto, one.needs, one.wants, one.gives | {name}) for name, one in packages.items()
    }


def baseline(packages: t.Mapping[str, Package]) -> dict[str, list[t.Any]]:
    return {name: [one.version, one.auto] for name, one in packages.items()}


BARE = host(libc=package(), runc=package("1.1"), iptables=package("1.8", auto=True))
ENGINE = {"engine": package(needs="containerd libc", wants="tools"), "containerd": package(), "tools": package()}
NAMED = ["engine", "runc", "iptables"]


def tallied(before: t.Mapping[str, Package], now: dict[str, Package], tally: Tally | None = None) -> Tally:
    return absorb(tally or empty_tally(), baseline(before), now, "docker", NAMED)


def test_what_came_is_what_was_named_and_what_that_needs_or_wants() -> None:
    now = {**BARE, **host(**ENGINE, htop=package(needs="ncurses"), ncurses=package())}
    assert set(tallied(BARE, now)["came"]) == {"engine", "containerd", "tools"}


def test_what_a_killed_run_has_brought_only_in_part_is_ours_too() -> None:
    half = {**BARE, **host(engine=ENGINE["engine"], containerd=package())}
    assert set(tallied(BARE, half)["came"]) == {"engine", "containerd"}


def test_the_first_record_wins_and_a_second_run_adds_nothing() -> None:
    now = {**BARE, **host(**ENGINE)}
    first = tallied(BARE, now)
    assert tallied(now, now, first) == first
    upgraded = {**now, "engine": package("2")}
    assert tallied(upgraded, upgraded, first)["came"]["engine"]["version"] == "1"


def test_what_went_comes_back_in_its_version() -> None:
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE)
    tally = tallied(BARE, now)
    assert tally["went"] == {"runc": {"part": "docker", "version": "1.1", "auto": False}}
    assert way_back(tally, now, {})["install"] == {"runc": "1.1"}


def test_what_went_and_came_again_has_neither_gone_nor_come() -> None:
    without = host(libc=package(), iptables=BARE["iptables"])
    tally = tallied(without, BARE, tallied(BARE, without))
    assert tally["went"] == tally["came"] == {}


def test_another_version_of_a_named_package_is_taken_back_unless_somebody_has_moved_on() -> None:
    newer = {**BARE, "runc": package("1.2"), "libc": package("9")}
    tally = tallied(BARE, newer)
    # libc was upgraded by somebody else, or for somebody else's sake: going back is not for us to do.
    assert way_back(tally, host(**newer), {})["move"] == {"runc": "1.1"}
    assert way_back(tally, host(**{**newer, "runc": package("1.3")}), {})["move"] == {}


def test_a_package_that_was_there_for_others_sake_is_marked_so_again() -> None:
    now = {**BARE, "iptables": package("1.8", gives="iptables")}
    assert way_back(tallied(BARE, now), now, {})["not_asked"] == ["iptables"]


def test_what_somebody_else_needs_stays_with_all_that_it_needs_itself() -> None:
    now = {**BARE, **host(**ENGINE, theirs=package(needs="engine|nothing"))}
    plan = way_back(tallied(BARE, now), now, {})
    assert plan["remove"] == ["tools"]
    assert plan["held"] == {"engine": "theirs needs it", "containerd": "engine needs it"}


def test_what_somebody_else_can_have_otherwise_goes() -> None:
    now = {**BARE, **host(**ENGINE, theirs=package(needs="containerd|runc"))}
    assert way_back(tallied(BARE, now), now, {})["remove"] == ["containerd", "engine", "tools"]


def test_a_part_on_hold_keeps_its_packages_and_what_it_had_made_way_for_stays_away() -> None:
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE)
    plan = way_back(tallied(BARE, now), now, {"docker": "in use"})
    assert plan["remove"] == [] and plan["install"] == {}
    assert plan["held"] == dict.fromkeys(ENGINE, "in use")


def test_nothing_comes_back_beside_the_package_that_it_made_way_for() -> None:
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE, theirs=package(needs="engine"))
    assert way_back(tallied(BARE, now), now, {})["install"] == {}
    # What is only needed by a named package does not stand in the way.
    now = host(libc=package(), iptables=BARE["iptables"], **ENGINE, theirs=package(needs="containerd"))
    assert way_back(tallied(BARE, now), now, {})["install"] == {"runc": "1.1"}


def test_what_is_as_it_was_is_forgotten() -> None:
    now = {**BARE, **host(**ENGINE)}
    tally = tallied(BARE, now)
    assert left_over(tally, BARE) == empty_tally()
    assert set(left_over(tally, {**BARE, **host(tools=package())})["came"]) == {"tools"}


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
