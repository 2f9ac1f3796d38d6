"""The user's parameter file with other values of some keys, each at its place, and everything else as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.parameters.parser import lines_of
from midas.parameters.table import KEYS
from midas.runtime.errors import UsageError
from midas.runtime.files import read_bytes

Values = Mapping[str, tuple[float | str, ...]]

_DIGITS = ".10g"
#: files of a layer folder that are no parameter files
_OTHERS = re.compile(r"\.(csv|bin|zip|old|h5|html|png|part|lock)$|^paramstest\.txt$")
#: what the programs call a refined parameter file, unless the user's is called so, and how such a file begins
NAME, _SECOND_NAME = "ps_refined.txt", "ps_refined_2.txt"
_BEGINNING = b"# Geometry refined on "
#: the largest text that is looked at
_LARGEST = 1 << 20
#: keys that every parameter file of a layer has
_SIGNS = {b"RingThresh", b"Wavelength"}
_WORD = re.compile(rb"^(\s*)(\S+)([ \t]+)([^#\r\n]*?)([ \t;]*)(#[^\r\n]*)?(\r?\n?)$")


def with_values(text: bytes, values: Values, first_line: str) -> bytes:
    """The text with the keys replaced where they stand; those that are absent come last.

    Parameters
    ----------
    values : of each key; numbers get ten digits
    first_line : in front of everything, behind `_BEGINNING`, in place of such a line of an earlier refinement
    """
    spelled = {alias.encode(): name for name in values for alias in (name, *KEYS[name].aliases)}
    lines, absent = text.splitlines(keepends=True), dict(values)
    if lines and lines[0].startswith(_BEGINNING):
        del lines[0]
    for i, line in enumerate(lines):
        match = _WORD.match(line)
        if match is None or match[2] not in spelled:
            continue
        name = spelled[match[2]]
        absent.pop(name, None)
        lines[i] = b"".join([match[1], match[2], match[3], _words(values[name]), *(match[k] or b"" for k in (5, 6, 7))])
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    added = [name.encode() + b" " + _words(value) + b"\n" for name, value in absent.items()]
    return b"".join([_BEGINNING, first_line.encode("utf-8", "surrogateescape"), b"\n", *lines, *added])


def _words(value: tuple[float | str, ...]) -> bytes:
    return " ".join(item if isinstance(item, str) else format(item, _DIGITS) for item in value).encode()


def source_of(layer: Layer, parameters: Parameters, named: Path | None = None) -> bytes:
    """The text of the parameter file of a layer: the named one, else its copy in the folder, else of the archive.

    Raises
    ------
    UsageError : the folder holds several texts that could be it
    """
    if named is not None:
        text = read_bytes(named, advice="-paramFN names it")
        if lost := sorted(_SIGNS - _keys_in(text)):
            reason = f"is no parameter file of a layer: it has no {' and no '.join(map(os.fsdecode, lost))}"
            raise UsageError(reason, key="-paramFN", value=named)
        return text
    copy = copy_in(layer)
    return _written(parameters) if copy is None else _as_the_user_had_it(read_bytes(copy), layer.folder)


def copy_in(layer: Layer) -> Path | None:
    """The copy of the user's parameter file in a layer folder, beside which refined ones may lie."""
    every = [path for path in sorted(layer.folder.iterdir()) if _is_parameter_file(path)]
    copies = [path for path in every if path.name not in (NAME, _SECOND_NAME)] or every[:1]
    if len(copies) > 1:
        names = ", ".join(path.name for path in copies)
        raise UsageError(f"holds several parameter files ({names}); name yours with -paramFN", key=str(layer.folder))
    return copies[0] if copies else None


def output_in(folder: Path, copy: Path | None) -> Path:
    """The refined parameter file in a folder, which is not the copy of the user's."""
    return folder / (_SECOND_NAME if copy == folder / NAME else NAME)


def check_output(path: Path) -> None:
    """A file that is none of an earlier refinement stays.

    Raises
    ------
    UsageError : for that one
    """
    if _OTHERS.search(path.name):
        raise UsageError("is no name of a parameter file", key="-o", value=path)
    if path.exists() and not (path.is_file() and read_bytes(path).startswith(_BEGINNING)):
        raise UsageError("is there, and no result of ff-geometry; give another name", key="-o", value=path)


def _is_parameter_file(path: Path) -> bool:
    if _OTHERS.search(path.name) or not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    return _keys_in(read_bytes(path)) >= _SIGNS


def _keys_in(text: bytes) -> set[bytes]:
    """First words of the lines."""
    return {words[0] for line in text.splitlines() if (words := line.split(None, 1))}


def _as_the_user_had_it(text: bytes, folder: Path) -> bytes:
    """The copy without the line that makes the layer's folder the one of the results."""
    lines = text.splitlines(keepends=True)
    own = [i for i, line in enumerate(lines) if line.split(None, 1)[:1] == [b"ResultFolder"]]
    old = [i for i, line in enumerate(lines) if line.startswith(b"# ResultFolder")]
    if len(own) == 1 and old and Path(os.fsdecode(lines[own[0]].split(None, 1)[1].strip())) == folder.absolute():
        lines[old[-1]] = lines[old[-1]].removeprefix(b"# ")
        del lines[own[0]]
    return b"".join(lines)


def _written(parameters: Parameters) -> bytes:
    """The parameters of an archive as lines."""
    lines = [line for name, value in parameters.as_given().items() for line in lines_of(name, value)]
    return os.fsencode("\n".join(lines) + "\n")
