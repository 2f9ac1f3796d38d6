"""What the user asks of ``ff-stress``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from midas.runtime.options import FLAG, NUMBERS, PATH, TEXT, Kind, option

#: words of a list
_WORDS = Kind(str, lambda words: tuple(words or ()), in_python="")
STRAINS = ("spots", "cell")
CORRECTIONS = ("no", "scale", "axes")


@dataclass(frozen=True)
class StressOptions:
    """The crystal, the load, and what is to be written."""

    material: str = option(
        "-material", TEXT, "", "a material of the table (Ni, copper, Ti, ruby ...) or a file of elastic constants"
    )
    stiffness: tuple[str, ...] = option(
        "-stiffness",
        _WORDS,
        (),
        "elastic constants, GPa: C11=250.8 C12=150 C44=123.5, or the 21 of the upper triangle or all 36 of a full "
        "matrix, row by row (Voigt)",
        count="+",
    )
    axes: tuple[str, ...] = option(
        "-axes",
        _WORDS,
        (),
        "frame of the constants: a Cartesian axis and the direction along it, twice; by default x a z c of hexagonal "
        "axes, else x a* z c",
        count=4,
    )
    strain: str = option(
        "-strain", TEXT, "spots", "strain tensor: from the spacings of the spots or from the cell", choices=STRAINS
    )
    slip: tuple[str, ...] = option(
        "-slip",
        _WORDS,
        (),
        "slip families: fcc, bcc, hcp, basal ..., or the indices of a plane and a direction in quotes; by default "
        "those of the material",
        count="+",
    )
    load: tuple[float, ...] | None = option(
        "-load", NUMBERS, None, "direction of uniaxial load in the sample, for Schmid factors and -applied", count=3
    )
    applied: tuple[float, ...] | None = option(
        "-applied",
        NUMBERS,
        None,
        "known macroscopic stress, MPa: 0 without load, one number along -load, or six: 11 22 33 23 13 12",
        count="+",
    )
    correct: str = option(
        "-correct",
        TEXT,
        "no",
        "change the reference cell so that the average stress is -applied: as a whole (scale) or axis by axis (axes)",
        choices=CORRECTIONS,
    )
    all_systems: bool = option("-allSystems", FLAG, False, "1: a column of resolved shear for every slip system")
    output: Path | None = option("-o", PATH, None, "the table; by default Stress.csv in the layer folder")
