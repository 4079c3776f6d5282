#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Starts a service that logs the first bytes of each packet on the interface `outside` to its journal, for the message of a failed test.

set -euo pipefail
systemd-run --quiet --unit outside.service --description 'Outgoing packets' python3 -u -c '
import socket
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
listener.bind(("outside", 0))
while True:
    print(listener.recv(200)[14:])
'
