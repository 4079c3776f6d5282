# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Copies an artifact between the hosts of a play: each one sends what it already has to the others.

The hosts know each other from the plan: there is no tracker, and nothing that finds other peers. They listen on one
address, as long as the transfer takes, and only speak TLS with a certificate of the transfer's authority on both sides.
"""

from __future__ import annotations

import os
import socket
import time
import typing as t
from contextlib import suppress
from dataclasses import dataclass, field

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._torrent import FILES, paths_of

with suppress(ImportError):
    # LIBTORRENT_IMPORT_ERROR of _torrent says why it is missing.
    import libtorrent

INTERVAL = 0.2
CONNECT_INTERVAL = 2.0
# Until then, what is received can be in memory only.
SAVE_INTERVAL = 5.0
# Of an artifact of 200 GB, the list of parts has several hundred MB.
SAVE_SHARE = 20
PROBE_TIMEOUT = 5.0
MOST_PROBED = 3
# A host that has everything stays as long, or the others would not see that it has, and wait for it.
STAY = 2.0
# Times `patience`, in which all hosts have begun. Ansible starts them a few at a time.
PATIENCE_FOR_START = 4
# In bytes per second, of the slowest disk on which a host reads its own files before it sends them.
SLOWEST_READ = 100_000_000
SHOWN_ERRORS = 3
# Priorities of libtorrent, from 1 to 7.
OWN_SHARE, OTHERS_SHARE = 7, 1
EVERY_ADDRESS = (("0.0.0.0", "255.255.255.255"), ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
# The group ffdhe2048 of RFC 7919. libtorrent wants parameters, although TLS with elliptic curves does not use them.
DH_PARAMETERS = """\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""


class Peer(t.NamedTuple):
    """A host of the transfer. Each one has an address of its own."""

    address: str
    port: int


@dataclass(frozen=True)
class Transfer:
    """One host's part of a transfer.

    The files are in `folder`, below `parent`. On a host that has them it may be a link; they are read before they are
    sent. `certificate` is a file with the certificate and its key in PEM. `rate` is in bytes per second, both for
    sending and for receiving; 0 for no bound. `deadline` is how long the transfer may take, `linger` how long a host
    that has everything waits for others while nobody receives, and `patience` after what time without anybody that has
    more a host looks whether it reaches the maker at all, in seconds. `fallback` is where it would get the artifact
    from the maker in another way: if it reaches that only, it does not wait until the maker has begun.
    """

    torrent: bytes
    parent: str
    certificate: str
    own: Peer
    others: tuple[Peer, ...]
    rate: int = 0
    deadline: float = 86400
    linger: float = 60
    patience: float = 30
    fallback: Peer | None = None

    @property
    def folder(self) -> str:
        return os.path.join(self.parent, FILES)

    @property
    def resume_file(self) -> str:
        return os.path.join(self.parent, "resume")


@dataclass
class Result:
    """Bytes of content that were received and sent, and the parts from others that were damaged."""

    received: int = 0
    sent: int = 0
    damaged: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)


def settings(transfer: Transfer) -> t.Any:
    """The settings of libtorrent: only TLS over TCP, on one address, and nothing that looks for other peers."""
    own, kinds = transfer.own, libtorrent.alert.category_t
    return {
        # The s is for TLS. There is no other listener.
        "listen_interfaces": f"{_bracketed(own.address)}:{own.port}s",
        "outgoing_interfaces": own.address,
        **dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False),
        **dict.fromkeys(("enable_outgoing_utp", "enable_incoming_utp"), False),
        **dict.fromkeys(("in_enc_policy", "out_enc_policy"), 2),
        **dict.fromkeys(("upload_rate_limit", "download_rate_limit"), transfer.rate),
        # A host that has everything stays connected, so that the others see that it has.
        "close_redundant_connections": False,
        "unchoke_slots_limit": -1,
        # Only the priorities of the parts count, from the first part on. Otherwise a host also asks for what follows a
        # part, and for random parts first.
        "whole_pieces_threshold": 0,
        "initial_picker_threshold": 0,
        # Seconds, after which another host may have a part that is not asked for yet.
        "request_queue_time": 1,
        "min_reconnect_time": 1,
        # A host that has found damage in its own files stops answering.
        "piece_timeout": 10,
        "request_timeout": 15,
        "max_failcount": 1000,
        "user_agent": "tritonops.trtllm",
        "alert_mask": kinds.error_notification | kinds.peer_notification | kinds.status_notification,
    }


def priorities(transfer: Transfer, parts: int) -> list[int]:
    """Of each part. Every host has a share of its own, which it gets first, and the shares are different ones.

    Otherwise hosts ask the maker for the same parts, and its link is the bottleneck. The maker's share is nobody's.
    """
    maker = transfer.fallback.address if transfer.fallback else None
    sharing = sorted({peer.address for peer in (transfer.own, *transfer.others)} - {maker})
    own = sharing.index(transfer.own.address)
    return [OWN_SHARE if part % len(sharing) == own else OTHERS_SHARE for part in range(parts)]


