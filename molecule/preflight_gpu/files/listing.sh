#!/bin/sh
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: listing.sh FILE
# Lists persistent files with their types, modes, sizes and times, except those that the system writes by itself.
find /etc /opt /root /usr /var -xdev \
    \( -path /var/log -o -path /var/cache -o -path /var/tmp -o -path /var/lib/systemd -o -path /root/.ansible \) -prune -o \
    ! -name __pycache__ ! -name '*.pyc' ! -path /root ! -path /var/lib -printf '%p %y %m %s %T@\n' | sort >"$1"
