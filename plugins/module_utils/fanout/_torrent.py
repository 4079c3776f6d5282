# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The description of an artifact for its transfer between hosts: names, sizes and SHA-256 sums of all parts.

It is an SSL torrent of version 2: it contains the certificate of the authority that signs the certificates of all hosts
that may take part. Others are refused by the TLS handshake.
"""

from __future__ import annotations

import os
import stat
import tempfile
import traceback
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

LIBTORRENT_IMPORT_ERROR: str | None = None
try:
    import libtorrent
except ImportError:
    LIBTORRENT_IMPORT_ERROR = traceback.format_exc()

# A torrent has one name, and hosts only accept certificates with it. Certificates that the same authority issued for
# other purposes have other names.
NAME = "trtllm-artifact"
# All files are in one folder of it: a torrent of a single file at the top would have the name of the file.
FILES = f"{NAME}/files"
# A host has something to send when it has a whole part, so parts are small, unless there would be more of them.
PART_BYTES, MOST_PARTS = 1 << 20, 1 << 16


def part_bytes_of(size: int) -> int:
    """The size of parts for an artifact of `size` bytes: a power of two, as torrents require."""
    part = PART_BYTES
    while part * MOST_PARTS < size:
        part *= 2
    return part


def describe(folder: str, paths: t.Iterable[str], authority: str, part_bytes: int | None = None) -> bytes:
    """The torrent of these files of a folder. `authority` is a certificate in PEM."""
    sizes = {path: _size(os.path.join(folder, path)) for path in sorted(paths)}
    if not sizes:
        raise ModuleFailure(f"{folder} has no files to transfer")
    files = [libtorrent.create_file_entry(f"{FILES}/{path}", size) for path, size in sizes.items()]
    part_bytes = part_bytes or part_bytes_of(sum(sizes.values()))
    # Without a creation date, the same files make the same torrent.
    torrent = libtorrent.create_torrent(files, part_bytes, libtorrent.create_torrent.v2_only)
    torrent.set_priv(True)
    torrent.set_creation_date(0)
    torrent.set_root_cert(authority)
    _hash(torrent, folder)
    content: bytes = libtorrent.bencode(torrent.generate())
    return content


def paths_of(torrent: bytes) -> list[str]:
    """The files of a torrent from another host, relative to the folder of the artifact."""
    try:
        content = libtorrent.load_torrent_buffer(torrent).ti
    except (RuntimeError, TypeError) as exc:
        raise ModuleFailure(f"the description of the transfer is damaged: {exc}") from exc
    if content is None or content.name() != NAME or not content.priv() or not content.ssl_cert():
        raise ModuleFailure("the description of the transfer is not one that this collection made")
    files = content.layout()
    # Between files there is padding, so that each one begins with a new part.
    padding = libtorrent.file_flags_t.flag_pad_file
    real = [index for index in range(files.num_files()) if not files.file_flags(index) & padding]
    return [os.path.relpath(files.file_path(index), FILES) for index in real]


def _size(path: str) -> int:
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ModuleFailure(f"{path} is not a regular file and cannot be transferred")
    return status.st_size


def _hash(torrent: t.Any, folder: str) -> None:
    """libtorrent looks for the files below folders with the names in the torrent."""
    with tempfile.TemporaryDirectory(prefix="trtllm-") as parent:
        os.mkdir(os.path.join(parent, NAME))
        os.symlink(os.path.abspath(folder), os.path.join(parent, FILES))
        libtorrent.set_piece_hashes(torrent, parent)
