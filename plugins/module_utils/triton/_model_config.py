# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Triton's config.pbtxt: fills the placeholders of a template, sets fields, and checks the result."""

from __future__ import annotations

import difflib
import re
import traceback
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._config_text import fields, replace_fields

PROTOBUF_IMPORT_ERROR: str | None = None
try:
    from google.protobuf import json_format, text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig
except ImportError:
    PROTOBUF_IMPORT_ERROR = traceback.format_exc()

# Comments and strings are separate tokens: placeholders in comments are ignored, those in strings need no value.
_TOKEN = re.compile(r"""\#[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | \$\{\w+\}""", re.VERBOSE)
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_BARE_VALUE = re.compile(r"[A-Za-z0-9_.+-]+")
_BACKEND_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\\"']")


class ConfigError(ModuleFailure):
    """Everything that is wrong with a configuration, a sentence each."""

    def __init__(self, problems: t.Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


class Placeholder(t.NamedTuple):
    name: str
    line: int
    quoted: bool


def placeholders(template: str) -> list[Placeholder]:
    """All placeholders in order, except those in comments."""
    found = []
    for token in _TOKEN.finditer(template):
        if token.group().startswith("#"):
            continue
        for match in _PLACEHOLDER.finditer(token.group()):
            line = template.count("\n", 0, token.start() + match.start()) + 1
            found.append(Placeholder(match.group(1), line, not token.group().startswith("$")))
    return found


def near(word: str, words: t.Iterable[str]) -> str:
    """A hint for a misspelt word; empty if there is no similar word."""
    close = difflib.get_close_matches(word, list(words), n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def is_scalar(value: t.Any) -> bool:
    return isinstance(value, (str, bool, int, float))


def scalar_text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda match: _ESCAPES.get(match.group(), f"\\{ord(match.group()):03o}"), text)


def template_problems(template: str, values: t.Mapping[str, t.Any], required: t.Iterable[str]) -> list[str]:
    """Why these values cannot fill the template; of required placeholders only the existence is checked here."""
    found = placeholders(template)
    names = sorted({item.name for item in found})
    problems = [
        f"the template has no placeholder '{name}', but the value '{value}' was given for it{near(name, names)}"
        for name, value in values.items()
        if name not in names
    ]
    problems += [
        f"the template has no placeholder '{name}', but it is listed as required{near(name, names)}"
        for name in required
        if name not in names
    ]
    seen = set()
    for item in found:
        if item.name not in seen:
            problems += _value_problems(item, values.get(item.name))
        seen.add(item.name)
    return problems


def _value_problems(item: Placeholder, value: t.Any) -> list[str]:
    where = f"config.pbtxt line {item.line}"
    if value is None:
        return [] if item.quoted else [f"placeholder '{item.name}' ({where}) needs a value, because it is not quoted"]
    if not is_scalar(value):
        return [f"placeholder '{item.name}' ({where}) must be a string, number or boolean, not {value!r}"]
    if not item.quoted and not _BARE_VALUE.fullmatch(scalar_text(value)):
        return [f"placeholder '{item.name}' ({where}) is not quoted, so it must be one word or number, not '{value}'"]
    return []


def fill(template: str, values: t.Mapping[str, t.Any]) -> str:
    """The template with the given placeholders filled; everything else is kept unchanged."""

    def value_of(match: t.Match[str], quoted: bool) -> str:
        value = values.get(match.group(1))
        if value is None:
            return match.group()
        return _escape(scalar_text(value)) if quoted else scalar_text(value)

    def replace(token: t.Match[str]) -> str:
        text = token.group()
        if text.startswith("#"):
            return text
        return _PLACEHOLDER.sub(lambda match: value_of(match, not text.startswith("$")), text)

    return _TOKEN.sub(replace, template)


def required_problems(text: str, required: t.Iterable[str]) -> list[str]:
    """Required placeholders without a value: the text can be parsed without it, but the server cannot run."""
    left = {item.name: item.line for item in placeholders(text)}
    return [
        f"placeholder '{name}' (config.pbtxt line {left[name]}) needs a value, because the server cannot run without it"
        for name in required
        if name in left
    ]


def unfilled(text: str) -> list[str]:
    return sorted({item.name for item in placeholders(text)})


def parse(text: str) -> t.Any:
    """The text as Triton's own ModelConfig message."""
    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError as exc:
        line, column = exc.GetLine(), exc.GetColumn()
        lines = text.splitlines()
        shown = lines[line - 1].strip() if line and line <= len(lines) else ""
        words = re.sub(r"^\d+:\d+ : ", "", str(exc))
        raise ConfigError([f"config.pbtxt line {line}, column {column}: {words}, in: {shown}"]) from exc


def apply_overrides(text: str, overrides: t.Mapping[str, t.Any]) -> str:
    """Set fields: messages are merged, lists replaced. `parameters` maps keys to string values; null removes one."""
    config = parse(text)
    fields = dict(overrides)
    parameters = fields.pop("parameters", None) or {}
    problems = []
    for key, value in fields.items():
        try:
            json_format.ParseDict({key: value}, config)
        except json_format.ParseError as exc:
            problems.append(f"override {key} = {value!r}: {_override_words(config, str(exc))}")
    for key, value in parameters.items():
        if value is None:
            config.parameters.pop(key, None)
        elif is_scalar(value):
            config.parameters[key].string_value = scalar_text(value)
        else:
            problems.append(f"override parameters.{key} must be a string, number or boolean, not {value!r}")
    if problems:
        raise ConfigError(problems)
    try:
        result = _rewritten(text, config)
        if parse(result) == config:
            return result
    except ConfigError:
        pass
    # A text that fields() cannot split is formatted again as a whole.
    return leading_comment(text) + text_format.MessageToString(config, as_utf8=True)


def _rewritten(text: str, config: t.Any) -> str:
    """The text with the fields that differ in the message replaced, and the rest unchanged."""
    before = parse(text)
    changed = [part for part in sorted(_parts(before) | _parts(config)) if _only(before, part) != _only(config, part)]
    replacements = []
    left = dict.fromkeys(changed)
    for span in fields(text):
        own = [(span.name, "")]
        if span.name == "parameters":
            own = sorted(_parts(parse(text[span.start : span.end])))
        if not set(own).isdisjoint(changed):
            # All values of a repeated field are written at its first occurrence.
            replacements.append(
                (span, "".join(_text(config, part) for part in own if part in left or part not in changed))
            )
            left = {part: None for part in left if part not in own}
    return replace_fields(text, replacements, "".join(_text(config, part) for part in left))


def _parts(config: t.Any) -> set[tuple[str, str]]:
    """What is set in the message: the names of fields, and the keys of parameters."""
    names = {field.name for field, _value in config.ListFields()} - {"parameters"}
    return {(name, "") for name in names} | {("parameters", key) for key in config.parameters}


def _only(config: t.Any, part: tuple[str, str]) -> t.Any:
    """A message with only this part."""
    name, key = part
    only = ModelConfig()
    if name != "parameters":
        only.CopyFrom(config)
        for field, _value in config.ListFields():
            if field.name != name:
                only.ClearField(field.name)
    elif key in config.parameters:
        only.parameters[key].CopyFrom(config.parameters[key])
    return only


def _text(config: t.Any, part: tuple[str, str]) -> str:
    return text_format.MessageToString(_only(config, part), as_utf8=True)


def _override_words(config: t.Any, words: str) -> str:
    """protobuf's message, with similar field names instead of its list of all fields in camel case."""
    words = re.sub(r"\s*Available Fields.*", "", words, flags=re.DOTALL)
    unknown = re.search(r'Message type "(\S+)" has no field named "(\w+)"', words)
    if unknown:
        message = config.DESCRIPTOR.file.pool.FindMessageTypeByName(unknown.group(1))
        words += near(unknown.group(2), [field.name for field in message.fields])
    return words.rstrip(".")


def leading_comment(text: str) -> str:
    match = re.match(r"(?:[ \t]*#[^\n]*\n)+", text)
    return f"{match.group()}\n" if match else ""


def config_problems(folder: str, config: t.Any) -> list[str]:
    """Why Triton would refuse one model's configuration although it can be parsed."""
    problems = []
    if config.name != folder:
        problems.append(f"the configuration's name is '{config.name}', but Triton needs the folder's name '{folder}'")
    if not (config.backend or config.platform):
        problems.append("the configuration names neither a backend nor a platform")
    if config.backend and not _BACKEND_NAME.fullmatch(config.backend):
        problems.append(f"'{config.backend}' is not a valid name of a backend")
    return problems


def ensemble_problems(configs: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    """By ensemble: steps with unknown models, inputs or outputs, and tensors that no step produces."""
    found = {}
    for name, config in configs.items():
        if config.WhichOneof("scheduling_choice") == "ensemble_scheduling":
            steps = config.ensemble_scheduling.step
            problems = [problem for step in steps for problem in _step_problems(config, step, configs)]
            problems += _flow_problems(config, steps)
            if problems:
                found[name] = problems
    return found


def _step_problems(ensemble: t.Any, step: t.Any, configs: t.Mapping[str, t.Any]) -> list[str]:
    model = configs.get(step.model_name)
    if model is None:
        return [
            f"a step uses model '{step.model_name}', which is not in the repository{near(step.model_name, configs)}"
        ]
    problems = []
    for kind, mapping, tensors in (("input", step.input_map, model.input), ("output", step.output_map, model.output)):
        names = [tensor.name for tensor in tensors]
        problems += [
            f"the step of model '{step.model_name}' maps {kind} '{key}', which it does not have{near(key, names)}"
            for key in sorted(mapping)
            if key not in names
        ]
    if ensemble.max_batch_size > model.max_batch_size:
        problems.append(
            f"max_batch_size {ensemble.max_batch_size} is more than the {model.max_batch_size} of"
            f" its model '{step.model_name}'"
        )
    return problems


def _flow_problems(ensemble: t.Any, steps: t.Iterable[t.Any]) -> list[str]:
    made = {tensor.name for tensor in ensemble.input}
    made.update(name for step in steps for name in step.output_map.values())
    wanted = {name for step in steps for name in step.input_map.values()}
    problems = [f"tensor '{name}' is used by a step, but no step produces it" for name in sorted(wanted - made)]
    problems += [f"no step produces output '{tensor.name}'" for tensor in ensemble.output if tensor.name not in made]
    return problems
