"""The declared dependencies are what the package needs: no more, no less."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path for path in (ROOT / "midas").rglob("*.py") if path.stem != "__main__")
SCRIPTS = sorted((ROOT / "midas").rglob("__main__.py"))
KERNELS = sorted((ROOT / "midas" / "_ext").rglob("*.pyx"))
HEADERS = sorted((ROOT / "midas" / "_ext").rglob("*.pxd"))

#: declared, and imported nowhere in midas/ yet, with the reason; the entry goes when the package is used
UNUSED = {
    "zarr": "the tests write and read archives with it; midas/archive has its own reader and writer so far",
}
#: of an extra, which a function asks for when it is called: without it the function says so
OPTIONAL = {"pandas": "dataframe"}
#: of the standard library of a later Python, whose backport is declared for the earlier ones
NEWER = {"compression"}
#: what a kernel cimports from Cython itself
CYTHON = {"cpython", "cython", "libc", "openmp"}


@cache
def declared() -> tuple[Requirement, ...]:
    """The run-time dependencies in pyproject.toml, without the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return tuple(Requirement(text) for text in project["dependencies"])


def reachable() -> set[str]:
    """The declared distributions, and what these need in their turn; names in canonical form."""
    found: set[tuple[str, str]] = set()
    open_ends = list(declared())
    while open_ends:
        requirement = open_ends.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {extra for known, extra in found if known == name}:
            found.add((name, extra))
            needs = map(Requirement, importlib.metadata.requires(name) or ())
            open_ends += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


@cache
def packages_of(distribution: str) -> frozenset[str]:
    """The top-level packages that a distribution installs."""
    owners = importlib.metadata.packages_distributions()
    return frozenset(package for package, names in owners.items() if distribution in map(canonicalize_name, names))


def imported_packages(path: Path) -> set[str]:
    """The top-level packages that a source file imports, wherever in it; relative imports stay inside midas."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        names = re.findall(r"^[ \t]*(?:from ([\w.]+) c?import|c?import ([\w.]+))\b", text, re.M)
        return {(first or second).split(".")[0] for first, second in names}
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def imports() -> dict[str, set[str]]:
    """Package -> files of midas/ that import it, the standard library and midas itself left out."""
    found: dict[str, set[str]] = {}
    for path in (*MODULES, *SCRIPTS, *KERNELS, *HEADERS):
        ours = {"midas", *(CYTHON if path.suffix != ".py" else ())}
        for package in imported_packages(path) - sys.stdlib_module_names - NEWER - ours:
            found.setdefault(package, set()).add(str(path.relative_to(ROOT)))
    return found


# Run with the names of the allowed packages. What is neither in them nor in the standard library is not there for it,
# as in an environment where only the dependencies are installed; packages that test for their optional companions do
# not find these either.
CHILD = """
import importlib, json, pkgutil, sys

allowed = {"midas", *sys.argv[1:], *sys.stdlib_module_names}

class OnlyDeclared:
    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and not top.startswith("_sysconfigdata_"):  # that one is the standard library's
            raise ModuleNotFoundError(f"No module named {name!r} among the declared dependencies", name=name)

sys.meta_path.insert(0, OnlyDeclared)
for name in [name for name in sys.modules if name.partition(".")[0] not in allowed]:
    del sys.modules[name]  # what the start of this python brought along
try:
    import pytest
except ModuleNotFoundError:
    pass
else:
    sys.exit("pytest is no run-time dependency and could be imported: this test tests nothing")
import midas
names = ["midas"]
for module in pkgutil.walk_packages(midas.__path__, "midas."):
    if not module.name.endswith(".__main__"):  # a program
        importlib.import_module(module.name)
        names.append(module.name)
print(json.dumps(names))
"""


def test_every_module_imports_with_the_declared_dependencies_only(environment: dict[str, str]) -> None:
    packages = sorted(set().union(*map(packages_of, reachable())))
    assert "numpy" in packages
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD, *packages], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    there = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (*MODULES, *KERNELS)}
    assert {name.removesuffix(".__init__") for name in there} <= set(json.loads(done.stdout))


def test_only_declared_packages_are_imported() -> None:
    """Also inside functions, and not what merely comes along with a dependency today."""
    known = set().union(*(packages_of(canonicalize_name(requirement.name)) for requirement in declared()), OPTIONAL)
    assert {package: files for package, files in imports().items() if package not in known} == {}


def test_optional_packages_are_in_their_extras() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for package, extra in OPTIONAL.items():
        assert package in {Requirement(text).name for text in extras[extra]}
        assert package in imports()


def test_every_declared_dependency_is_imported() -> None:
    used = set(imports())
    unused = {one.name for one in declared() if not packages_of(canonicalize_name(one.name)) & used}
    assert unused == set(UNUSED), "declared and not imported, or imported and still in the list of unused ones"
