# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A Triton model repository: rendered from templates, compared with the existing folder, and published by a rename."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact import _artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import path_below
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _llm_args, _model_config

CONFIG = "config.pbtxt"
ENGINE_FILES = ("config.json", "rank*.engine")
# What tokenizers and their configuration are called; weights and their indices are not.
TOKENIZER_FILES = ("*.json", "*.model", "*.tiktoken", "*.txt", "*.jinja")
NOT_TOKENIZER_FILES = ("artifact.json", "*.index.json", "README*", "LICENSE*", "requirements*")
VOCABULARIES = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken")


@dataclass(frozen=True)
class Entry:
    """A file: either its content, or the file that it is copied or linked from."""

    content: bytes | None = None
    source: str = ""
    link: bool = False

    def is_at(self, path: str) -> bool:
        if not os.path.isfile(path):
            return False
        if self.content is not None:
            return _read(path) == self.content
        here, there = os.stat(path), os.stat(self.source)
        if not here.st_mode & stat.S_IROTH:
            return False
        if self.link:
            if os.path.samestat(here, there):
                return not _artifact.others_can_write(there)
            # If it was copied, the copy has the same mtime: comparing the content would mean to read up to 90 GB.
            return (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns)
        return _executable(here) == _executable(there) and _read(path) == _read(self.source)

    def put(self, path: str) -> None:
        if self.content is not None:
            with open(path, "wb") as stream:
                stream.write(self.content)
            os.chmod(path, 0o644)
        elif not (self.link and _artifact.try_hard_link(self.source, path)):
            shutil.copy2(self.source, path)
            os.chmod(path, 0o755 if _executable(os.stat(self.source)) else 0o644)

    def describe(self) -> str:
        """The file as shown by --diff."""
        if self.link:
            return f"link to {self.source} ({os.path.getsize(self.source)} bytes)\n"
        return _shown(self.content if self.content is not None else _read(self.source))


# The record that marks the folder as ours, so that it can be replaced. Triton and transformers ignore it.
_INPUTS = {"made_by": "triton_model_repository"}
_RECORD = Entry(content=_artifact.pretty({"inputs": _INPUTS, "key": _artifact.artifact_key(_INPUTS)}).encode("utf-8"))


@dataclass
class Tree:
    """The wanted content of a folder: files and folders by relative path."""

    entries: dict[str, Entry] = field(default_factory=lambda: {_artifact.ARTIFACT_JSON: _RECORD})
    folders: set[str] = field(default_factory=set)

    def add(self, path: str, entry: Entry) -> None:
        self.entries[path] = entry
        self.add_folder(os.path.dirname(path))

    def add_folder(self, path: str) -> None:
        while path:
            self.folders.add(path)
            path = os.path.dirname(path)

    def changes(self, dest: str) -> list[str]:
        """Paths that are missing in dest, differ, or do not belong there."""
        files, folders = _walk(dest)
        changed = {path for path, entry in self.entries.items() if not entry.is_at(os.path.join(dest, path))}
        changed |= (files - set(self.entries)) | (folders ^ self.folders)
        return sorted(changed)

    def build(self, dest: str) -> None:
        for folder in ["", *sorted(self.folders)]:
            os.makedirs(os.path.join(dest, folder), exist_ok=True)
            # Regardless of the umask, because the server runs as another user.
            os.chmod(os.path.join(dest, folder), 0o755)
        for path, entry in self.entries.items():
            entry.put(os.path.join(dest, path))

    def diff(self, dest: str, changed: t.Iterable[str]) -> list[dict[str, str]]:
        rows = []
        for path in changed:
            there = os.path.join(dest, path)
            entry = self.entries.get(path)
            row = {"before_header": there, "after_header": there, "before": "", "after": ""}
            if os.path.isfile(there):
                linked = entry is not None and entry.link
                row["before"] = f"{os.path.getsize(there)} bytes\n" if linked else _shown(_read(there))
            elif os.path.isdir(there):
                row["before"] = "folder\n"
            if entry or path in self.folders:
                row["after"] = entry.describe() if entry else "folder\n"
            rows.append(row)
        return rows


@dataclass(frozen=True)
class Request:
    """The options that the repository is rendered from."""

    src: str
    parameters: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    overrides: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    llm_args: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    required: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    models: t.Sequence[str] = ()
    release: str = ""
    engine: str = ""
    engine_model: str = "tensorrt_llm"
    hard_link: bool = True