class Served(t.NamedTuple):
    """Addresses of hosts that got everything in another way, and whether there are some that are still getting it."""

    complete: frozenset[str] = frozenset()
    is_busy: bool = False


def run(
    transfer: Transfer,
    progress: t.Callable[[float], None] = lambda _share: None,
    served: t.Callable[[], Served] = Served,
) -> Result:
    """Receive what is missing, and send until all others have everything too or are gone.

    ModuleFailure if the artifact is not complete by the deadline, or no other host is reachable. A later run goes on
    from there.
    """
    paths_of(transfer.torrent)
    started = time.monotonic()
    session = _session(transfer)
    handle = _add(session, transfer)
    watch = _Watch(transfer, session, handle)
    try:
        while not watch.is_done(served()):
            if watch.is_alone() or time.monotonic() - started > transfer.deadline:
                break
            watch.step()
            progress(handle.status().progress)
            time.sleep(INTERVAL)
        return watch.result(time.monotonic() - started)
    finally:
        watch.save()
        session.pause()
        # Its destructor waits until every connection is closed.
        del handle, watch.handle, watch.session, session


class _Watch:
    """Connects to the others, and finds out when they have everything."""

    def __init__(self, transfer: Transfer, session: t.Any, handle: t.Any) -> None:
        self.transfer = transfer
        self.session = session
        self.handle = handle
        self.errors: list[str] = []
        self.damaged = 0
        self._complete: set[str] = set()
        # How many parts each of the others has.
        self._parts: dict[str, int] = {}
        self._needed = self._saved = self._supplied = self._probed = self._moved = self._incomplete = time.monotonic()
        self._save_interval = SAVE_INTERVAL
        self._downloaded = self._most = 0
        self._asked = self._needed - CONNECT_INTERVAL

    def step(self) -> None:
        now = time.monotonic()
        if now - self._asked >= CONNECT_INTERVAL:
            self._asked = now
            for peer in self.transfer.others:
                self.handle.connect_peer(tuple(peer))
        if now - self._saved >= self._save_interval:
            self.save()
            self._save_interval = max(SAVE_INTERVAL, SAVE_SHARE * (time.monotonic() - now))
        self._read_alerts()
        status = self.handle.status()
        self._look_at_own(status, now)
        self._look_at_others(status, now)

    def _look_at_own(self, status: t.Any, now: float) -> None:
        if status.total_payload_download > self._downloaded:
            self._downloaded, self._supplied = status.total_payload_download, now
        # What is damaged and thrown away does not count.
        moved = status.total_done + status.total_payload_upload
        if moved > self._most:
            self._most, self._moved = moved, now

    def _look_at_others(self, status: t.Any, now: float) -> None:
        for peer in self.handle.get_peer_info():
            if peer.flags & (peer.connecting | peer.handshake):
                continue
            if peer.flags & peer.seed or peer.num_pieces > status.num_pieces:
                self._supplied = now
            if peer.flags & peer.seed:
                self._complete.add(peer.ip[0])
            elif peer.num_pieces > self._parts.get(peer.ip[0], -1):
                self._parts[peer.ip[0]] = peer.num_pieces
                self._needed = now

    def is_alone(self) -> bool:
        """Whether nobody that has more of the artifact can be reached, so that waiting is of no use."""
        now, transfer, status = time.monotonic(), self.transfer, self.handle.status()
        states = type(status.state)
        if status.state in (states.checking_files, states.checking_resume_data):
            # It reads what it has, and does not connect to others meanwhile.
            self._supplied = self._moved = now
        if status.is_seeding:
            return False
        # The maker stays for those that fall back.
        if transfer.fallback and now - self._moved >= self._longest_silence(status.total_wanted):
            return True
        if now - max(self._supplied, self._probed) < transfer.patience:
            return False
        self._probed = now
        # The others may just wait for each other.
        maker = [peer for peer in transfer.others if transfer.fallback and peer.address == transfer.fallback.address]
        if any(_is_reachable(peer, transfer.own) for peer in (maker or transfer.others[:MOST_PROBED])):
            # A host that is still reading its own files accepts connections, but does not answer.
            self._supplied = now
            return False
        if transfer.fallback and _is_reachable(transfer.fallback, transfer.own):
            return True
        return now - self._supplied >= PATIENCE_FOR_START * transfer.patience

    def _longest_silence(self, size: int) -> float:
        """How long hosts that can be reached may send nothing, such as one that refuses the certificate.

        They may be reading their own files. A host that has sent something has done so.
        """
        reading = 0.0 if self._downloaded else size / SLOWEST_READ
        return PATIENCE_FOR_START * self.transfer.patience + reading

    def is_done(self, served: Served) -> bool:
        status = self.handle.status()
        if status.errc.value():
            raise ModuleFailure(f"cannot transfer to {self.transfer.parent}: {status.errc.message()}")
        now = time.monotonic()
        if not status.is_seeding:
            self._needed = self._incomplete = now
            return False
        if served.is_busy:
            self._needed = now
        waiting = {peer.address for peer in self.transfer.others} - self._complete - served.complete
        has_stayed = now - self._incomplete > STAY
        return (not waiting and has_stayed) or now - self._needed > self.transfer.linger

    def result(self, seconds: float) -> Result:
        self._read_alerts()
        status = self.handle.status()
        if not status.is_seeding:
            damaged = [f"{self.damaged} parts were damaged and thrown away"] if self.damaged else []
            said = "; ".join([*damaged, *self.errors[-SHOWN_ERRORS:]])
            raise ModuleFailure(
                f"{100 * status.progress:.1f} % were received within {seconds:.0f} s"
                f" from {', '.join(peer.address for peer in self.transfer.others)}: {said or 'no host answered'}."
                f" Check that the hosts reach each other on port {self.transfer.own.port}; a later run continues"
            )
        return Result(
            status.total_payload_download, status.total_payload_upload, self.damaged, round(seconds, 1), self.errors
        )

    def save(self) -> None:
        """Write which parts are complete, so that a later run does not read all files again."""
        self._saved = time.monotonic()
        if not self.handle.is_valid():
            return
        self.handle.save_resume_data(libtorrent.save_resume_flags_t.flush_disk_cache)
        end = time.monotonic() + SAVE_INTERVAL
        while time.monotonic() < end:
            self.session.wait_for_alert(500)
            for alert in self.session.pop_alerts():
                if isinstance(alert, libtorrent.save_resume_data_alert):
                    _replace(self.transfer.resume_file, libtorrent.write_resume_data_buf(alert.params))
                    return
                if isinstance(alert, libtorrent.save_resume_data_failed_alert):
                    return
                self._note(alert)

    def _read_alerts(self) -> None:
        for alert in self.session.pop_alerts():
            self._note(alert)

    def _note(self, alert: t.Any) -> None:
        if isinstance(alert, libtorrent.hash_failed_alert):
            self.damaged += 1
        elif isinstance(
            alert, (libtorrent.peer_error_alert, libtorrent.listen_failed_alert, libtorrent.torrent_error_alert)
        ) or (isinstance(alert, libtorrent.peer_disconnected_alert) and "ssl" in alert.message()):
            message = alert.message()
            if message not in self.errors:
                self.errors.append(message)


