"""The panel-shift file of a segmented detector: ``id dY dZ [dTheta [dLsd [dP2]]]`` (docs/theory/geometry.md#panels)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from midas.formats.table import LARGEST, refuse_nul
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes


def read_shifts(path: str | os.PathLike[str]) -> dict[int, tuple[float, float, float]]:
    """Shift in y and z (px) and rotation (degrees) of each panel that the file names; the last line of a panel wins."""
    shifts = {}
    content = read_bytes(path)
    refuse_nul(content, path)
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            panel, (y, z, *rest) = int(words[0]), map(float, words[1:4])
        except ValueError:
            raise FormatError("must hold the panel's number, dY and dZ", file=path, line=number) from None
        shifts[panel] = (y, z, rest[0] if rest else 0.0)
        if not all(abs(x) < LARGEST for x in shifts[panel]):
            raise FormatError("must hold finite numbers", file=path, line=number)
    if not shifts:
        raise FormatError("names no panel", file=path)
    return shifts


def shifts_text(shifts: Sequence[Sequence[float]]) -> str:
    """The file of the shifts of all panels, in order; the last two columns are 0, since nothing applies them."""
    rows = (f"{number} " + " ".join(f"{x:.10f}" for x in (*shift, 0.0, 0.0)) for number, shift in enumerate(shifts))
    return "\n".join(["# ID dY dZ dTheta dLsd dP2", *rows, ""])