@dataclass
class Plan:
    tree: Tree
    configs: dict[str, str]

    def models(self) -> dict[str, dict[str, t.Any]]:
        return {
            name: {
                "config_sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
                "placeholders_unfilled": _model_config.unfilled(text),
            }
            for name, text in self.configs.items()
        }


def plan_repository(request: Request, validate: bool = True) -> Plan:
    """Render and check everything in memory; RepositoryError lists all problems before anything is written."""
    available = _models_in(request.src)
    chosen = list(request.models) or available
    problems = _unknown_models(request, chosen, available)
    # The templates are from a git repository, which may contain links to anything.
    for path in sorted(_walk(request.src)[0]):
        path_below(request.src, path, f"the templates {request.src}")
    templates = {name: _read_text(os.path.join(request.src, name, CONFIG)) for name in chosen if name in available}
    configs = {}
    for name, template in templates.items():
        try:
            configs[name] = render(
                template,
                request.parameters.get(name) or {},
                request.overrides.get(name) or {},
                request.required.get(name) or (),
            )
        except _model_config.ConfigError as exc:
            problems += [f"model '{name}': {problem}" for problem in exc.problems]
    if validate and len(configs) == len(chosen):
        problems += _repository_problems(configs)
    tree = _model_tree(request, configs)
    problems += _merge_llm_args(tree, request)
    if request.engine:
        problems += _add_engine(tree, request, chosen)
    if problems:
        origin = f"{request.src}{f' of release {request.release}' if request.release else ''}"
        raise ModuleFailure(f"cannot make a model repository from {origin}: {'; '.join(problems)}")
    return Plan(tree, configs)


def render(
    template: str, values: t.Mapping[str, t.Any], overrides: t.Mapping[str, t.Any], required: t.Sequence[str]
) -> str:
    """One model's configuration."""
    problems = _model_config.template_problems(template, values, required)
    text = _model_config.fill(template, values)
    if overrides and not problems:
        text = _model_config.apply_overrides(text, overrides)
    problems += _model_config.required_problems(text, required)
    if problems:
        raise _model_config.ConfigError(problems)
    return text


@dataclass(frozen=True)
class FileSet:
    """The files that a release uses from a folder of weights."""

    name: str
    # Whether a file is included, by its path in the folder.
    includes: t.Callable[[str], bool]
    # Patterns of which one must match, or the folder is refused.
    required: t.Sequence[str]

    def plan(self, folder: str, hard_link: bool) -> Tree:
        if not os.path.isdir(folder):
            raise ModuleFailure(f"{self.name} {folder} is not a folder: download the model first")
        paths = sorted(path for path in _walk(folder)[0] if self.includes(path))
        if not any(_matches(path, self.required) for path in paths):
            raise ModuleFailure(
                f"{folder} has no {self.name} (none of {', '.join(self.required)}): download the model's files again"
            )
        tree = Tree()
        for path in paths:
            tree.add(path, Entry(source=os.path.join(folder, path), link=hard_link))
        return tree


def is_model(path: str) -> bool:
    return os.path.isfile(os.path.join(path, CONFIG))


def publish(tree: Tree, dest: str) -> None:
    """Build the folder and rename it to dest, which is either the old folder or the complete new one."""
    try:
        payload = _artifact.make_partial(dest, _INPUTS)
        tree.build(payload)
        _artifact.sync_tree(payload)
        _artifact.replace_folder(payload, dest)
        _artifact.remove(os.path.dirname(payload))
    except OSError as exc:
        raise ModuleFailure(f"cannot write {dest}: {exc}") from exc


def _models_in(src: str) -> list[str]:
    if not os.path.isdir(src):
        raise ModuleFailure(
            f"src {src} is not a folder: set it to the folder of model templates, such as inflight_batcher_llm"
        )
    models = [name for name in sorted(os.listdir(src)) if is_model(os.path.join(src, name))]
    if not models:
        raise ModuleFailure(f"src {src} contains no model: none of its folders has a {CONFIG}")
    return models


def _unknown_models(request: Request, chosen: t.Iterable[str], available: t.Sequence[str]) -> list[str]:
    named = {
        "models": chosen,
        "parameters": request.parameters,
        "overrides": request.overrides,
        "llm_args": request.llm_args,
    }
    return [
        f"{option} has model '{name}', which does not exist{_model_config.near(name, available)};"
        f" the templates are {', '.join(available)}"
        for option, names in named.items()
        for name in names
        if name not in available
    ]


