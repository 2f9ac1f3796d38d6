"""``Tracks.csv``: the grains of a series of steps (docs/tracking.md#trackscsv)."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from midas.formats.table import Layout, Table, fixed, integer
from midas.runtime.files import read_bytes

#: components of symmetric tensors in the order of their columns, and where they are in the matrix
COMPONENTS = ("11", "22", "33", "12", "13", "23")
INDICES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))

POSITION, DISPLACEMENT, ROTATION = ("X", "Y", "Z"), ("dX", "dY", "dZ"), ("Rx", "Ry", "Rz")
ORIENTATION = tuple(f"O{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3))
STRAIN, STRESS = (tuple(f"{letter}{name}" for name in COMPONENTS) for letter in "ES")
SIGMA = ("sX", "sY", "sZ", "sRx", "sRy", "sRz", *(f"sE{name}" for name in COMPONENTS))
WHOLE = ("TrackID", "Step", "GrainID", "State")
NUMBERS = (
    *(*POSITION, *DISPLACEMENT, *ROTATION, *ORIENTATION, "Radius", "Completeness"),
    *(*STRAIN, *STRESS, *SIGMA, "Squares", "Margin"),
)

_LAYOUT = Layout(
    header="\t".join((*WHOLE, *NUMBERS)),
    columns=(*map(integer, WHOLE), *fixed(" ".join(NUMBERS))),
    separator="\t",
    free=NUMBERS,
    written_by="ff-track",
)
NAMES = _LAYOUT.names


def format_tracks(table: Table, head: Sequence[str] = ()) -> bytes:
    """Content of ``Tracks.csv``: lines that begin with ``#``, the names, a line for every grain and step."""
    columns = [[str(int(value)) for value in table[name].tolist()] for name in WHOLE]
    columns += [[_text(value) for value in table[name].tolist()] for name in NUMBERS]
    lines = [*head, _LAYOUT.header, *("\t".join(row) for row in zip(*columns, strict=True))]
    return "".join(f"{line}\n" for line in lines).encode()


def _text(value: float) -> str:
    return f"{value:.9g}" if np.isfinite(value) else str(value)


def read_tracks(path: str | os.PathLike[str]) -> Table:
    """Read ``Tracks.csv``."""
    content = read_bytes(path, advice="run ff-track first")
    start = 0
    while content[start : start + 1] == b"#":
        start = content.find(b"\n", start) + 1 or len(content)
    return _LAYOUT.parse(content[start:], path)
