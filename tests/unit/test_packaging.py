# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball that `make build` makes has what its users need, and nothing else."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/tritonops/trtllm/blob/main/"
INSTALLED = "~/.ansible/collections/ansible_collections/tritonops/trtllm/"
TOP = {
    *("CHANGELOG.rst", "CODE_OF_CONDUCT.md", "FILES.json", "LICENSE", "LICENSES", "MANIFEST.json", "README.md"),
    *("REUSE.toml", "SECURITY.md", "catalogue", "changelogs", "docs", "inventories", "meta", "playbooks", "plugins"),
    "roles",
}
KINDS = {"", ".in", ".j2", ".json", ".lua", ".md", ".py", ".rst", ".svg", ".toml", ".txt", ".yaml", ".yml"}


def galaxy(*arguments: str | Path) -> None:
    program = Path(sys.executable).with_name("ansible-galaxy")
    subprocess.run([program, "collection", *arguments], cwd=PROJECT, check=True)


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    galaxy("build", "--output-path", folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collections")
    # This clone counts as installed.
    galaxy("install", "--force", "--no-deps", "--collections-path", folder, tarball)
    return folder / "ansible_collections/tritonops/trtllm"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    path, _hash, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def dead_links(root: Path, pages: list[Path]) -> list[str]:
    """Links of these pages that lead nowhere: within root, or with the address of the repository in this clone."""
    dead = []
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith(REPOSITORY):
                lives = leads_somewhere(PROJECT / "README.md", link.removeprefix(REPOSITORY))
            else:
                lives = "://" in link or leads_somewhere(page, link)
            if not lives:
                dead.append(f"{page.relative_to(root)}: {link}")
    return dead


def commands(section: str) -> list[list[str]]:
    """The commands in the shell blocks of a text, as words."""
    blocks = "\n".join(re.findall(r"```shell\n(.*?)```", section, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in blocks.splitlines() if line.strip()]


def for_users(readme: str) -> str:
    """README without the section that is about a clone."""
    return re.sub(r"^## Rehearse.*?(?=^## )", "", readme, flags=re.DOTALL | re.MULTILINE)


def test_it_has_only_what_users_need(installed: Path) -> None:
    assert {path.name for path in installed.iterdir()} == TOP
    files = [path.relative_to(installed) for path in installed.rglob("*") if path.is_file()]
    assert [str(file) for file in files if file.suffix not in KINDS or any(part[0] == "." for part in file.parts)] == []


def test_it_is_small(tarball: Path) -> None:
    assert 200_000 < tarball.stat().st_size < 1_000_000


def test_its_links_lead_somewhere(installed: Path) -> None:
    pages = list(installed.rglob("*.md"))
    assert len(pages) > 20
    assert dead_links(installed, pages) == []


def test_links_of_the_repository_lead_somewhere() -> None:
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("[!.]*/**/*.md")]
    assert dead_links(PROJECT, pages) == []


def test_commands_of_the_readme_name_what_is_in_it(installed: Path) -> None:
    words = [word for command in commands(for_users((installed / "README.md").read_text())) for word in command]
    playbooks = {word.rpartition(".")[2] for word in words if re.fullmatch(r"tritonops\.trtllm\.\w+", word)}
    files = {word.removeprefix(INSTALLED) for word in words if word.startswith((INSTALLED, "inventories/"))}
    files -= {word for word in files if word.startswith("inventories/mine")}
    assert len(playbooks) > 3
    assert len(files) > 1
    assert [name for name in playbooks if not (installed / f"playbooks/{name}.yml").exists()] == []
    assert [name for name in files if not (installed / name).exists()] == []


def test_the_readme_installs_the_file_that_is_built(tarball: Path) -> None:
    folder = re.findall(r"ansible-galaxy collection build .*--output-path (\S+)", (PROJECT / "Makefile").read_text())
    named = re.findall(r"[\w./-]*tritonops-trtllm-[\w.]+\.tar\.gz", (PROJECT / "README.md").read_text())
    assert {Path(name).name for name in named} == {tarball.name}
    assert named[0] == f"{folder[0]}/{tarball.name}"


def test_the_docs_site_lists_every_guide(installed: Path) -> None:
    (section,) = yaml.safe_load((installed / "docs/docsite/extra-docs.yml").read_text())["sections"]
    pages = [(installed / f"docs/docsite/rst/{name}.rst").read_text() for name in section["toctree"]]
    listed = re.findall(rf"<{re.escape(REPOSITORY)}docs/([\w.]+)>", "".join(pages))
    assert sorted(listed) == sorted(page.name for page in (installed / "docs").glob("*.md"))


def pinned(path: str) -> dict[str, list[str]]:
    """The versions in a list of requirements with hashes, by package."""
    versions: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=[a-z])", (PROJECT / path).read_text())[1:]:
        name, version = re.match(r"([a-z0-9-]+)==([^\s;]+)", entry).groups()  # type: ignore[union-attr]
        assert "--hash=sha256:" in entry, name
        versions.setdefault(name, []).append(version)
    return versions


def test_what_the_control_node_runs_is_pinned_by_hash() -> None:
    control, hosts = pinned("requirements.txt"), pinned("roles/host_python/files/requirements.txt")
    assert {"ansible", "ansible-core", "jinja2", "cryptography"} <= set(control)
    # Both are installed in one run of pip.
    assert all(control[name] == hosts[name] for name in set(control) & set(hosts))
    wanted = re.findall(r"^ansible==([0-9.]+);", (PROJECT / "requirements.in").read_text(), re.MULTILINE)
    assert control["ansible"] == wanted and len(wanted) == 2


def test_collections_that_it_depends_on_have_an_upper_bound() -> None:
    bounds = yaml.safe_load((PROJECT / "galaxy.yml").read_text())["dependencies"]
    assert bounds and all(re.fullmatch(r">=[0-9.]+,<[0-9.]+", bound) for bound in bounds.values())
