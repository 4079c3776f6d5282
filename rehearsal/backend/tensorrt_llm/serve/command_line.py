# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of a version. As in upstream's, click parses it, and `serve` is meant if no command is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from .versions import Version

# Commands that are in every version but serve other purposes.
OTHER_COMMANDS = ("disaggregated", "disaggregated_mpi_worker")
TYPES = {"int": int, "float": float}

# Options that would change what is served and need something that is missing here.
UNSUPPORTED = {
    "--agent_types": "scheduling by agents is not there",
    "--custom_module_dirs": "no code of others is loaded",
    "--custom_tokenizer": "only tokenizer.json is read",
    "--disagg_cluster_uri": "disaggregated serving is not there",
    "--enable_visual_gen": "only text models are there",
    "--grpc": "only HTTP is there",
    "--metadata_server_config_file": "disaggregated serving is not there",
    "--middleware": "no code of others is loaded",
    "--server_role": "disaggregated serving is not there",
    "--trust_remote_code": "no code of others is loaded",
    "--visual_gen_args": "only text models are there",
}
ONLY = {"--backend": "pytorch", "--generation-config": "trtllm", "--max_beam_width": 1, "--num_serve_frontends": 1}


@dataclass(frozen=True)
class Given:
    """The parsed command line: the value of every option, by its first name, and the options that were given."""

    model: str
    options: Mapping[str, Any]
    explicit: frozenset[str]


class _ServeByDefault(click.Group):
    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = args and args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["serve", *args])


def make_command(version: Version, run: Callable[[Given], None]) -> click.Group:
    options = {_variable(name): name for name in version["options"]}

    def serve(model: str, **values: Any) -> None:
        context = click.get_current_context()
        explicit = {
            name
            for variable, name in options.items()
            if context.get_parameter_source(variable) is ParameterSource.COMMANDLINE
        }
        given = Given(model, {options[variable]: value for variable, value in values.items()}, frozenset(explicit))
        _refuse_unsupported(given)
        run(given)

    parameters = [_option(name, option) for name, option in version["options"].items()]
    command = click.Command("serve", callback=serve, params=[click.Argument(["model"]), *parameters])
    return _ServeByDefault("trtllm-serve", commands=[command, *map(_other_command, OTHER_COMMANDS)])


def _variable(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _option(name: str, option: Mapping[str, Any]) -> click.Option:
    names = [name, *option.get("aliases", [])]
    if "negation" in option:
        names = [f"{name}/{option['negation']}"]
    if option.get("switch"):
        return click.Option([*names, _variable(name)], is_flag=True, default=option.get("default", False))
    choices = option.get("choices")
    return click.Option(
        [*names, _variable(name)],
        type=click.Choice(choices) if choices else TYPES.get(option.get("type", ""), str),
        default=option.get("default"),
        multiple=option.get("multiple", False),
    )


def _other_command(name: str) -> click.Command:
    def refuse(arguments: Sequence[str]) -> None:
        raise click.UsageError(f"{name} cannot be rehearsed")

    settings = {"ignore_unknown_options": True}
    argument = click.Argument(["arguments"], nargs=-1)
    return click.Command(name, callback=refuse, params=[argument], context_settings=settings)


def _refuse_unsupported(given: Given) -> None:
    for name, reason in UNSUPPORTED.items():
        if given.options.get(name):
            raise click.UsageError(f"{name} is an option of this version but cannot be honoured here: {reason}")
    for name, value in ONLY.items():
        if given.options.get(name, value) != value:
            raise click.UsageError(f"{name} is an option of this version but can only be {value} here")
