# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Packs a part of module_utils as a program that runs without Ansible: one file, which Python runs (zipapp)."""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path

PACKAGE = "ansible_collections.tritonops.trtllm.plugins.module_utils"
MODULE_UTILS = Path(__file__).parents[2] / "module_utils"
# The same sources make the same file, so that it only changes on hosts if the sources do.
TIME = (2020, 1, 1, 0, 0, 0)


class NotSelfContained(Exception):
    """The program needs Ansible."""


def closure(entry: str, folder: Path = MODULE_UTILS) -> dict[str, str]:
    """The source of a module, such as `watchdog._program`, and of all that it imports, by path."""
    sources: dict[str, str] = {}
    pending = [entry]
    while pending:
        name = pending.pop()
        path = name.replace(".", "/") + ".py"
        if path not in sources:
            sources[path] = (folder / path).read_text(encoding="utf-8")
            pending += _imports(name, sources[path], folder)
    return sources


def pack(entry: str, folder: Path = MODULE_UTILS) -> bytes:
    """The program, which calls `main` of the module with its arguments."""
    root = PACKAGE.replace(".", "/")
    files = {f"{root}/{path}": source for path, source in closure(entry, folder).items()}
    packages = {str(parent) for path in files for parent in Path(path).parents if str(parent) != "."}
    # Python finds a package in an archive without directory entries by this file.
    files.update({f"{package}/__init__.py": "" for package in packages})
    files["__main__.py"] = f"import sys\n\nfrom {PACKAGE}.{entry} import main\n\nsys.exit(main(sys.argv[1:]))\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(files):
            packed.writestr(zipfile.ZipInfo(path, TIME), files[path])
    return archive.getvalue()


def _imports(name: str, source: str, folder: Path) -> list[str]:
    """The modules of module_utils that a module imports when it runs."""
    found = []
    for node in _running(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            if module == "ansible" or module.startswith("ansible."):
                raise NotSelfContained(f"{name} imports {module}, which hosts do not have")
            if module.startswith(f"{PACKAGE}."):
                inner = module[len(PACKAGE) + 1 :]
                is_package = (folder / inner.replace(".", "/")).is_dir()
                names = [alias.name for alias in node.names]
                found += [f"{inner}.{attribute}" for attribute in names] if is_package else [inner]
    return found


def _running(tree: ast.AST) -> list[ast.AST]:
    """All nodes but those of `if t.TYPE_CHECKING`."""
    nodes = [tree]
    for node in nodes:
        if not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")):
            nodes += ast.iter_child_nodes(node)
    return nodes
