# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upstream's command lines, from the tables of flags of a TensorRT-LLM version.

argparse rejects a flag that the version does not have, like upstream's own parser. A flag that it has but
that cannot work without a GPU has a reason, and using it is an error with that reason.
"""

from __future__ import annotations

import argparse

from .release import Table

_TYPES = {"int": int, "float": float, "str": str}


def add_flags(parser: argparse._ActionsContainer, table: Table) -> None:
    for name, flag in table.items():
        names = [name, *flag.get("aliases", [])]
        if flag.get("switch"):
            parser.add_argument(*names, action="store_true")
        else:
            parser.add_argument(
                *names,
                type=_TYPES[flag.get("type", "str")],
                default=flag["default"],
                choices=flag.get("choices"),
                nargs=flag.get("nargs"),
            )


def refusals(table: Table, args: argparse.Namespace) -> list[str]:
    """One sentence for every given flag that cannot work here."""
    found = []
    for name, flag in table.items():
        value = getattr(args, name.lstrip("-").replace("-", "_"))
        default = flag.get("default", False)
        reason = flag.get("refused_values", {}).get(value) if isinstance(value, str) else None
        switched_off = value == default or (default is None and value == "disable")
        if "refused" in flag and not switched_off:
            reason = flag["refused"]
        if reason:
            found.append(f"{name} is a flag of this release but cannot be honoured without a GPU: {reason}")
    return found


def parse(prog: str, tables: list[Table], argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=prog, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for table in tables:
        add_flags(parser, table)
    args = parser.parse_args(argv)
    refused = [reason for table in tables for reason in refusals(table, args)]
    if refused:
        parser.exit(2, "".join(f"{prog}: error: {reason}\n" for reason in refused))
    return args
