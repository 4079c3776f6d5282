# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories from which bundle.yml downloads packages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import Run
from ansible_collections.tritonops.trtllm.tests.unit.support.tiny_model import TINY_MIXTRAL, tiny_mixtral

OWN = r"Debian=http://own/debian/\nOther=http://other/\nDebian=http://second/\nDebian-Security=http://own/security/\n"
# Prints its arguments and the repositories in its settings, and fails. APT_UPDATE=0: only to install packages.
APT_GET = """#!/bin/sh
case "$*" in
    indextargets*) printf '%s'; exit ;;
    *update) [ "$APT_UPDATE" != 0 ] || exit 0 ;;
esac
echo "$*" >&2
cat "$(dirname "${1#--config-file=}")"/etc/apt/bundle.sources >&2
exit 1
"""


# Shows a key with the fingerprint that is the content of the file.
GPG = """#!/bin/sh
for file; do :; done
printf 'pub:-:4096:1:0:1:::-:::scESC::::::23::0:\\nfpr:::::::::%s:\\n' "$(cat "$file")"
"""
# Prints the repositories in its settings, and fails.
DNF = """#!/bin/sh
for word; do case $word in --setopt=reposdir=*) cat "${word#--setopt=reposdir=}"/bundle.repo >&2 ;; esac; done
exit 1
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The output of the playbook on a machine whose apt has these repositories, in one line."""

    def bundle(known: str, system: str = "debian-13", inventory: Any = None, **variables: Any) -> str:
        tiny_mixtral(tmp_path / "tiny")
        programs = tmp_path / "bin"
        programs.mkdir()
        says = {"apt-get": APT_GET % known, "dnf": DNF, "gpg": GPG}
        for name, text in {
            **says,
            **dict.fromkeys(("apt-ftparchive", "createrepo_c", "rpmkeys"), "#!/bin/sh\n"),
        }.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        run = Run(
            tmp_path,
            *(["-i", str(tmp_path / "hosts.json")] if inventory else []),
            playbook="bundle",
            trtllm_model=TINY_MIXTRAL,
            trtllm_weights={"path": str(tmp_path / "tiny")},
            trtllm_image={"source": "archive", "archive": str(tmp_path / "image.tar"), "digest": f"sha256:{'0' * 64}"},
            trtllm_bundle_nvidia=False,
            trtllm_bundle_dest=str(tmp_path / "bundle"),
            trtllm_bundle_systems=[system],
            **{"trtllm_docker_source": "distribution", **variables},
        )
        assert run.rc != 0
        return " ".join(run.said.split())

    return bundle


@pytest.mark.long
def test_debian_packages_come_from_the_mirrors_of_the_machine(said: Any) -> None:
    words = said(OWN)
    assert "URIs: http://own/debian/ Suites: trixie trixie-updates" in words
    assert "URIs: http://own/security/ Suites: trixie-security" in words


def test_other_systems_require_mirrors(said: Any) -> None:
    words = said(r"Ubuntu=http://own/ubuntu/\n", trtllm_bundle_mirrors={"debian": "http://given/debian"})
    assert "packages of debian-13" in words and "no repository labelled debian-security." in words
    assert "trtllm_bundle_mirrors" in words


def test_repositories_that_are_not_public_must_be_set(said: Any) -> None:
    assert "repositories of redhat-9 are not public: list your own in trtllm_bundle_repositories" in said(
        "", "redhat-9"
    )


DOCUMENTED, OTHER = "060A61C51B558A7F742B77AAC52FEB6B621E9F35", "68DDB660FC56CCFE97E1B85F248DF013702DC300"


@pytest.mark.long
@pytest.mark.parametrize("fingerprint", [DOCUMENTED, OTHER])
def test_docker_key_for_enterprise_linux_is_verified_by_its_fingerprint(
    said: Any, tmp_path: Path, fingerprint: str
) -> None:
    (tmp_path / "docker.asc").write_text(fingerprint)
    url = f"file://{tmp_path}/docker.asc"
    mirror = [{"name": "docker", "baseurl": "http://mirror", "key_url": url}]
    words = said(
        "",
        "oraclelinux-9",
        trtllm_docker_source="vendor",
        trtllm_bundle_repositories={"oraclelinux-9": mirror},
        docker_vendor_key_url=url,
    )
    assert ("baseurl=http://mirror" in words) is (fingerprint == DOCUMENTED)
    refusal = f"{url} has the key {OTHER}, but 060A 61C5 1B55 8A7F 742B 77AA C52F EB6B 621E 9F35 was expected"
    assert (refusal in words) is (fingerprint == OTHER)


def test_unknown_systems_and_mirrors_are_refused_with_the_nearest_name(said: Any) -> None:
    words = said("", "debian13", trtllm_bundle_mirrors={"debian-securty": "x"})
    assert "(did you mean debian-13?)" in words and "(did you mean debian-security?)" in words
    assert "Make the bundle" not in words


GPU = {"hosts": {"gpu": {"haproxy_source": "existing"}}}


@pytest.mark.long
@pytest.mark.parametrize(
    ("groups", "has_haproxy"),
    [
        ({}, False),
        ({"gateway": {"hosts": {"gw": {}}}}, True),
        # Another source needs no package.
        ({"gateway": {"hosts": {"gw": {"haproxy_source": "image"}}}}, False),
        # Its certificates open the endpoint of the GPU host, which has one already.
        ({"monitoring": {"hosts": {"prometheus": {}}}}, False),
    ],
)
def test_haproxy_is_in_the_bundle_if_a_gateway_or_an_endpoint_needs_it(
    said: Any, groups: dict[str, Any], has_haproxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APT_UPDATE", "0")
    words = said(OWN, inventory={"trtllm": GPU, **groups}).split()
    assert ("haproxy" in words) == has_haproxy and "docker.io" in words
