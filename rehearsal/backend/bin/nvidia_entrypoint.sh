#!/bin/sh
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Stand-in for the entrypoint of NVIDIA's images. Programs in them need what it sets up.
export LD_LIBRARY_PATH=/usr/local/tensorrt/lib
exec "$@"
