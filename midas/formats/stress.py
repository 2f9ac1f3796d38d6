"""``Stress.csv``: the stress of every grain (docs/theory/stress.md#table)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from midas.formats.table import Layout, Table, fixed, integer
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes, write_atomic

_SIX = ("11", "22", "33", "23", "13", "12")
#: stress in the frame of the sample and in that of the crystal, and their standard deviations, MPa
SAMPLE, CRYSTAL = tuple(f"S{ij}" for ij in _SIX), tuple(f"SC{ij}" for ij in _SIX)
SAMPLE_SIGMA, CRYSTAL_SIGMA = tuple(f"s{name}" for name in SAMPLE), tuple(f"s{name}" for name in CRYSTAL)
#: columns of every such file
NAMES = (
    *("GrainID", "GrainRadius", *SAMPLE, *CRYSTAL, "Hydrostatic", "VonMises"),
    *("MaxShear", "System", "GeneralSchmid", "Schmid"),
    *(*SAMPLE_SIGMA, *CRYSTAL_SIGMA, "sHydrostatic", "sVonMises", "sMaxShear"),
)
#: columns of single families and systems begin with these
FAMILY, SYSTEM = "Shear_", "Tau_"
_WHOLE = ("GrainID", "System")


@dataclass(frozen=True)
class StressFile:
    """What ``Stress.csv`` holds.

    Parameters
    ----------
    table : `NAMES`, then a column for each slip family and, if they were asked for, each system
    notes : what stands above the table, by its key: material, strain, cell, average ...
    systems : the slip systems that the column System counts from 1: family, plane, direction; 0 is none
    """

    table: Table
    notes: Mapping[str, str]
    systems: tuple[str, ...] = ()

    def format(self, head: Sequence[str] = ()) -> bytes:
        """Content of the file; `head` are lines that begin with ``#`` and say where it comes from."""
        lines = [*head, *(f"# {key}: {text}" for key, text in self.notes.items())]
        lines += [f"# system {number}: {text}" for number, text in enumerate(self.systems, 1)]
        lines.append("\t".join(self.table.names))
        whole = [name in _WHOLE for name in self.table.names]
        for row in self.table.columns.T.tolist():
            lines.append("\t".join(str(int(x)) if w else f"{x:.6g}" for x, w in zip(row, whole, strict=True)))
        return ("\n".join(lines) + "\n").encode()

    def write(self, path: str | os.PathLike[str], head: Sequence[str] = ()) -> None:
        """Write the file, complete or not at all."""
        write_atomic(path, self.format(head))


def read_stress(path: str | os.PathLike[str]) -> StressFile:
    """Read ``Stress.csv``.

    Raises
    ------
    FormatError : it does not have the columns that it must have
    """
    content = read_bytes(path, advice="run ff-stress first")
    notes: dict[str, str] = {}
    systems: list[str] = []
    lines = content.decode("utf-8", "replace").split("\n")
    for number, line in enumerate(lines):
        if line.startswith("#"):
            key, colon, text = line[1:].strip().partition(": ")
            if key.startswith("system "):
                systems.append(text)
            elif colon:
                notes.setdefault(key, text)
            continue
        names = tuple(line.split("\t"))
        if names[: len(NAMES)] != NAMES:
            raise FormatError("must name the columns of Stress.csv; run ff-stress again", file=path, line=number + 1)
        if not all(name.split() for name in names):
            raise FormatError("has a column without a name; run ff-stress again", file=path, line=number + 1)
        layout = Layout(
            header="\n" * number + line,
            columns=tuple(integer(name) if name in _WHOLE else fixed(name)[0] for name in names),
            separator="\t",
            free=tuple(name for name in names if name not in _WHOLE),
            written_by="ff-stress",
        )
        return StressFile(layout.parse(content, path), notes, tuple(systems))
    raise FormatError("is empty", file=path)
