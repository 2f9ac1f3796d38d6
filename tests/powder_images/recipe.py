"""Counts of a powder on a tilted, distorted, segmented detector, from rotation matrices and sums over sub-pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from geometry_model import rotation
from numpy.typing import NDArray

from midas.calibration.powder.image import PowderImage
from midas.experiment.detector import DetectorGeometry
from powder_images.lines import Lines

Array = NDArray[np.float64]

#: places of a pixel along each axis, steps of the table of profiles per px, rows that are done at once
SUBPIXELS, STEPS, ROWS = 4, 256, 64
#: part of a Lorentzian in the profiles
MIXING = 0.4


@dataclass(frozen=True)
class Panels:
    """Panels of a detector, panel number iY * counts[1] + iZ.

    Parameters
    ----------
    counts, sizes : of panels along y and z, px
    gaps : between them along y and along z, px
    shifts : (p, 3) px, px, degrees, which correct a pixel
    """

    counts: tuple[int, int]
    sizes: tuple[int, int]
    gaps: tuple[tuple[int, ...], tuple[int, ...]]
    shifts: Array

    def first(self, panel: int) -> tuple[int, int]:
        """First pixel of a panel in y and z."""
        place = divmod(panel, self.counts[1])
        y, z = (place[axis] * self.sizes[axis] + sum(self.gaps[axis][: place[axis]]) for axis in (0, 1))
        return y, z

    def packed(self) -> Array:
        """As `midas.experiment.panels.panels_of` gives them."""
        rows = []
        for panel, (dy, dz, turn) in enumerate(self.shifts):
            y, z = self.first(panel)
            angle = np.radians(turn)
            ends = [y, y + self.sizes[0] - 1, z, z + self.sizes[1] - 1]
            rows.append([*ends, np.cos(angle), np.sin(angle), dy, dz])
        return np.array(rows)


@dataclass(frozen=True)
class PowderSet:
    """What an image shows, and where a fit of it starts.

    Parameters
    ----------
    detector : the truth
    start : a rough geometry, without distortion
    shape : rows and columns
    lines : of the powder
    height : of a ring of strength 1, counts
    fwhm : of a ring at radius 0 and at 1500 px more, px
    background : at the rim and, more, at the beam, counts
    panels : with their true shifts
    dead : (rows, columns) bool, pixels without meaning
    shadow : of eta, degrees, from and to, where next to nothing arrives
    full_scale : above which counts are cut off
    spottiness : 1 / shape of the gamma distribution of the intensity of spots of 2 x 2 px
    """

    detector: DetectorGeometry
    start: DetectorGeometry
    shape: tuple[int, int]
    lines: Lines
    height: float = 4000.0
    fwhm: tuple[float, float] = (2.2, 1.0)
    background: tuple[float, float] = (60.0, 30.0)
    panels: Panels | None = None
    dead: NDArray[np.bool_] | None = field(default=None, repr=False)
    shadow: tuple[float, float] | None = None
    full_scale: float = np.inf
    spottiness: float = 0.0

    def ring_radii(self) -> Array:
        """(r,) px on the plane without tilt and distortion; NaN where a line is too fine for the beam."""
        assert self.detector.wavelength is not None
        sine = self.detector.wavelength / (2 * self.lines.d_spacing)
        theta = np.arcsin(np.where(sine < np.sin(np.pi / 4), sine, np.nan))
        return self.detector.lsd * np.tan(2 * theta) / self.detector.px


def corrected(d: DetectorGeometry, y_px: Array, z_px: Array, shift: tuple[Array, Array] | None = None) -> Array:
    """Radius (px) that the pixels would have on a plane without tilt and distortion.

    Parameters
    ----------
    shift : (2, 2) and (2,): y and z of the pixel after the correction of its panel are matrix @ (y, z) + vector
    """
    matrix, vector = shift if shift is not None else (np.eye(2), np.zeros(2))
    # from (y, z) in px to the place on the pixel plane, and from there into the laboratory: affine, so two axes suffice
    flip = np.array([[-d.px, 0], [0, d.px]])
    tilt = (rotation(0, d.tx) @ rotation(1, d.ty) @ rotation(2, d.tz))[:, 1:]
    slope = tilt @ flip @ matrix
    offset = tilt @ flip @ (vector - np.array([d.y_bc, d.z_bc])) + np.array([d.lsd, 0, 0])
    x, y, z = (slope[i, 0] * y_px + (slope[i, 1] * z_px + offset[i]) for i in range(3))
    scale = d.lsd / x
    y, z = y * scale, z * scale
    squared = y * y + z * z
    rho2 = squared / d.rho_d**2
    # squared times the cosine and the sine of 2 (90° - eta), where y = -R sin eta and z = R cos eta
    cosine, sine = (y * y - z * z) / d.rho_d**2, -2 * y * z / d.rho_d**2
    turned = np.cos(np.radians(d.p3)) * (cosine**2 - sine**2) - np.sin(np.radians(d.p3)) * (2 * cosine * sine)
    factor = 1 + d.p0 * cosine + d.p1 * turned + d.p2 * rho2
    return np.sqrt(squared) * factor / d.px


def panel_shift(panels: Panels | None, panel: int | None) -> tuple[Array, Array] | None:
    """A panel's correction as `corrected` takes it; none without panels."""
    if panels is None or panel is None:
        return None
    dy, dz, turn = panels.shifts[panel]
    centre = np.array(panels.first(panel)) + (np.array(panels.sizes) - 1) / 2
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    matrix = np.array([[c, -s], [s, c]])
    return matrix, centre - matrix @ centre + np.array([dy, dz])