def _repository_problems(configs: t.Mapping[str, str]) -> list[str]:
    """Everything in the configurations that Triton would refuse."""
    problems: list[str] = []
    parsed = {}
    for name, text in configs.items():
        try:
            parsed[name] = _model_config.parse(text)
            problems += [f"model '{name}': {problem}" for problem in _model_config.config_problems(name, parsed[name])]
        except _model_config.ConfigError as exc:
            problems += [f"model '{name}': {problem}" for problem in exc.problems]
    if len(parsed) == len(configs):
        for name, found in _model_config.ensemble_problems(parsed).items():
            problems += [f"model '{name}': {problem}" for problem in found]
    return problems


def _model_tree(request: Request, configs: t.Mapping[str, str]) -> Tree:
    tree = Tree()
    for name, text in configs.items():
        folder = os.path.join(request.src, name)
        files, folders = _walk(folder)
        for path in sorted(files - {CONFIG}):
            tree.add(os.path.join(name, path), Entry(source=os.path.join(folder, path)))
        for path in folders:
            tree.add_folder(os.path.join(name, path))
        # Triton needs a version folder, even for an ensemble, but git does not keep empty folders.
        if not any(path.isdigit() for path in folders):
            tree.add_folder(os.path.join(name, "1"))
        tree.add(os.path.join(name, CONFIG), Entry(content=text.encode("utf-8")))
    return tree


def _merge_llm_args(tree: Tree, request: Request) -> list[str]:
    problems = []
    for name, changes in request.llm_args.items():
        path = os.path.join(name, _llm_args.MODEL_YAML)
        if path in tree.entries:
            template = _read_text(tree.entries[path].source)
            try:
                tree.add(path, Entry(content=_llm_args.merged(template, changes).encode("utf-8")))
            except _model_config.ConfigError as exc:
                problems += [f"model '{name}': {problem}" for problem in exc.problems]
        elif is_model(os.path.join(request.src, name)):
            problems.append(
                f"llm_args has model '{name}', whose template has no {_llm_args.MODEL_YAML}:"
                " only templates of the LLM API have one"
            )
    return problems


def _add_engine(tree: Tree, request: Request, models: t.Container[str]) -> list[str]:
    if not os.path.isdir(request.engine):
        return [f"engine {request.engine} is not a folder: build the engine first"]
    if request.engine_model not in models:
        return [f"the model '{request.engine_model}', which needs the engine, is not in the repository"]
    names = [name for name in sorted(os.listdir(request.engine)) if _matches(name, ENGINE_FILES)]
    missing = [pattern for pattern in ENGINE_FILES if not fnmatch.filter(names, pattern)]
    if missing:
        return [f"engine {request.engine} has no {' and no '.join(missing)}: build the engine again"]
    for name in names:
        source = os.path.join(request.engine, name)
        tree.add(os.path.join(request.engine_model, "1", name), Entry(source=source, link=request.hard_link))
    return []


def _is_tokenizer_file(path: str) -> bool:
    """By its path in a folder of weights; files in subfolders belong to other formats."""
    return os.sep not in path and _matches(path, TOKENIZER_FILES) and not _matches(path, NOT_TOKENIZER_FILES)


def _is_snapshot_file(path: str) -> bool:
    """Every downloaded file, without our record and the hidden folder of huggingface_hub."""
    hidden = any(part.startswith(".") for part in path.split(os.sep)[:-1])
    return path != _artifact.ARTIFACT_JSON and not hidden


TOKENIZER = FileSet(
    "tokenizer",
    includes=_is_tokenizer_file,
    required=VOCABULARIES,
)
WEIGHTS = FileSet(
    "weights",
    includes=_is_snapshot_file,
    required=("config.json",),
)


def _matches(name: str, patterns: t.Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _walk(root: str) -> tuple[set[str], set[str]]:
    """Relative paths of the files and of the folders below root, without __pycache__."""
    files: set[str] = set()
    folders: set[str] = set()
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name != "__pycache__"]
        files.update(os.path.relpath(os.path.join(folder, name), root) for name in names)
        folders.update(os.path.relpath(os.path.join(folder, name), root) for name in subfolders)
    return files, folders


def _executable(status: os.stat_result) -> bool:
    return bool(status.st_mode & 0o100)


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _read_text(path: str) -> str:
    try:
        return _read(path).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ModuleFailure(f"{path} is not UTF-8 text: {exc}") from exc


def _shown(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return f"binary, {len(content)} bytes\n"
