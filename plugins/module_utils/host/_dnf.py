# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and output of rpm and dnf (version 4)."""

from __future__ import annotations

import re
import time
import typing as t
from fnmatch import fnmatchcase

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Their output is parsed.
LOCALE = {"LANGUAGE": "C", "LC_ALL": "C"}
# dnf's exit status while another process holds a lock; dnf itself would wait for ever.
LOCKED = 200
LOCK_RETRY = 5
QUERY_FORMAT = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\n"

# The headings in dnf's table of a transaction, and the action for the packages below each.
SECTIONS = (
    (re.compile(r"Install.*:$"), "install"),
    (re.compile(r"Upgrading:$"), "upgrade"),
    (re.compile(r"Downgrading:$"), "downgrade"),
    (re.compile(r"Reinstalling:$"), "reinstall"),
    (re.compile(r"Removing.*:$"), "remove"),
)


class Package(t.NamedTuple):
    """An installed package."""

    name: str
    epoch: str
    version: str
    release: str
    arch: str

    def evr(self) -> str:
        epoch = "" if self.epoch == "0" else f"{self.epoch}:"
        return f"{epoch}{self.version}-{self.release}"

    def matches(self, spec: str) -> bool:
        """Whether dnf would match the package with `spec`: a name, maybe with version, release and architecture."""
        versions = [f"{epoch}{self.version}" for epoch in ("", f"{self.epoch}:")]
        names = [self.name]
        for version in versions:
            names += [f"{self.name}-{version}", f"{self.name}-{version}-{self.release}"]
        return any(fnmatchcase(form, spec) for name in names for form in (name, f"{name}.{self.arch}"))


class Change(t.NamedTuple):
    """What a transaction does with one package."""

    action: str
    name: str
    arch: str
    evr: str


def parse_installed(text: str) -> list[Package]:
    """The output of `rpm -qa` in QUERY_FORMAT, without the keys that rpm stores as packages."""
    packages = [Package(*line.split("\t")) for line in text.splitlines() if line]
    return [package for package in packages if package.name != "gpg-pubkey"]


def parse_transaction(text: str) -> list[Change]:
    """The table that dnf prints before it asks for confirmation."""
    table = text.partition("Dependencies resolved.")[2].partition("Transaction Summary")[0]
    changes = []
    action: str | None = None
    words: list[str] = []
    for line in table.splitlines():
        if line[:1].strip():
            action = next((action for heading, action in SECTIONS if heading.match(line)), None)
        elif action:
            # A row with a long name continues on the next line.
            words += line.split()
            if words[:1] == ["replacing"] and len(words) == 3:
                name, arch = words[1].rsplit(".", 1)
                changes.append(Change("remove", name, arch, words[2]))
                words = []
            elif len(words) >= 5:
                changes.append(Change(action, *words[:3]))
                words = []
    return changes


def options(params: dict[str, t.Any]) -> list[str]:
    """The options of dnf for the parameters of the module."""
    flags = [f"--disablerepo={name}" for name in params["disablerepo"]]
    flags += [f"--enablerepo={name}" for name in params["enablerepo"]]
    flags.append("--setopt=exit_on_lock=True")
    if params["reposdir"]:
        flags.append("--setopt=reposdir=" + ",".join(params["reposdir"]))
    if params["state"] == "absent":
        return [*flags, "--noautoremove"]
    if not params["install_weak_deps"]:
        flags.append("--setopt=install_weak_deps=False")
    if params["refresh"]:
        flags.append("--refresh")
    if params["nobest"]:
        flags.append("--nobest")
    elif params["state"] == "latest":
        # Without it, dnf accepts any installed version.
        flags.append("--best")
    if params["removable"]:
        flags.append("--allowerasing")
    return flags


def not_allowed(changes: list[Change], allowed: list[str]) -> list[str]:
    """The packages that a transaction would remove without being allowed to."""
    removed = sorted({change.name for change in changes if change.action == "remove"})
    return [name for name in removed if not any(fnmatchcase(name, pattern) for pattern in allowed)]


def remedy(words: str) -> str:
    """What to change, based on the error message of dnf."""
    if "Unable to find a match" in words:
        return "Correct the names, or add or enable the repository that has these packages."
    if "conflict" in words or "obsoletes" in words:
        return "Add packages that may be removed to 'removable', or set 'nobest' if an older version is sufficient."
    if "GPG" in words or "public key" in words.lower():
        return "Verify the key that signs the repository, and import it."
    if re.search(r"\block", words):
        return "Wait until the other process has finished, or increase 'lock_timeout'."
    if "Cannot download" in words or "Failed to download" in words or "Curl error" in words:
        return "Check that the host can reach its repositories, by a proxy if necessary, or disable the others."
    return "Fix what dnf reports, and run the task again."