def blocks(powder: PowderSet) -> Iterator[tuple[slice, slice, int | None]]:
    """Rows and columns that share a correction, and the panel whose it is; nothing in the gaps between panels."""
    panels = powder.panels
    for panel in range(len(panels.shifts) if panels else 1):
        y, z = panels.first(panel) if panels else (0, 0)
        wide, high = panels.sizes if panels else powder.shape[::-1]
        for first in range(z, z + high, ROWS):
            yield slice(first, min(first + ROWS, z + high)), slice(y, y + wide), panel if panels else None


def profile_table(powder: PowderSet) -> NDArray[np.float32]:
    """Counts of all rings at radii 0, 1 / STEPS, 2 / STEPS ... px."""
    rows, columns = powder.shape
    d = powder.detector
    reach = np.hypot(max(d.y_bc, columns - d.y_bc), max(d.z_bc, rows - d.z_bc)) * 1.2 + 50
    radius = np.arange(int(reach * STEPS)) / STEPS
    table = np.zeros(len(radius))
    for place, strength in zip(powder.ring_radii(), powder.lines.strength, strict=True):
        if not place < reach + 100:
            continue
        fwhm = powder.fwhm[0] + powder.fwhm[1] * place / 1500
        x = ((radius - place) / (fwhm / 2)) ** 2
        table += powder.height * strength * (MIXING / (1 + x) + (1 - MIXING) * np.exp2(-np.minimum(x, 500)))
    return table.astype(np.float32)


def expected(powder: PowderSet) -> tuple[Array, Array]:
    """(rows, columns) counts of the rings, averaged over each pixel, and of the background."""
    table = profile_table(powder)
    rings, background = np.zeros(powder.shape), np.zeros(powder.shape)
    offsets = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    for rows, columns, panel in blocks(powder):
        shift = panel_shift(powder.panels, panel)
        z = (np.arange(rows.start, rows.stop)[:, None, None, None] + offsets[:, None]).astype(float)
        y = (np.arange(columns.start, columns.stop)[:, None] + offsets)[:, None, :].astype(float)
        for row in range(len(z)):  # the work on one row stays in the cache
            radius = corrected(powder.detector, y, z[row, 0][None, :, :], shift)
            counts = table[np.rint(radius * STEPS).astype(np.int32)]
            rings[rows.start + row, columns] = counts.reshape(len(counts), -1).mean(axis=1)
        centres = np.arange(rows.start, rows.stop)[:, None], np.arange(columns.start, columns.stop)[None, :]
        radius = corrected(powder.detector, centres[1].astype(float), centres[0].astype(float), shift)
        low, more = powder.background
        background[rows, columns] = low + more * np.exp(-((radius * powder.detector.px / powder.detector.rho_d) ** 2))
    return rings, background


def powder_image(powder: PowderSet, seed: int = 0) -> PowderImage:
    """The image, with noise, as `midas.calibration` takes it: padded to a square, untransformed."""
    rings, background = expected(powder)
    random = np.random.default_rng(seed)
    if powder.spottiness:
        cells = (np.array(powder.shape) + 1) // 2
        spots = random.gamma(1 / powder.spottiness, powder.spottiness, cells)
        rings *= spots.repeat(2, axis=0).repeat(2, axis=1)[: powder.shape[0], : powder.shape[1]]
    counts = rings + background
    if powder.shadow:
        counts[_sector(powder)] *= 0.02
    counts = np.minimum(random.poisson(counts).astype(float), powder.full_scale)
    masked = np.zeros(powder.shape, bool) if powder.dead is None else powder.dead
    counts[masked] = 0
    rows, columns = powder.shape
    padding = ((0, max(powder.shape) - rows), (0, max(powder.shape) - columns))
    return PowderImage(
        counts=np.pad(counts, padding),
        masked=np.pad(masked, padding, constant_values=True),
        frames=1,
        full_scale=powder.full_scale,
        shape=powder.shape,
    )


def _sector(powder: PowderSet) -> NDArray[np.bool_]:
    """Pixels in the shadow."""
    assert powder.shadow is not None
    z, y = np.indices(powder.shape)
    eta = np.degrees(np.arctan2(y - powder.detector.y_bc, z - powder.detector.z_bc))
    return (eta > powder.shadow[0]) & (eta < powder.shadow[1])
