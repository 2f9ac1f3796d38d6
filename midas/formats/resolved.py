"""Who owns which spot, how good the grains are, and what became of every seed (docs/theory/resolving.md#outputs)."""

from __future__ import annotations

import os

import numpy as np

from midas.formats.table import Layout, Table, fixed, integer
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes


def _layout(integers: str, *more: str, whole: str = "", free: tuple[str, ...] = ()) -> Layout:
    """Tab-separated columns, whole numbers first; those of `more` are real unless they are among `whole`."""
    names = [*integers.split(), *" ".join(more).split()]
    integral = {*integers.split(), *whole.split()}
    return Layout(
        header="%" + "\t".join(names),
        columns=tuple(integer(name) if name in integral else fixed(name)[0] for name in names),
        separator="\t",
        free=free,
        written_by="ff-grains",
    )


#: ``SpotOwners.csv``: a line a spot; 0 and nan where there is no grain
SPOT_OWNERS = _layout(
    "SpotID RingNr GrainID h k l Branch",
    "Distance SecondGrainID SecondDistance Shared",
    whole="SecondGrainID Shared",
    free=("Distance", "SecondDistance"),
)

#: ``GrainQuality.csv``: a line a grain; nan for what is not known
GRAIN_QUALITY = _layout(
    "GrainID FamilyID nPredicted nOwned nShared nUnique",
    "SharpCompleteness UniqueCompleteness Significance nMembers nFragments nSaturated nMeasured",
    "Spread FWHM1 FWHM2 FWHM3 SigmaPos SigmaAngle SigmaCell Flags",
    whole="nMembers nFragments nSaturated nMeasured Flags",
    free=("Spread", "FWHM1", "FWHM2", "FWHM3", "SigmaPos", "SigmaAngle", "SigmaCell"),
)

#: what became of a seed; the place is the number in memory and in the HDF5 file
VERDICTS = ("crystal", "duplicate", "fragment", "ghost", "unsupported", "explained", "unsolved")

#: ``SeedVerdicts.csv``: a line a row of SpotsToIndex.csv, with the verdict as a word
SEED_VERDICTS = _layout("Row SpotID Verdict GrainID nPredicted nSharp nUnique", "Significance", free=("Significance",))


def format_verdicts(verdicts: Table) -> bytes:
    """Content of ``SeedVerdicts.csv``."""
    columns = [verdicts[name] for name in SEED_VERDICTS.names]
    lines = [SEED_VERDICTS.header]
    for row, seed, verdict, *counts, significance in zip(*(column.tolist() for column in columns), strict=True):
        numbers = "\t".join(str(int(count)) for count in counts)
        lines.append(f"{int(row)}\t{int(seed)}\t{VERDICTS[int(verdict)]}\t{numbers}\t{significance:.6f}")
    return ("\n".join(lines) + "\n").encode()


def read_verdicts(path: str | os.PathLike[str]) -> Table:
    """Read ``SeedVerdicts.csv``; the verdicts as their numbers."""
    numbers = {word.encode(): str(number).encode() for number, word in enumerate(VERDICTS)}
    lines = read_bytes(path, advice="run ff-grains first").split(b"\n")
    for number, line in enumerate(lines[1:], 1):
        words = line.split(b"\t")
        if len(words) < 3:
            continue
        if words[2] not in numbers:
            raise FormatError(f"must be one of {', '.join(VERDICTS)}", file=path, line=number + 1, key="Verdict")
        words[2] = numbers[words[2]]
        lines[number] = b"\t".join(words)
    return SEED_VERDICTS.parse(b"\n".join(lines), path)


def no_number(rows: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A column of which nothing is known."""
    return np.full(rows, np.nan)
