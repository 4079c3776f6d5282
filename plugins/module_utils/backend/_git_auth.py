# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Credentials for Git servers, for one run: git gets them from the module's memory, and they are never in a file."""

from __future__ import annotations

import os
import shlex
import typing as t
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import is_readable_on_the_way

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

FORMATS = "lines such as https://user:password@host, as `git credential-store` writes them, or a netrc file"


@dataclass(frozen=True)
class Credential:
    """The login for a server, and for one repository on it if its URL has a path."""

    url: str
    user: str
    password: str

    @property
    def line(self) -> str:
        scheme, _separator, rest = self.url.partition("://")
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{rest}"


def credentials(text: str) -> list[Credential]:
    """The credentials in the text. No error message contains any of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    is_netrc = bool(lines) and lines[0].split()[0] == "machine"
    found = list(_netrc(lines) if is_netrc else map(_credential, lines))
    if not found:
        raise _unusable()
    if any(is_readable_on_the_way(credential.url) for credential in found):
        raise ModuleFailure(
            "the Git credentials (auth, trtllm_git_auth_file) have a server with http://, to which a password would be"
            " sent without encryption: use https://"
        )
    return found


def _unusable() -> ModuleFailure:
    return ModuleFailure(f"the Git credentials (auth, trtllm_git_auth_file) must be {FORMATS}")


def _credential(line: str) -> Credential:
    try:
        parts = urlsplit(line)
    except ValueError as exc:
        raise _unusable() from exc
    login, at, host = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if parts.scheme not in ("http", "https") or not at or not host or not colon:
        raise _unusable()
    return Credential(f"{parts.scheme}://{host}{parts.path}", unquote(user), unquote(password))


def _netrc(lines: t.Sequence[str]) -> t.Iterator[Credential]:
    try:
        words = shlex.split("\n".join(lines), comments=False)
    except ValueError as exc:
        # Without the cause, which could quote the text.
        raise _unusable() from exc
    for place in range(0, len(words), 6):
        entry = dict(zip(words[place : place + 6 : 2], words[place + 1 : place + 6 : 2]))
        if set(entry) != {"machine", "login", "password"}:
            raise _unusable()
        yield Credential(f"https://{entry['machine']}", entry["login"], entry["password"])


def helper_of(module: AnsibleModule, text: str | None) -> str:
    """The value of git's credential.helper for these credentials; empty if there are none."""
    if not text:
        return ""
    found = credentials(text)
    for credential in found:
        module.no_log_values.update({credential.password, quote(credential.password, safe="")})
    # A file in memory, which ends with the module. Its own processes open it by this name.
    memory = os.memfd_create("git-credentials")
    os.write(memory, "".join(f"{credential.line}\n" for credential in found).encode("utf-8"))
    stored = f"git credential-store --file=/proc/{os.getpid()}/fd/{memory} get"
    # git also asks to store or remove credentials, which must change nothing.
    return f'!f() {{ test "$1" != get || {stored}; }}; f'