def listing(packages: t.Iterable[tuple[str, str]]) -> str:
    return "".join(f"{name}-{evr}\n" for name, evr in sorted(set(packages)))


def diff(installed: list[Package], changes: list[Change]) -> dict[str, str]:
    """The packages of a transaction before and after."""
    touched = {(change.name, change.arch) for change in changes}
    before = [(package.name, package.evr()) for package in installed if (package.name, package.arch) in touched]
    after = [(change.name, change.evr) for change in changes if change.action != "remove"]
    return {"before": listing(before), "after": listing(after)}


def query_installed(module: AnsibleModule) -> list[Package]:
    rpm = module.get_bin_path("rpm", required=True)
    out = module.run_command([rpm, "-qa", "--qf", QUERY_FORMAT], check_rc=True, environ_update=LOCALE)[1]
    return parse_installed(out)


def is_provided(module: AnsibleModule, spec: str) -> bool:
    """Whether an installed package provides the file or feature."""
    rpm = module.get_bin_path("rpm", required=True)
    return module.run_command([rpm, "-q", "--whatprovides", spec], environ_update=LOCALE)[0] == 0


def to_ask_for(module: AnsibleModule, installed: list[Package]) -> list[str]:
    """The names to pass to dnf."""
    names: list[str] = module.params["name"]
    state = module.params["state"]
    if state == "latest":
        return names
    there = [spec for spec in names if any(package.matches(spec) for package in installed)]
    if state == "absent":
        return there
    return [spec for spec in names if spec not in there and not is_provided(module, spec)]


class Dnf:
    """One command of dnf, which is first resolved and then run."""

    def __init__(self, module: AnsibleModule, names: list[str]) -> None:
        self.module = module
        self.what = f"{'remove' if module.params['state'] == 'absent' else 'install'} {', '.join(names)}"
        # -y accepts the keys of repositories, for which dnf asks before the transaction.
        self.argv = [module.get_bin_path("dnf", required=True), "-y", *options(module.params)]
        self.command = ["remove" if module.params["state"] == "absent" else "install", *names]

    def run(self, *flags: str) -> tuple[int, str, str]:
        deadline = time.monotonic() + self.module.params["lock_timeout"]
        while True:
            rc, out, err = self.module.run_command([*self.argv, *flags, *self.command], environ_update=LOCALE)
            if rc != LOCKED or time.monotonic() >= deadline:
                return rc, out, err.strip()
            time.sleep(LOCK_RETRY)

    def fail(self, out: str, err: str) -> t.NoReturn:
        words = err or out.strip()
        raise ModuleFailure(f"dnf cannot {self.what}: {words}\n{remedy(words)}")

    def resolve(self) -> list[Change]:
        # After the answer "no", dnf ends with this error.
        rc, out, err = self.run("--assumeno")
        if rc != 0 and "Operation aborted" not in err:
            self.fail(out, err)
        return parse_transaction(out)

    def carry_out(self) -> None:
        rc, out, err = self.run()
        if rc != 0:
            self.fail(out, err)


def refuse_removals(module: AnsibleModule, dnf: Dnf, changes: list[Change], installed: list[Package]) -> None:
    allowed = list(module.params["removable"])
    if module.params["state"] == "absent":
        allowed += [package.name for package in installed if any(map(package.matches, module.params["name"]))]
    unwanted = not_allowed(changes, allowed)
    if unwanted:
        raise ModuleFailure(
            f"to {dnf.what}, dnf would also have to remove {', '.join(unwanted)}. Nothing was changed."
            " Add these packages to the option 'removable' if they may be removed."
        )


def ensure_packages(module: AnsibleModule) -> dict[str, t.Any]:
    installed = query_installed(module)
    names = to_ask_for(module, installed)
    changes: list[Change] = []
    if names:
        dnf = Dnf(module, names)
        changes = dnf.resolve()
        refuse_removals(module, dnf, changes, installed)
        if changes and not module.check_mode:
            dnf.carry_out()
    result: dict[str, t.Any] = {"changed": bool(changes), "transaction": [change._asdict() for change in changes]}
    if module._diff:
        result["diff"] = diff(installed, changes)
    return result
