"""What the refinement of all seeds of a run shares, in groups: the arguments of `midas._ext.refine.refiner.Refiner`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: all variables together, one group after the other, or the cell alone with position and orientation kept
Method = Literal["joint", "staged", "cell"]
#: the robust loss, the same with an epsilon of 0.01, or the legacy minimiser (not for "joint")
Solver = Literal["robust", "converged", "simplex"]


@dataclass(frozen=True)
class Instrument:
    """Sample to detector (µm), wavelength (Å), angle of the wedge (degrees).

    `exact_wedge`: spots turn with the leaning axis; else the wedge moves omega only. `tilts`: of the detector about x,
    y and z, degrees; zeros where beams from beside the origin are not to know of them.
    """

    lsd: float
    wavelength: float
    wedge: float = 0.0
    exact_wedge: bool = True
    tilts: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Reflections:
    """The reflections in use, ring by ring.

    Parameters
    ----------
    hkl : (3, n) float64 Miller indices
    first : (g + 1,) int32, first reflection of each ring, and n
    """

    hkl: NDArray[np.float64]
    first: NDArray[np.int32]


@dataclass(frozen=True)
class RecordedSpots:
    """The spots of a scan as recorded; the spot with the id i + 1 is entry i.

    Parameters
    ----------
    y_plane, z_plane : (s,) float64, tilt and distortion removed, µm
    omega_recorded : (s,) float64, degrees
    group : (s,) int32, ring of each spot as a group of `Reflections.first`; -1 for a ring that is not used
    certainty : (s,) float64, factor on the distances on the detector in the robust loss; None = 1
    """

    y_plane: NDArray[np.float64]
    z_plane: NDArray[np.float64]
    omega_recorded: NDArray[np.float64]
    group: NDArray[np.int32]
    certainty: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Bounds:
    """How far a grain may be from the nominal cell and from the middle of the sample.

    Parameters
    ----------
    cell : (6,) float64, the nominal cell in Å and degrees
    margin_lengths, margin_angles : largest relative change of a, b, c and of alpha, beta, gamma
    r_sample, h_beam : the sample is |x|, |y| <= r_sample, |z| <= h_beam/2, µm
    """

    cell: NDArray[np.float64]
    margin_lengths: float
    margin_angles: float
    r_sample: float
    h_beam: float


@dataclass(frozen=True)
class Recipe:
    """How a grain is fitted.

    Parameters
    ----------
    sigma_spot, sigma_omega : scales of the robust loss, µm and degrees
    method, solver : what is fitted in which order, and by what
    """

    sigma_spot: float
    sigma_omega: float
    method: Method = "joint"
    solver: Solver = "robust"
