"""What the spots of grains are off by: from their predictions, and from the lattice without strain.

See docs/theory/verdicts.md#residuals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.joint import Joint
from midas._ext.numerics.elementwise import arctan2, cos, hypot, sin
from midas.experiment.crystal import reciprocal_basis
from midas.experiment.detector import DetectorGeometry
from midas.experiment.instrument_numbers import numbers_of

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_NO_PANELS = np.empty((0, 2))


@dataclass(frozen=True)
class SpotPlaces:
    """Spots that belong to grains, grain after grain; each column has the shape (n,).

    Parameters
    ----------
    grain : row of the grain
    ring : number of the ring
    y_px, z_px, omega : as recorded, px and degrees
    """

    grain: Whole
    ring: Whole
    y_px: Floats
    z_px: Floats
    omega: Floats

    def __len__(self) -> int:
        return len(self.omega)

    def take(self, rows: NDArray[np.bool_]) -> SpotPlaces:
        """Some of them."""
        return SpotPlaces(self.grain[rows], self.ring[rows], self.y_px[rows], self.z_px[rows], self.omega[rows])


@dataclass(frozen=True)
class Grains:
    """What predicts the spots.

    Parameters
    ----------
    orientation : (g, 3, 3) U, crystal to sample
    cell : (g, 6) of the strained crystals, Å and degrees
    position : (g, 3) sample frame, µm
    reference : cell without strain
    """

    orientation: Floats
    cell: Floats
    position: Floats
    reference: tuple[float, ...]

    @property
    def ub(self) -> Floats:
        """(g, 3, 3) 1/Å."""
        basis = np.array([reciprocal_basis(cell) for cell in self.cell]).reshape(-1, 3, 3)
        ub: Floats = self.orientation @ basis
        return ub


@dataclass(frozen=True)
class SpotResiduals:
    """The spots whose reflections fire, and what each is off by.

    Parameters
    ----------
    spots : n of them
    rows : (n,) their rows among those that were given
    hkl : (n, 3) reflection
    eta, ring_radius : (n,) of the spot on the plane, degrees and µm
    radial, tangential : (n,) observed minus predicted, outwards and towards larger eta, µm
    omega : (n,) observed minus predicted, degrees
    spacing : (n,) lattice spacing over that of the reference cell, minus 1, in 10⁻⁶
    kernel : the spots as the joint fit takes them
    detector, grains : that predict them
    """

    spots: SpotPlaces
    rows: NDArray[np.intp]
    hkl: Floats
    eta: Floats
    ring_radius: Floats
    radial: Floats
    tangential: Floats
    omega: Floats
    spacing: Floats
    kernel: Joint
    detector: DetectorGeometry
    grains: Grains

    def __len__(self) -> int:
        return len(self.radial)


def spot_residuals(spots: SpotPlaces, grains: Grains, detector: DetectorGeometry) -> SpotResiduals:
    """Compare spots with what their grains predict.

    A spot belongs to the reflection that its scattering vector is nearest to; one whose reflection the grain cannot
    show is left out.

    Parameters
    ----------
    detector : with its wavelength
    """
    ub = grains.ub
    y, z = detector.plane(spots.y_px, spots.z_px)
    g = detector.g_vectors(spots.y_px, spots.z_px, spots.omega, grains.position[spots.grain])
    hkl = np.rint(np.einsum("nij,nj->ni", np.linalg.inv(ub)[spots.grain], g)) if len(spots) else np.empty((0, 3))
    turn = np.radians(spots.omega)
    x_grain, y_grain = grains.position[spots.grain, 0], grains.position[spots.grain, 1]
    branch = np.where(y - x_grain * sin(turn) - y_grain * cos(turn) >= 0, 1.0, -1.0)
    kernel = _kernel(spots, hkl, branch, y, z, len(ub))
    residual = kernel.residuals(numbers_of(detector)[None], _NO_PANELS, *_states(ub, grains.position))
    good = np.isfinite(residual.sum(axis=0)) & (hkl != 0).any(axis=1)
    if not good.all():
        kernel = _kernel(spots.take(good), hkl[good], branch[good], y[good], z[good], len(ub))
    length = np.linalg.norm(hkl[good] @ reciprocal_basis(grains.reference).T, axis=1)
    return SpotResiduals(
        spots=spots.take(good),
        rows=np.flatnonzero(good),
        hkl=hkl[good],
        eta=np.degrees(arctan2(-y[good], z[good])),
        ring_radius=hypot(y[good], z[good]),
        radial=residual[0, good],
        tangential=residual[1, good],
        omega=residual[2, good],
        spacing=1e6 * (length / np.linalg.norm(g[good], axis=1) - 1),
        kernel=kernel,
        detector=detector,
        grains=grains,
    )


def _states(ub: Floats, position: Floats) -> tuple[Floats, Floats]:
    return np.ascontiguousarray(ub.reshape(-1, 9)), np.ascontiguousarray(position, np.float64)


def _kernel(spots: SpotPlaces, hkl: Floats, branch: Floats, y: Floats, z: Floats, grains: int) -> Joint:
    plane, radius = np.stack([y, z]), hypot(y, z)
    n = len(spots)
    return Joint(
        np.searchsorted(spots.grain, np.arange(grains + 1)).astype(np.int64),
        np.stack([spots.y_px, spots.z_px]).astype(np.float64),
        np.ascontiguousarray(spots.omega, np.float64),
        np.ascontiguousarray(hkl.T),
        np.ascontiguousarray(branch),
        plane / np.where(radius > 0, radius, np.nan),
        np.zeros(n, np.int32),
        np.full(n, -1, np.int32),
    )