def _is_reachable(peer: Peer, own: Peer) -> bool:
    try:
        with socket.create_connection(peer, PROBE_TIMEOUT, (own.address, 0)):
            return True
    except OSError:
        return False


def _session(transfer: Transfer) -> t.Any:
    parameters = libtorrent.session_params()
    parameters.settings = settings(transfer)
    session = libtorrent.session(parameters)
    # Other addresses are refused before the handshake.
    allowed = libtorrent.ip_filter()
    for first, last in EVERY_ADDRESS:
        allowed.add_rule(first, last, 1)
    for peer in transfer.others:
        allowed.add_rule(peer.address, peer.address, 0)
    session.set_ip_filter(allowed)
    # Private addresses have a class of their own otherwise, for which the bound is not valid.
    classes = libtorrent.ip_filter()
    for first, last in EVERY_ADDRESS:
        classes.add_rule(first, last, 1 << session.global_peer_class_id)
    session.set_peer_class_filter(classes)
    return session


def _add(session: t.Any, transfer: Transfer) -> t.Any:
    # run() has checked that it has content.
    content: t.Any = libtorrent.load_torrent_buffer(transfer.torrent).ti
    parameters = _resumed(transfer.resume_file)
    if parameters.info_hashes.v2 != content.info_hashes().v2:
        # The files of an earlier run, with a certificate of its own, are read, and what is not the same is replaced.
        parameters = libtorrent.add_torrent_params()
    parameters.ti = content
    parameters.save_path = transfer.parent
    # Not seed_mode, which would save reading the files: with torrents of version 2 it takes some parts for damaged.
    flags = libtorrent.torrent_flags
    alone = flags.disable_dht | flags.disable_lsd | flags.disable_pex
    parameters.flags = (parameters.flags | alone) & ~(flags.auto_managed | flags.paused | flags.stop_when_ready)
    parameters.piece_priorities = priorities(transfer, content.num_pieces())
    handle = session.add_torrent(parameters)
    with open(transfer.certificate, encoding="ascii") as stream:
        pem = stream.read()
    handle.set_ssl_certificate_buffer(pem, pem, DH_PARAMETERS)
    return handle


def _resumed(path: str) -> t.Any:
    try:
        with open(path, "rb") as stream:
            return libtorrent.read_resume_data(stream.read())
    except (OSError, RuntimeError):
        # Without it, libtorrent reads what is there.
        return libtorrent.add_torrent_params()


def _replace(path: str, content: bytes) -> None:
    with open(f"{path}.new", "wb") as stream:
        stream.write(content)
    os.replace(f"{path}.new", path)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
