"""Kinds of lattices times ways to measure: a few grains of each, as a table of the referee's spots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from independent.referee.crystals import Condition, axes_of, face_centred, primitive, reflections_of
from independent.referee.frames import Scan
from independent.referee.instrument import Instrument

from crystal_sets import analysis
from crystal_sets.grains import scattered
from crystal_sets.listing import Array, Bench, Blur
from crystal_sets.scoring import Limits, Score, score
from midas.formats.simulated import GrainList
from midas.parameters.table import Value
from midas.simulation import samples

GRAINS = 8
#: reflections that are recorded: so many or, since a ring is recorded whole, a few more
_REFLECTIONS = 70
#: rings closer than this (relative) are one for the detector
_APART = 1e-4

Point = tuple[float, float, float]


def body_centred(hkl: Array) -> np.ndarray:
    """An even sum."""
    return np.asarray(hkl.sum(axis=1) % 2 == 0, np.bool_)


def obverse(hkl: Array) -> np.ndarray:
    """Rhombohedral on hexagonal axes: -h + k + l a multiple of three."""
    return np.asarray((-hkl[:, 0] + hkl[:, 1] + hkl[:, 2]) % 3 == 0, np.bool_)


_FACES: tuple[Point, ...] = ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
_OBVERSE: tuple[Point, ...] = ((2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3))


@dataclass(frozen=True)
class Lattice:
    """A kind of crystal.

    Parameters
    ----------
    space_group, cell : of the crystal
    present : which reflections there are
    centring : lattice points inside the cell
    nearly : a cell of higher symmetry that this one is close to; None: none
    """

    space_group: int
    cell: tuple[float, ...]
    present: Condition = primitive
    centring: Sequence[Point] = ()
    nearly: tuple[float, ...] | None = None

    def smallest_spacing(self) -> float:
        """Of the last ring, and a little less (Å)."""
        spacings = self.spacings(1.0)
        return float(np.sort(spacings)[::-1][: _REFLECTIONS + 1][-1]) * (1 - 2e-3)

    def spacings(self, smallest: float) -> Array:
        """(n,) lattice spacing of each reflection, Å."""
        hkl = reflections_of(self.cell, smallest, self.present)
        spacings: Array = 1 / np.linalg.norm(hkl @ np.linalg.inv(axes_of(self.cell)), axis=1)
        return spacings

    def rings(self) -> tuple[int, int]:
        """How many rings there are, and the number of the one with most reflections, the first of equals."""
        spacings = np.sort(self.spacings(self.smallest_spacing()))[::-1]
        ring = np.cumsum(np.diff(spacings, prepend=np.inf) < -_APART)
        counts = np.bincount(ring)[1:]
        return len(counts), int(np.argmax(counts)) + 1


LATTICES: dict[str, Lattice] = {
    "cubic P": Lattice(221, (4.12, 4.12, 4.12, 90, 90, 90)),
    "cubic F": Lattice(225, (3.524, 3.524, 3.524, 90, 90, 90), face_centred, _FACES),
    "cubic I": Lattice(229, (2.866, 2.866, 2.866, 90, 90, 90), body_centred, ((0.5, 0.5, 0.5),)),
    "hexagonal": Lattice(191, (2.9505, 2.9505, 4.6826, 90, 90, 120)),
    "trigonal P": Lattice(164, (3.59, 3.59, 4.91, 90, 90, 120)),
    "trigonal R": Lattice(166, (4.7592, 4.7592, 12.9927, 90, 90, 120), obverse, _OBVERSE),
    "tetragonal": Lattice(123, (3.2, 3.2, 4.9, 90, 90, 90)),
    "orthorhombic": Lattice(47, (3.2, 4.1, 5.3, 90, 90, 90)),
    "monoclinic": Lattice(10, (3.4, 4.6, 5.2, 90, 105, 90)),
    "triclinic": Lattice(2, (3.6, 4.4, 5.1, 82, 97, 104)),
    "c/a 1.01": Lattice(123, (4.0, 4.0, 4.04, 90, 90, 90), nearly=(4.0, 4.0, 4.0, 90, 90, 90)),
    "beta 90.2": Lattice(10, (3.5, 4.3, 5.1, 90, 90.2, 90), nearly=(3.5, 4.3, 5.1, 90, 90, 90)),
    "b/a 1.005": Lattice(47, (4.0, 4.02, 5.2, 90, 90, 90), nearly=(4.0, 4.0, 5.2, 90, 90, 90)),
    "alpha 90.3": Lattice(166, (3.95, 3.95, 3.95, 90.3, 90.3, 90.3), nearly=(3.95, 3.95, 3.95, 90, 90, 90)),
}

_PLAIN = Bench(
    Instrument(beam_centre=(512.0, 512.0), px=200.0, shape=(1024, 1024), rho_d=102400.0),
    Scan(-180.0, 0.5, 720),
    (),
    1.0,
)


def _at(**changes: object) -> Bench:
    return replace(_PLAIN, instrument=replace(_PLAIN.instrument, **changes))


MEASUREMENTS: dict[str, Bench] = {
    "plain": _PLAIN,
    "wedge 0.5": _at(wedge=0.5),
    "tilts 3 5 -6": _at(tilts=(3.0, 5.0, -6.0)),
    "half turn": replace(_PLAIN, scan=Scan(-90.0, 0.5, 360)),
    "off-centre": _at(beam_centre=(420.0, 250.0), shape=(600, 1000)),
}


@dataclass(frozen=True)
class Cell:
    """What came of one lattice in one measurement.

    Parameters
    ----------
    strict : judged by the symmetry of the lattice
    loose : by that of the cell that it nearly is; the same where there is none
    """

    strict: Score
    loose: Score

    @property
    def right(self) -> bool:
        """All found, nothing else."""
        return self.strict.found == self.strict.true and self.strict.copies + self.strict.ghosts == 0

    def __str__(self) -> str:
        surplus = self.loose.copies + self.loose.ghosts
        turned = self.loose.found - self.strict.found
        return f"{self.loose.found}" + (f"+{surplus}" if surplus else "") + (f" ({turned} turned)" if turned else "")


def parameters_of(lattice: Lattice, bench: Bench) -> dict[str, Value]:
    """The parameter file, as far as it differs from that of all samples."""
    instrument, scan = bench.instrument, bench.scan
    rings, seeds = lattice.rings()
    return {
        "Lsd": instrument.lsd,
        "BC": instrument.beam_centre,
        "px": instrument.px,
        "NrPixels": None,
        "NrPixelsY": instrument.shape[1],
        "NrPixelsZ": instrument.shape[0],
        **dict(zip(("tx", "ty", "tz"), instrument.tilts, strict=True)),
        "Wedge": instrument.wedge,
        "OmegaStart": scan.start,
        "OmegaEnd": scan.end,
        "OmegaStep": scan.step,
        "OmegaRange": None,
        "BoxSize": None,
        "RingThresh": [(ring, 10) for ring in range(1, rings + 1)],
        "OverAllRingToIndex": seeds,
        "Width": 800,
        "WriteLegacyBins": 0,
    }


def measure(
    lattice: Lattice,
    bench: Bench,
    folder: Path,
    *,
    draw: Callable[[], GrainList] | None = None,
    threads: int = 1,
    **keys: Value,
) -> Cell:
    """Grains of a lattice through a measurement and the pipeline; keywords are keys of the parameter file."""
    draw = draw or (lambda: scattered(31, GRAINS, lattice.cell, radius=200, height=60))
    bench = replace(bench, cell=lattice.cell, smallest_spacing=lattice.smallest_spacing(), present=lattice.present)
    values = {**parameters_of(lattice, bench), **keys}
    parameter_file = samples.write_sample(samples.Sample("", lattice.space_group, lattice.cell, draw, values), folder)
    shape = (bench.scan.frames, *bench.instrument.shape)
    archive = analysis.empty_archive(folder / "sim.MIDAS.zip", parameter_file, shape)
    spots = bench.table([bench.spots(draw(), Blur())])
    layer, _ = analysis.from_spots(parameter_file, archive, spots, threads=threads)
    found, limits = analysis.grains_of(layer), Limits()
    strict = score(draw(), found, lattice.cell, limits=limits, centring=lattice.centring)
    if lattice.nearly is None:
        return Cell(strict, strict)
    return Cell(strict, score(draw(), found, lattice.nearly, limits=limits, centring=lattice.centring))
