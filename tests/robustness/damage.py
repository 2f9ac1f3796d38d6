"""Ways to damage a file, and which of them make sense for which file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .harness import PARAMETERS


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _header_only(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: header_lines(path)]))


def _truncated(path: Path) -> None:
    content = path.read_bytes()
    end = len(content) // 2 | 1
    if path.suffix == ".txt":
        end = content.index(b"Wavelength") + len(b"Wavelength")
    elif path.suffix == ".csv":
        line = content.rfind(b"\n", 0, end)
        end = line + 1 + (content.find(b"\n", end) - line) // 3
    path.write_bytes(content[:end])


def _word(path: Path) -> None:
    _replace_number(path, b"zero")


def _nan(path: Path) -> None:
    _replace_number(path, b"nan")


def _infinite(path: Path) -> None:
    _replace_number(path, b"1e400")


def _huge(path: Path) -> None:
    _replace_number(path, b"1e30")


def _replace_number(path: Path, word: bytes) -> None:
    """In the middle line, the second number, or the only one."""
    lines = path.read_bytes().splitlines(keepends=True)
    head = header_lines(path)
    row = head + (len(lines) - head) // 2
    if path.suffix == ".txt":
        row = next(i for i, line in enumerate(lines) if line.startswith((b"Lsd ", b"Distance ")))
    words = lines[row].split()
    words[min(1, len(words) - 1)] = word
    lines[row] = b" ".join(words) + b"\n"
    path.write_bytes(b"".join(lines))


def _blank_lines(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    head = header_lines(path)
    path.write_bytes(b"".join([*lines[:head], lines[head], b"\n", b"  \t\r\n", *lines[head + 1 :], b"\n\n"]))


def _blank_end(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n  \n")


def _carriage_returns(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def _random(path: Path) -> None:
    path.write_bytes(np.random.default_rng(5).bytes(3001))


def _nan_records(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:1600] = np.full(200, np.nan).tobytes()[: len(content[:1600])]
    path.write_bytes(content)


def _negative_records(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:1600] = b"\xff" * len(content[:1600])
    path.write_bytes(content)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


Damage = Callable[[Path], None]

ANY_DAMAGE: Mapping[str, Damage] = {
    "missing": _remove,
    "empty": _empty,
    "truncated": _truncated,
    "random": _random,
    "a folder": _folder,
}
TEXT_DAMAGE: Mapping[str, Damage] = {
    "header only": _header_only,
    "word": _word,
    "nan": _nan,
    "infinite": _infinite,
    "huge": _huge,
}
BINARY_DAMAGE: Mapping[str, Damage] = {"nan records": _nan_records, "negative records": _negative_records}

#: what may happen to a text file on its way through editors and other systems
HARMLESS: Mapping[str, Damage] = {"blank lines": _blank_lines, "blank end": _blank_end, "CRLF": _carriage_returns}


def is_text(path: Path) -> bool:
    return path.suffix in (".csv", ".txt")


def header_lines(path: Path) -> int:
    """Header lines of a table of this layer folder."""
    if path.name in ("SpotsToIndex.csv", "IDsHash.csv", "InputAllNoHeader.csv", PARAMETERS, "paramstest.txt"):
        return 0
    if path.name == "shifts.csv":
        return 0
    return 9 if path.name in ("Grains.csv", "GrainsSim.csv") else 1


def damages(name: str) -> Mapping[str, Damage]:
    """The damages that make sense for a file."""
    if name.endswith(".txt"):  # any finite number may be meant
        return {kind: damage for kind, damage in {**ANY_DAMAGE, **TEXT_DAMAGE}.items() if kind != "huge"}
    if name.endswith(".csv"):
        return {**ANY_DAMAGE, **TEXT_DAMAGE}
    if name == "BigDetectorMask.bin":  # any bits are a mask
        return {kind: ANY_DAMAGE[kind] for kind in ("missing", "empty", "truncated", "random", "a folder")}
    return ANY_DAMAGE if name.endswith((".zip", ".h5", ".npz", ".tif")) else {**ANY_DAMAGE, **BINARY_DAMAGE}
