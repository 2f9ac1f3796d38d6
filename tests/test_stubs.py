"""The stub files of the kernels say what the compiled kernels are, since type checkers believe them."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "midas" / "_ext"
STUBS = sorted(KERNELS.rglob("*.pyi"))
PYTHON = sorted(path for folder in ("midas", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

Node = ast.FunctionDef | ast.ClassDef | ast.AnnAssign

#: what a stub calls the C types of a parameter and those of the elements of an array
SCALARS = {
    **dict.fromkeys(("int", "int32_t", "int64_t", "uint32_t", "long long", "Py_ssize_t"), "int"),
    **dict.fromkeys(("double", "float"), "float"),
    "bint": "bool",
}
ELEMENTS = {
    "double": "np.float64",
    "float": "np.float32",
    "int": "np.int32",
    "int32_t": "np.int32",
    "int64_t": "np.int64",
    "long long": "np.int64",
    "uint8_t": "np.uint8",
    "int16_t": "np.int16",
    "uint16_t": "np.uint16",
    "unsigned char": "np.uint8",
    "pixel_t": "_Pixel",
    "SpotWindow": "np.void",
    "BinRecord": "np.void",
}


class Parameter(NamedTuple):
    name: str
    kind: str
    has_default: bool


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def source_of(stub: Path) -> str:
    return stub.with_suffix(".pyx").read_text(encoding="utf-8")


def public_names(module: ModuleType, source: str) -> set[str]:
    """Names that a kernel defines, without those that it imports."""
    assigned = set(re.findall(r"^(\w+) = ", source, re.M))
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            name in assigned
            or getattr(value, "__module__", "") == module.__name__
            or (isinstance(value, np.ufunc) and f"cdef double {name}(" in source)
        )
    }


def nodes(body: list[ast.stmt]) -> dict[str, Node]:
    """What the lines of a stub declare; names with an underscore are of the stub alone."""
    found: dict[str, Node] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return {name: node for name, node in found.items() if name == "__init__" or not name.startswith("_")}


def declared(stub: Path) -> dict[str, Node]:
    return nodes(ast.parse(stub.read_text(encoding="utf-8")).body)


def functions(stub: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods of a stub by their dotted names, without properties."""
    for name, node in declared(stub).items():
        if isinstance(node, ast.FunctionDef):
            yield name, node
        elif isinstance(node, ast.ClassDef):
            members = nodes(node.body).items()
            yield from (
                (f"{name}.{m}", n) for m, n in members if isinstance(n, ast.FunctionDef) and not n.decorator_list
            )


def stub_parameters(node: ast.FunctionDef) -> list[Parameter]:
    every, only = node.args.args, node.args.kwonlyargs
    assert not node.args.posonlyargs and node.args.vararg is None and node.args.kwarg is None
    first_default = len(every) - len(node.args.defaults)
    found = [Parameter(one.arg, "POSITIONAL_OR_KEYWORD", i >= first_default) for i, one in enumerate(every)]
    defaults = zip(only, node.args.kw_defaults, strict=True)
    return found + [Parameter(one.arg, "KEYWORD_ONLY", default is not None) for one, default in defaults]


def compiled_parameters(function: object) -> list[Parameter]:
    assert callable(function)
    return [
        Parameter(one.name, one.kind.name, one.default is not one.empty)
        for one in inspect.signature(function).parameters.values()
    ]


class Written(NamedTuple):
    """A parameter in the source of a kernel; the type is empty for any Python object."""

    parameter: Parameter
    type: str


def written_parameters(source: str, dotted: str) -> list[Written]:
    """The same from the source, which alone knows the types, and the parameters of a constructor."""
    owner, _, name = dotted.rpartition(".")
    start = source.index(f"cdef class {owner}") if owner else 0
    match = re.compile(rf"^ *def {name}\((.*?)\):$", re.M | re.S).search(source, start)
    assert match is not None, dotted
    found, kind = [], "POSITIONAL_OR_KEYWORD"
    # A comma inside the brackets of an array separates no parameters.
    for text in re.split(r",\s*(?![^\[]*\])", match[1]) if match[1] else ():
        if text == "*":
            kind = "KEYWORD_ONLY"
            continue
        typed, equals, _ = text.partition("=")
        words = typed.removesuffix(" not None").removeprefix("const ")
        c_type, _, parameter = f" {words}".rpartition(" ")
        found.append(Written(Parameter(parameter, kind, bool(equals)), c_type.strip()))
    return found


def expected_type(c_type: str) -> str:
    element, bracket, _ = c_type.partition("[")
    return f"NDArray[{ELEMENTS[element]}]" if bracket else SCALARS.get(c_type, c_type)


def test_every_kernel_that_python_imports_has_a_stub() -> None:
    folders = {name_of(path) for path in KERNELS.iterdir() if path.is_dir()}
    imported = {
        f"{node.module}.{alias.name}" if node.module in folders else node.module
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("midas._ext.")
        for alias in node.names
    }
    assert len(imported) > 20
    python = {name_of(path) for path in KERNELS.rglob("*.py")}
    assert imported <= {name_of(stub) for stub in STUBS} | python
    assert [stub for stub in STUBS if not stub.with_suffix(".pyx").exists()] == []


@pytest.mark.parametrize("path", sorted(KERNELS.rglob("*.pyx")), ids=name_of)
def test_names(path: Path) -> None:
    """Every kernel: one without names of its own for Python needs no stub."""
    stub = path.with_suffix(".pyi")
    names = set(declared(stub)) if stub.exists() else set()
    assert names == public_names(importlib.import_module(name_of(path)), source_of(path))


@pytest.mark.parametrize("stub", STUBS, ids=name_of)
def test_members_of_classes(stub: Path) -> None:
    module = importlib.import_module(name_of(stub))
    for name, node in declared(stub).items():
        if isinstance(node, ast.ClassDef):
            compiled = getattr(module, name)
            members = {member for member in nodes(node.body) if member != "__init__"}
            if issubclass(compiled, tuple):
                assert tuple(nodes(node.body)) == compiled._fields
            else:
                assert members == {member for member in vars(compiled) if not member.startswith("_")}


@pytest.mark.parametrize("stub", STUBS, ids=name_of)
def test_parameters(stub: Path) -> None:
    module, source = importlib.import_module(name_of(stub)), source_of(stub)
    for dotted, node in functions(stub):
        owner, _, name = dotted.rpartition(".")
        parameters = stub_parameters(node)
        assert parameters == [one.parameter for one in written_parameters(source, dotted)], dotted
        # The compiled constructors of C classes do not tell their parameters.
        if name != "__init__":
            place = getattr(module, owner) if owner else module
            assert parameters == compiled_parameters(getattr(place, name)), dotted


@pytest.mark.parametrize("stub", STUBS, ids=name_of)
def test_types(stub: Path) -> None:
    """A parameter has the type that the compiled code insists on; an array that may be None says so."""
    source = source_of(stub)
    for dotted, node in functions(stub):
        arguments = [*node.args.args, *node.args.kwonlyargs]
        for argument, written in zip(arguments, written_parameters(source, dotted), strict=True):
            if not written.type:
                continue
            assert argument.annotation is not None
            annotation = ast.unparse(argument.annotation).removesuffix(" | None")
            assert annotation == expected_type(written.type), f"{dotted}: {argument.arg}"
