# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One host's part in the transfer of an artifact: getting it, verifying it and putting it in place, or sending it."""

from __future__ import annotations

import os
import socket
import tempfile
import time
import typing as t
from contextlib import ExitStack
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    check_space,
    hash_files,
    list_files,
    locked,
    read_artifact,
    remove,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import check_names
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._https import Client, Files, Server
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._torrent import (
    FILES,
    LIBTORRENT_IMPORT_ERROR,
    describe,
    paths_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import (
    PATIENCE_FOR_START,
    Peer,
    Served,
    Transfer,
    run,
)

# What each host writes itself.
OWN_FIELDS = ("inputs", "key", "started", "duration_seconds", "files")
INTERVAL = 0.5


@dataclass(frozen=True)
class Part:
    """`record` is what the maker recorded of the artifact, and `torrent` is empty if it has no libtorrent.

    `maker` is the host that made the artifact, with its port for HTTPS; `is_maker` if it is this one. The rest is as
    in `Transfer`.
    """

    dest: str
    record: t.Mapping[str, t.Any]
    torrent: bytes
    certificate: str
    authority: str
    own: Peer
    others: tuple[Peer, ...]
    maker: Peer
    is_maker: bool = False
    rate: int = 0
    deadline: float = 86400
    linger: float = 60
    patience: float = 30

    @property
    def files(self) -> Files:
        files: Files = self.record["files"]
        return files

    @property
    def size(self) -> int:
        return sum(entry["size"] for entry in self.files.values())

    @property
    def uses_torrent(self) -> bool:
        return bool(self.torrent) and LIBTORRENT_IMPORT_ERROR is None

    def transfer(self, parent: str) -> Transfer:
        return Transfer(
            self.torrent,
            parent,
            self.certificate,
            self.own,
            self.others,
            self.rate,
            self.deadline,
            self.linger,
            self.patience,
            None if self.is_maker else self.maker,
        )


def transferable(dest: str) -> dict[str, t.Any] | None:
    """The record of the artifact; None if there is none, or if it does not say what the files are."""
    record = read_artifact(dest)
    files = record.get("files") if record else None
    return record if files and all(entry.get("sha256") for entry in files.values()) else None


def torrent_of(dest: str, authority: str) -> bytes:
    """The description for others; empty without libtorrent."""
    record = transferable(dest)
    if record is None:
        raise ModuleFailure(f"{dest} is not a complete artifact with recorded SHA-256 sums: make it first")
    return describe(dest, record["files"], authority) if LIBTORRENT_IMPORT_ERROR is None else b""


def take_part(part: Part) -> dict[str, t.Any]:
    """Get the artifact unless it is there, and send it to others. Returns how, and the bytes received and sent."""
    check_record(part)
    # Another run, or one whose play was killed, may be getting the same artifact.
    with locked(part.dest):
        if _has(part):
            return {"changed": False, "method": "", **_send(part)}
        return {"changed": True, **_get(part)}


def check_record(part: Part) -> None:
    """The record comes from another host."""
    if not isinstance(part.record.get("files"), dict) or not isinstance(part.record.get("inputs"), dict):
        raise ModuleFailure("the record of the artifact is damaged: it has no files or no inputs")
    check_names(part.files, "the record of the artifact")
    for name, entry in part.files.items():
        if not isinstance(entry.get("size"), int) or not isinstance(entry.get("sha256"), str):
            raise ModuleFailure(f"the record of the artifact is damaged: it has no size or SHA-256 of {name}")
    if part.uses_torrent and sorted(paths_of(part.torrent)) != sorted(part.files):
        raise ModuleFailure("the description of the transfer has other files than the record of the artifact")


def _has(part: Part) -> bool:
    found = read_artifact(part.dest)
    return found is not None and found["inputs"] == part.record["inputs"] and found.get("files") == part.files


def _send(part: Part) -> dict[str, t.Any]:
    with ExitStack() as stack:
        server = _server(part, stack) if part.is_maker else None
        served = server.served if server else Served
        if part.uses_torrent:
            parent = stack.enter_context(tempfile.TemporaryDirectory(prefix="trtllm-"))
            _link(os.path.join(parent, FILES), part.dest)
            result = run(part.transfer(parent), served=served)
            sent = result.sent
        else:
            _wait(part, served)
            sent = 0
        return {"received": 0, "sent": sent + (server.sent if server else 0), "damaged": 0}


def _server(part: Part, stack: ExitStack) -> Server | None:
    """None if its port is taken, and there are torrents."""
    hosts = [peer.address for peer in part.others]
    server = Server(part.dest, part.files, part.maker, hosts, part.certificate, part.authority, part.rate)
    try:
        return stack.enter_context(server)
    except OSError as exc:
        if part.uses_torrent:
            return None
        raise ModuleFailure(f"cannot listen at {part.maker.address} port {part.maker.port}: {exc}") from exc


def _wait(part: Part, served: t.Callable[[], Served]) -> None:
    """Until the others have everything by HTTPS, or none of them has asked for anything for a while."""
    hosts = {peer.address for peer in part.others}
    started = needed = time.monotonic()
    while part.is_maker:
        now, state = time.monotonic(), served()
        if state.is_busy:
            needed = now
        if hosts <= state.complete or now - needed > part.linger or now - started > part.deadline:
            return
        time.sleep(INTERVAL)


def _link(path: str, target: str) -> None:
    os.makedirs(os.path.dirname(path))
    os.symlink(os.path.abspath(target), path)


def _get(part: Part) -> dict[str, t.Any]:
    draft = Draft(part.dest, dict(part.record["inputs"]))
    progress = draft.begin(keep=True)
    parent = draft.path("transfer")
    folder = os.path.join(parent, FILES)
    os.makedirs(folder, exist_ok=True)
    check_space(folder, part.size - sum(list_files(folder).values()), os.path.basename(part.dest))
    progress.start("receive", total=part.size)
    done = _by_torrent(part, parent, progress) if part.uses_torrent else "libtorrent is missing"
    if isinstance(done, str):
        done = _by_https(part, folder, draft.path("https"), progress, done)
    _publish(part, draft, folder, progress)
    return done


def _by_torrent(part: Part, parent: str, progress: Progress) -> dict[str, t.Any] | str:
    """The result; text if it did not work."""
    try:
        result = run(part.transfer(parent), lambda share: progress.update(int(share * part.size)))
    except ModuleFailure as exc:
        return str(exc)
    return {"method": "torrent", "received": result.received, "sent": result.sent, "damaged": result.damaged}


def _by_https(part: Part, folder: str, working: str, progress: Progress, before: str) -> dict[str, t.Any]:
    progress.start("receive by HTTPS", total=part.size)
    # Without torrents, the maker may not have begun yet.
    patience = part.patience if part.uses_torrent else PATIENCE_FOR_START * part.patience
    client = Client(part.maker, part.own, part.certificate, part.authority, part.rate, patience)
    try:
        received = client.fetch(folder, part.files, working, progress.advance)
    except ModuleFailure as exc:
        raise ModuleFailure(f"{exc}. Before that, it was tried by torrent: {before}") from exc
    return {"method": "https", "received": received, "sent": 0, "damaged": 0}


def _publish(part: Part, draft: Draft, folder: str, progress: Progress) -> None:
    """Compare each file with the record, then rename the folder."""
    for name in set(list_files(folder)) - set(part.files):
        os.unlink(os.path.join(folder, name))
    progress.start("verify", total=part.size)
    found = hash_files(folder, part.files, progress)
    damaged = sorted(name for name, expected in part.files.items() if found[name] != expected["sha256"])
    if damaged:
        for name in damaged:
            os.unlink(os.path.join(folder, name))
        raise ModuleFailure(
            f"{', '.join(damaged)} is not what the maker recorded, although the transfer was complete: the maker's"
            " file was changed after it was recorded, or this host's after it was received. If other hosts say so, too,"
            " remove the artifact from the maker, and run the play again"
        )
    draft.digests.update(found)
    remove(draft.payload)
    os.rename(folder, draft.payload)
    extra = {name: value for name, value in part.record.items() if name not in OWN_FIELDS}
    draft.publish(extra, progress)


def own_address(name: str, others: t.Sequence[str]) -> str:
    """The address of this host for the others. A host often has a name for itself that only leads to loopback."""
    for address in addresses(name):
        if _is_ours(address) and (address == name or not address.startswith("127.")):
            return address
    for other in others:
        for target in addresses(other):
            with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    # Nothing is sent; the kernel only chooses the address to send from.
                    probe.connect((target, 9))
                    return str(probe.getsockname()[0])
                except OSError:
                    continue
    raise ModuleFailure(
        f"this host has no address {name}, and no way to {', '.join(others)}: set trtllm_fanout.address to an address"
        " of this host that the others reach"
    )


def addresses(name: str) -> list[str]:
    """Of version 4 first; none if the name is not known."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found}, key=lambda address: (":" in address, address))


def _is_ours(address: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
