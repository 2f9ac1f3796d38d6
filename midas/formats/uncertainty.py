"""``GrainsSigma.csv``: how well the numbers of every grain are known (docs/theory/uncertainty.md#table)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.formats.table import Layout, Table, fixed, integer, whole
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

Array = NDArray[np.float64]

POSITION, ROTATION, STRAIN = ("X", "Y", "Z"), ("Rx", "Ry", "Rz"), ("E11", "E22", "E33", "E23", "E13", "E12")
CELL = ("a", "b", "c", "alpha", "beta", "gamma")
#: the numbers of a grain in the order of its covariance, and their units
NUMBERS = (*POSITION, *ROTATION, *STRAIN)
UNITS = ("um",) * 3 + ("degrees",) * 3 + ("1e-6",) * 6
#: columns of the file after the id
SIGMA_NAMES = (
    *(f"s{name}" for name in (*POSITION, *ROTATION, *CELL, "E11", "E12", "E13", "E22", "E23", "E33")),
    *(f"a{name}" for name in (*POSITION, "E11", "E22", "E33")),
    *("NrSpots", "NrUsed", "Chi2", "Flag"),
)
_WHOLE = ("NrSpots", "NrUsed", "Flag")
#: values of the column Flag
GOOD, COPY, FEW_SPOTS, POOR_FIT, SINGULAR = range(5)
#: what stands in the header where no geometry was refined
NO_GEOMETRY = "-"

_LAYOUT = Layout(
    header="\n" * 8 + "%GrainID\t" + "\t".join(SIGMA_NAMES),
    columns=(
        integer("GrainID"),
        *(integer(name) if name in _WHOLE else fixed(name)[0] for name in SIGMA_NAMES),
    ),
    separator="\t",
    free=tuple(name for name in SIGMA_NAMES if name not in _WHOLE),
    written_by="ff-grains",
)


@dataclass(frozen=True)
class NoiseClass:
    """Spots of one kind, and how far they scatter about the predictions of their grains.

    Parameters
    ----------
    name : ``ring2``, ``single`` (one frame), ``several`` (frames), or ``other`` for small classes together
    sigma : µm, or degrees
    count : of spots
    """

    name: str
    sigma: float
    count: int


@dataclass(frozen=True)
class GrainSigmas:
    """What is known of the uncertainty of the grains of a layer.

    Parameters
    ----------
    table : the columns of ``GrainsSigma.csv``: `GrainID` and `SIGMA_NAMES`
    covariance : (n, 12, 12) float64 of `NUMBERS`, in `UNITS`, sample frame; NaN of a grain that its spots do not
        determine
    honesty : factors of position, orientation and strain by which halves of the spots differ more than they should; 1
        and more are in all sigmas
    radial, tangential, omega : the noise of each class of spots
    wedge_model : `WedgeModel`
    trust, z0 : conventions of the refined geometry, `NO_GEOMETRY` without one
    parameters : names of the instrument's numbers that were refined
    response : (n, 12, m) change of the numbers of every grain with these; None without a refined geometry
    """

    table: Table
    covariance: Array
    honesty: tuple[float, float, float]
    radial: tuple[NoiseClass, ...]
    tangential: tuple[NoiseClass, ...]
    omega: tuple[NoiseClass, ...]
    wedge_model: str
    trust: str = NO_GEOMETRY
    z0: str = NO_GEOMETRY
    parameters: tuple[str, ...] = ()
    response: Array | None = None

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, name: str) -> Array:
        """A column of ``GrainsSigma.csv``."""
        return self.table[name]

    def rounded(self, content: bytes | None = None) -> GrainSigmas:
        """The same with the table as it reads back from its file, of which `content` may be at hand."""
        return replace(self, table=_LAYOUT.parse(self.format() if content is None else content, "GrainsSigma.csv"))

    def format(self) -> bytes:
        """Content of ``GrainsSigma.csv``."""
        position, orientation, strain = self.honesty
        lines = [
            f"%NumGrains {len(self)}",
            f"%TrustLattice {self.trust}",
            f"%Z0 {self.z0}",
            f"%WedgeModel {self.wedge_model}",
            f"%Honesty position {position:.6g} orientation {orientation:.6g} strain {strain:.6g}",
            f"%Radial um{_classes(self.radial)}",
            f"%Tangential um{_classes(self.tangential)}",
            f"%Omega degrees{_classes(self.omega)}",
            _LAYOUT.header.lstrip(),
        ]
        columns = [self.table[name].tolist() for name in _LAYOUT.names]
        whole = [column.decimals < 0 for column in _LAYOUT.columns]
        for row in zip(*columns, strict=True):
            lines.append("\t".join(_text(value, is_whole) for value, is_whole in zip(row, whole, strict=True)))
        return ("\n".join(lines) + "\n").encode()


def _classes(classes: tuple[NoiseClass, ...]) -> str:
    return "".join(f" {one.name} {one.sigma:.6g} ({one.count})" for one in classes)


def _text(value: float, whole: bool) -> str:
    return str(int(value)) if whole else f"{value:.6g}"


def sigma_table(ids: Array, values: Array) -> Table:
    """The table of ``GrainsSigma.csv``.

    Parameters
    ----------
    ids : (n,) of the grains
    values : (n, 28) float64, the columns of `SIGMA_NAMES`
    """
    return Table(_LAYOUT.names, np.concatenate([ids[:, None], values], axis=1).T)


def read_sigma(path: str | os.PathLike[str]) -> Table:
    """Read ``GrainsSigma.csv``: `GrainID` and `SIGMA_NAMES`.

    Raises
    ------
    FormatError
        when the first line does not announce the number of grains that follows
    """
    content = read_bytes(path, advice="run ff-grains first")
    words = content[: content.find(b"\n") + 1].split()
    announced = whole(words[1]) if len(words) > 1 and words[0] == b"%NumGrains" else None
    if announced is None:
        raise FormatError("must be '%NumGrains <number>', the start of GrainsSigma.csv", file=path, line=1)
    table = _LAYOUT.parse(content, path)
    if len(table) != announced:
        reason = f"announces {announced} grains, but {len(table)} follow; run ff-grains again"
        raise FormatError(reason, file=path, line=1)
    return table
