"""Exact spots: every reflection of every crystal, at the angles at which the turning sample fulfils Bragg's law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .crystals import Crystal
from .instrument import Instrument
from .rotations import X_AXIS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spots:
    """Diffracted beams, one entry each.

    Parameters
    ----------
    crystal, reflection : rows of the crystals and of the Miller indices
    branch : +1 for beams to the left (positive y), -1 to the right
    strength : of the crystal
    omega : angle of the rotation, degrees in -180 ... 180
    eta, two_theta : of the beam's direction, degrees; eta is 0 upwards and grows to the right
    y_plane, z_plane : where it passes the plane across the primary beam at the detector's distance, µm
    y_px, z_px : the pixel that sees it
    """

    crystal: NDArray[np.intp]
    reflection: NDArray[np.intp]
    branch: Array
    strength: Array
    omega: Array
    eta: Array
    two_theta: Array
    y_plane: Array
    z_plane: Array
    y_px: Array
    z_px: Array

    def __len__(self) -> int:
        return len(self.omega)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Spots:
        """Some of them."""
        return Spots(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Spots]) -> Spots:
        """All of several lists, one after the other."""
        return cls(**{c.name: np.concatenate([getattr(part, c.name) for part in parts]) for c in fields(cls)})


def firing_angles(vectors: Array, axis: Array, wavelength: float) -> tuple[Array, Array]:
    """Angles by which vectors must turn about an axis to scatter a beam along x.

    A turning vector g has the x component ``middle + reach cos(angle - phase)``; Bragg's law asks for
    ``-wavelength g² / 2``.

    Parameters
    ----------
    vectors : (n, 3) at angle 0, laboratory, 1/Å
    axis : (3,) unit vector
    wavelength : Å

    Returns
    -------
    Two (n,) arrays of degrees in -180 ... 180, NaN where the vector never fires
    """
    along = vectors @ axis
    middle = along * axis[0]
    cosine_part = vectors[:, 0] - middle
    sine_part = np.cross(axis, vectors)[:, 0]
    wanted = -0.5 * wavelength * np.sum(vectors**2, axis=1) - middle
    reach = np.hypot(cosine_part, sine_part)
    phase = np.arctan2(sine_part, cosine_part)
    with np.errstate(invalid="ignore"):
        half = np.arctan2(np.sqrt((reach - wanted) * (reach + wanted)), wanted)

    def reduced(angle: Array) -> Array:
        return np.asarray(np.degrees(np.arctan2(np.sin(angle), np.cos(angle))), np.float64)

    return reduced(phase + half), reduced(phase - half)


def trace(crystals: Sequence[Crystal], hkl: Array, instrument: Instrument) -> Spots:
    """Every beam that the crystals send forwards, wherever the detector ends.

    Parameters
    ----------
    crystals : each a point and perfect; see `Crystal.pieces` for others
    hkl : (n, 3) Miller indices of the reflections
    instrument : the beam, the axis, the detector
    """
    return Spots.joined([_of_crystal(number, crystal, hkl, instrument) for number, crystal in enumerate(crystals)])


def _of_crystal(number: int, crystal: Crystal, hkl: Array, instrument: Instrument) -> Spots:
    vectors = crystal.scattering_vectors(hkl)
    mounted = vectors @ instrument.to_laboratory(np.array(0.0)).T
    both = np.concatenate(firing_angles(mounted, instrument.axis, instrument.wavelength))
    reflection = np.tile(np.arange(len(hkl)), 2)
    fires = np.isfinite(both)
    omega, reflection = both[fires], reflection[fires]
    turns = instrument.to_laboratory(omega)
    beam = X_AXIS / instrument.wavelength + np.einsum("nij,nj->ni", turns, vectors[reflection])
    forwards = beam[:, 0] > 0
    omega, reflection, turns, beam = omega[forwards], reflection[forwards], turns[forwards], beam[forwards]
    origin = turns @ crystal.position
    y_plane, z_plane = instrument.across_beam(origin, beam)
    y_px, z_px = instrument.pixels(origin, beam)
    return Spots(
        crystal=np.full(len(omega), number),
        reflection=reflection,
        branch=np.sign(beam[:, 1]),
        strength=np.full(len(omega), crystal.strength),
        omega=omega,
        eta=np.degrees(np.arctan2(-beam[:, 1], beam[:, 2])),
        two_theta=np.degrees(np.arctan2(np.hypot(beam[:, 1], beam[:, 2]), beam[:, 0])),
        y_plane=y_plane,
        z_plane=z_plane,
        y_px=y_px,
        z_px=z_px,
    )
