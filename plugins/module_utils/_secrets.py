# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Recognises secrets where they would be stored or shown: in URLs, and in names of variables."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import urlsplit

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils._url import is_loopback

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

SECRET_NAME = re.compile(
    r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|(API|ACCESS|PRIVATE|SECRET)_?KEY)$", re.IGNORECASE
)
_SCHEME = r"(?P<scheme>\b(?:(?P<ssh>(?:git\+)?ssh)|[a-z][a-z0-9+.-]*)://)"
# A password with characters that should be encoded, which no program understands, is still a secret. A port is none.
_UNENCODED = r"[^][/?#@:\s]*:(?!\d*[/?#\s])[^@\"'\n]*"
_LOGIN = re.compile(rf"{_SCHEME}(?P<login>[^/?#\s]*|{_UNENCODED})@", re.IGNORECASE)


def has_login(text: str) -> bool:
    """Whether a URL in the text has a user name or password in front of its host."""
    return any(_is_secret(match) for match in _LOGIN.finditer(text))


def without_login(text: str) -> str:
    return _LOGIN.sub(lambda match: match["scheme"] if _is_secret(match) else match[0], text)


def _is_secret(match: t.Match[str]) -> bool:
    # The name git@ of a URL such as ssh://git@host is not a secret, and ssh needs it.
    return ":" in match["login"] if match["ssh"] else True


def refuse_login(module: AnsibleModule, option: str, but: str = "") -> None:
    """ModuleFailure if a URL in the value of the option has a login, which the module's output then does not show.

    `but` is a suboption that is a secret itself.
    """
    value = module.params[option]
    texts = _texts({name: value[name] for name in value if name != but} if but else value)
    logins = {match["login"] for text in texts for match in _LOGIN.finditer(text) if _is_secret(match)}
    if logins:
        module.no_log_values.update(logins)
        # Ansible does not hide keys of a mapping.
        module.params[option] = None
        raise ModuleFailure(
            f"{option}: a URL has a user name or password in it, which would be stored and shown: remove it"
        )


def refuse_secrets(module: AnsibleModule, option: str, values: t.Mapping[str, t.Any], place: str) -> None:
    """ModuleFailure if a name looks like that of a secret, or a value has a login; the values are not shown then."""
    secret = sorted(name for name, value in values.items() if SECRET_NAME.search(name) or has_login(str(value)))
    if secret:
        module.no_log_values.update(str(values[name]) for name in secret)
        raise ModuleFailure(f"{option}: {', '.join(secret)}: secrets must not be in {place}")


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, t.Mapping):
        for pair in value.items():
            yield from _texts(pair)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def is_readable_on_the_way(url: str) -> bool:
    """Whether what is sent to the URL leaves the machine without encryption."""
    try:
        return urlsplit(url).scheme.lower() == "http" and not is_loopback(url)
    except ValueError:
        return True
