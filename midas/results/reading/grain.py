"""One grain, with what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from midas.results.reading import words
from midas.results.reading.arrays import Structured
from midas.runtime.errors import ParameterError

if TYPE_CHECKING:
    from midas.results.reading.results import Results
    from midas.results.stress import Stiffness

Floats = NDArray[np.float64]


class Grain:
    """A grain of `Results`.

    Parameters
    ----------
    results : to which it belongs
    row : its place in them, from 0
    """

    __slots__ = ("_results", "row")

    def __init__(self, results: Results, row: int):
        self._results, self.row = results, row

    def _field(self, name: str) -> Floats:
        value: Floats = self._results.grains[name][self.row]
        return value

    @property
    def id(self) -> int:
        """Its identity in the layer, by which ``results[id]`` finds it."""
        return int(self._field("grain_id"))

    @property
    def matrix(self) -> Floats:
        """(3, 3) orientation U: takes crystal directions (a* along x, c along z) to sample directions."""
        return self._field("orientation")

    @property
    def orientation(self) -> Rotation:
        """The same as a rotation of SciPy: ``orientation.apply(v)`` takes a crystal direction to the sample."""
        return Rotation.from_matrix(self.matrix)

    @property
    def position(self) -> Floats:
        """(3,) centre of mass in the sample, µm."""
        return self._field("position")

    @property
    def radius(self) -> float:
        """Of the sphere of its volume, µm."""
        return float(self._field("radius"))

    @property
    def completeness(self) -> float:
        """Part of the expected spots that was found."""
        return float(self._field("completeness"))

    @property
    def cell(self) -> Floats:
        """(6,) a, b, c (Å), alpha, beta, gamma (degrees) of the strained crystal."""
        return self._field("cell")

    @property
    def strain(self) -> Floats:
        """(3, 3) strain tensor from the spots, sample frame, 1e-6."""
        return self._field("strain")

    @property
    def spots(self) -> Structured:
        """Its spots, rows of `Results.spots`."""
        starts = self._results.spot_starts
        return self._results.spots[starts[self.row] : starts[self.row + 1]]

    def peaks(self, spot_id: int) -> Structured:
        """The peaks of the frames that one of its spots is made of, rows of `Results.peaks`.

        Raises
        ------
        KeyError : the grain has no such spot
        """
        if spot_id not in self.spots["spot_id"]:
            raise KeyError(f"grain {self.id} has no spot {spot_id}")
        return self._results.peaks_of(spot_id)

    @property
    def sigma(self) -> dict[str, float] | None:
        """How well its numbers are known, by the columns of ``GrainsSigma.csv``; None where nobody asked."""
        table = self._results.sigma
        return None if table is None else {name: float(table[name][self.row]) for name in table.names[1:]}

    def stress(self, stiffness: Stiffness | str | ArrayLike) -> Floats:
        """(3, 3) stress tensor of its strain, sample frame, MPa.

        Parameters
        ----------
        stiffness : of the crystal: a `Stiffness`, the name of a material of its table, or (6, 6) numbers in GPa,
            crystal frame (a* along x, c along z), Voigt's notation, order 11 22 33 23 13 12

        Raises
        ------
        ParameterError : no such material, or a matrix that no crystal can have
        """
        from midas.results.stress import Stiffness
        from midas.results.stress.tensors import stiffness_to_mandel

        if isinstance(stiffness, str):
            found = Stiffness.of_material(stiffness, self._results.space_group, self._results.cell)
        elif isinstance(stiffness, Stiffness):
            found = stiffness
        else:
            matrix = np.asarray(stiffness, np.float64)
            if matrix.shape != (6, 6):
                raise ParameterError("must be 6 x 6 numbers, GPa", key="stiffness")
            found = Stiffness(stiffness_to_mandel(matrix))
        return found.stress(self.strain, self.matrix)

    def __repr__(self) -> str:
        x, y, z = self.position
        return (
            f"<Grain {self.id}: ({x:.1f}, {y:.1f}, {z:.1f}) um, radius {self.radius:.1f} um, "
            f"completeness {self.completeness:.3f}>"
        )

    def _repr_html_(self) -> str:
        return words.of_grain(self)
