"""Spots of grains with known truth, from the referee's ray tracer: what joint fit and sigmas are tested with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from independent.referee.crystals import Crystal, axes_of, face_centred, reflections_of
from independent.referee.instrument import Instrument
from independent.referee.rotations import random as random_orientations
from independent.referee.tracing import Spots, trace
from numpy.typing import NDArray

Array = NDArray[np.float64]

NICKEL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
LSD, RHO_D, WAVELENGTH = 8e5, 102400.0, 0.172979
#: everything differs from zero, on a detector of 1024 x 1024 pixels
INSTRUMENT = Instrument(
    *(LSD, (509.3, 513.7), 200.0, RHO_D, WAVELENGTH),
    shape=(1024, 1024),
    tilts=(0.2, 0.3, -0.25),
    distortion=(1e-4, 5e-5, -3e-4, 10.0),
    wedge=0.1,
)


@dataclass(frozen=True)
class Noise:
    """How spots are spoilt: radial and tangential (µm), omega (degrees), a fraction that is displaced at random."""

    radial: float = 0.0
    tangential: float = 0.0
    omega: float = 0.0
    wrong: float = 0.0
    #: by up to so many px and degrees
    reach: tuple[float, float] = (5.0, 1.0)
    #: fraction with a single frame, whose omega is rounded to this step
    single: float = 0.0
    step: float = 0.25


@dataclass(frozen=True)
class GrainSpots:
    """Spots, grain by grain.

    Parameters
    ----------
    first : (g + 1,) int64
    pixels : (2, n)
    omega : (n,) degrees
    hkl : (3, n)
    branch : (n,)
    radial : (2, n) unit vectors
    ring : (n,) int64, h² + k² + l²
    frames : (n,) int64
    wrong : (n,) bool
    ub : (g, 3, 3), positions : (g, 3), strain : (g, 6) 11 22 33 23 13 12, 10⁻⁶: the truth
    """

    first: NDArray[np.int64]
    pixels: Array
    omega: Array
    hkl: Array
    branch: Array
    radial: Array
    ring: NDArray[np.int64]
    frames: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    ub: Array
    positions: Array
    strain: Array
    instrument: Instrument = field(default=INSTRUMENT)


def crystals_of(count: int, seed: int, strain: float = 5e-4, size: float = 400.0, height: float = 200.0) -> list:
    """Strained crystals in a cylinder of this radius and half height, µm."""
    rng = np.random.default_rng(seed)
    radius, angle = size * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
    places = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), rng.uniform(-height, height, count)])
    tensors = rng.uniform(-strain, strain, (count, 3, 3))
    tensors = 0.5 * (tensors + tensors.swapaxes(1, 2))
    return [
        Crystal(NICKEL, u, place, e)
        for u, place, e in zip(random_orientations(rng, count), places, tensors, strict=True)
    ]


def _seen(crystals: list, hkl: Array, instrument: Instrument, omegas: tuple[float, float], right_only: bool) -> Spots:
    """The spots on the detector and in the scan, away from the poles, crystal by crystal."""
    spots = trace(crystals, hkl, instrument)
    rows, columns = instrument.shape
    kept = (spots.y_px > 0) & (spots.y_px < columns - 1) & (spots.z_px > 0) & (spots.z_px < rows - 1)
    kept &= (spots.omega > omegas[0]) & (spots.omega < omegas[1])
    kept &= (np.abs(spots.eta) > 6) & (np.abs(spots.eta) < 174)
    if right_only:
        kept &= spots.y_px > instrument.beam_centre[0] + 10
    spots = spots.take(kept)
    return spots.take(np.argsort(spots.crystal, kind="stable"))


def grain_spots(
    crystals: list,
    instrument: Instrument = INSTRUMENT,
    noise: Noise = Noise(),
    *,
    rings: tuple[int, ...] = (3, 4, 8, 11, 12),
    omegas: tuple[float, float] = (-180.0, 180.0),
    right_only: bool = False,
    seed: int = 0,
) -> GrainSpots:
    """What a detector sees of them: rings by h² + k² + l², a range of omega, the right half of the detector or all."""
    hkl = reflections_of(NICKEL, 3.524 / np.sqrt(max(rings)) - 1e-3, face_centred)
    hkl = hkl[np.isin(np.sum(hkl**2, axis=1).astype(int), rings)]
    spots = _seen(crystals, hkl, instrument, omegas, right_only)
    n = len(spots)
    rng = np.random.default_rng(seed)
    radial = np.stack([spots.y_plane, spots.z_plane])
    radial /= np.linalg.norm(radial, axis=0)
    r, t = noise.radial * rng.standard_normal(n), noise.tangential * rng.standard_normal(n)
    # Laboratory y points against the pixels' y.
    dy, dz = radial[0] * r - radial[1] * t, radial[1] * r + radial[0] * t
    pixels = np.stack([spots.y_px - dy / instrument.px, spots.z_px + dz / instrument.px])
    single = rng.random(n) < noise.single
    omega = spots.omega + noise.omega * rng.standard_normal(n)
    omega[single] = (np.floor(spots.omega[single] / noise.step) + 0.5) * noise.step
    wrong = rng.random(n) < noise.wrong
    pixels[:, wrong] += noise.reach[0] * rng.uniform(-1, 1, (2, wrong.sum()))
    omega[wrong] += noise.reach[1] * rng.uniform(-1, 1, wrong.sum())
    h = hkl[spots.reflection]
    strain = np.array([c.strain for c in crystals])
    return GrainSpots(
        first=np.searchsorted(spots.crystal, np.arange(len(crystals) + 1)).astype(np.int64),
        pixels=pixels,
        omega=(omega + 180) % 360 - 180,
        hkl=np.ascontiguousarray(h.T),
        branch=spots.branch,
        radial=radial,
        ring=np.sum(h**2, axis=1).astype(np.int64),
        frames=np.where(single, 1, 3),
        wrong=wrong,
        ub=np.array([np.linalg.inv(c.lattice()).T for c in crystals]),
        positions=np.array([c.position for c in crystals]),
        strain=1e6 * strain[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        instrument=instrument,
    )


def numbers_of(instrument: Instrument, exact: bool = True) -> Array:
    """(27,) of the kernel."""
    p0, p1, p2, p3 = instrument.distortion
    phase = np.radians(p3)
    return np.array(
        [instrument.lsd, *instrument.beam_centre, *instrument.tilts, p0, p1 * np.cos(phase), p1 * np.sin(phase), p2]
        + [instrument.wedge, 0.0, instrument.wavelength, *np.zeros(10), instrument.px, instrument.rho_d, exact, exact]
    )


__all__ = ["GrainSpots", "Noise", "axes_of", "crystals_of", "grain_spots", "numbers_of", "replace"]
