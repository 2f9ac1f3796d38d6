"""The house rules that a program can check: what imports what, and how long files and functions are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KERNELS = sorted(path for path in (ROOT / "midas" / "_ext").rglob("*.p*") if path.suffix in (".pyx", ".pxd"))
SOURCES = sorted(path for folder in ("midas", "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py"))

#: rooms of midas/_ext from the bottom up; a kernel may cimport from its own room and from those before it
ROOMS = ("numerics", "physics", "legacy")
LONGEST_FILE, LONGEST_FUNCTION = 400, 50


def test_python_imports_go_downwards() -> None:
    """The contracts in pyproject.toml; in a process of its own, since the checker reconfigures the loggers."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


#: what opens HDF5 files of others, and what reads values and pixels of them, each after looking where these lie
OPENING, READING = (
    "midas/formats/hdf5_links.py",
    ("midas/formats/hdf5_values.py", "midas/convert/readers/hdf5_chunks.py"),
)
READS_VALUES = r"\[(\(\)|:|\.\.\.)\](?! *=)|\.(read_direct|asstr|astype\()\(|\bdataset\[(selection|part)\]"
#: what opens only files that it has written itself, or copies a group without reading it
OWN = ("midas/results/hdf5/writing.py", "midas/results/consolidated/layer_file.py")


def test_foreign_hdf5_is_read_in_one_place() -> None:
    """Elsewhere a dataset would be read wherever the library finds its values, in any file of the user."""
    opening, reading = set(), set()
    for path in (ROOT / "midas").rglob("*.py"):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        if re.search(r"h5py\.File\([^\n]*\"r\"", text):
            opening.add(name)
        if "h5py" in text and re.search(READS_VALUES, text):
            reading.add(name)
    assert opening == {OPENING, *OWN}
    assert reading - set(OWN) == set(READING)


def cimports(path: Path) -> set[tuple[str, ...]]:
    """Modules of midas._ext, below that package, that a kernel cimports."""
    text = path.read_text(encoding="utf-8")
    return {tuple(name.split(".")) for name in re.findall(r"^\s*from midas\._ext\.([\w.]+) cimport", text, re.M)}


def module(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT / "midas" / "_ext").with_suffix("").parts


def room(name: tuple[str, ...]) -> str:
    """The folder of a kernel; one of its own for a kernel beside the folders."""
    return name[0]


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: "/".join(module(path)) + path.suffix)
def test_kernels_cimport_downwards(path: Path) -> None:
    own = room(module(path))
    allowed = ROOMS[: ROOMS.index(own)] if own in ROOMS else ROOMS
    upwards = [name for name in cimports(path) if room(name) != own and room(name) not in allowed]
    assert not upwards
    foreign = re.findall(r"^\s*(?:from|import) (midas\.(?!_ext)[\w.]+)", path.read_text(encoding="utf-8"), re.M)
    assert not foreign, "a kernel knows nothing of midas but other kernels"


def test_cimports_have_no_circle() -> None:
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for path in KERNELS:
        graph.setdefault(module(path), set()).update(cimports(path) - {module(path)})
    done: set[tuple[str, ...]] = set()
    while ready := {name for name in graph.keys() - done if not (graph[name] & graph.keys()) - done}:
        done |= ready
    assert not graph.keys() - done


def test_structs_have_names_of_their_own() -> None:
    names = Counter(
        name
        for path in KERNELS
        for name in re.findall(r"^(?:cdef|ctypedef) (?:packed )?struct (\w+)", path.read_text(encoding="utf-8"), re.M)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("folder", ["midas", "tests", "benchmarks", "docs"])
def test_files_are_short(folder: str) -> None:
    paths = [path for path in [*SOURCES, *KERNELS] if path.relative_to(ROOT).parts[0] == folder]
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def functions_of(path: Path) -> list[tuple[str, int]]:
    """Name and lines of every function."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        nodes = (
            node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )
        return [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in nodes]
    return list(kernel_functions(text.splitlines()))


def kernel_functions(lines: list[str]) -> list[tuple[str, int]]:
    """The same of Cython: from the line that begins it to the last line that is indented deeper."""
    found = []
    start = re.compile(r"( *)(?:cdef|cpdef|def) (?:[^(=]*[ *])?(\w+)\(")
    for i, line in enumerate(lines):
        match = start.match(line)
        if match is None or line.rstrip().endswith(("nogil", "noexcept", "except NULL")):
            continue  # the last: a declaration of a .pxd
        indent, end, signature = len(match[1]), i, True
        for j in range(i + 1, len(lines)):
            if lines[j].strip() and not signature and len(lines[j]) - len(lines[j].lstrip()) <= indent:
                break
            if lines[j].strip():
                end = j
            if signature and (lines[j - 1].rstrip().endswith(":") or lines[j].rstrip().endswith(":")):
                signature = False
        found.append((match[2], end - i + 1))
    return found


@pytest.mark.parametrize("folder", ["midas", "tests", "benchmarks", "docs"])
def test_functions_are_short(folder: str) -> None:
    paths = [path for path in [*SOURCES, *KERNELS] if path.relative_to(ROOT).parts[0] == folder]
    long = {
        f"{path.relative_to(ROOT)}:{name}": length
        for path in paths
        for name, length in functions_of(path)
        if length > LONGEST_FUNCTION
    }
    assert long == {}
