#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: carry.sh FROM TO FOLDER
# Copies FOLDER from the container FROM to the container TO.

set -euo pipefail
docker cp --quiet "$1:$3" - | docker cp --quiet - "$2:$(dirname "$3")"
