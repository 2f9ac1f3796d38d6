"""What the first look makes of what it sees: sentences with numbers, and lines of text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arctan2
from midas.diagnosis.look.levels import RingLevel, Saturation
from midas.diagnosis.look.polar import PolarMap
from midas.diagnosis.look.projections import Projections
from midas.diagnosis.look.rings import SECTORS, ObservedRings
from midas.experiment.detector import DetectorGeometry

#: without a dark the level between the peaks is nearly 0 on a counting detector, and hundreds on an integrating one
_DARK_LEVEL = 20.0
#: thresholds off the suggested one by these factors are worth a word
_FAR_ABOVE, _FAR_BELOW = 8.0, 0.67
#: share of a band above its threshold that no peaks can fill
_LIT = 0.02


class RingLine(NamedTuple):
    """A predicted ring in the transformed image: number, whether RingThresh has it, degrees, and (n,) places, px."""

    ring: int
    is_asked_for: bool
    two_theta: float
    y_px: NDArray[np.float64]
    z_px: NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """All that was seen.

    Parameters
    ----------
    name : of the scan, for titles
    frames, first : number of frames, and number of the first one, that were looked at
    omegas : angles at which the first frame begins and the last one ends, degrees; None if not known
    detector : as the parameters say
    where, seen, observed : the map of the pixels, the images, the rings
    levels : a `RingLevel` for each ring of `observed`, in its order
    hot : (k, 2) rows and columns of hot pixels
    saturation : of the whole detector
    has_dark : whether dark frames are known
    """

    name: str
    frames: int
    first: int
    omegas: tuple[float, float] | None
    detector: DetectorGeometry
    where: PolarMap
    seen: Projections
    observed: ObservedRings
    levels: Sequence[RingLevel]
    hot: NDArray[np.int64]
    saturation: Saturation
    has_dark: bool

    def ring_lines(self) -> Iterator[RingLine]:
        """Where the rings are predicted."""
        two_theta = np.degrees(arctan2(self.observed.radii, self.detector.lsd))
        for level, angle in zip(self.levels, two_theta.tolist(), strict=True):
            yield RingLine(level.ring, math.isfinite(level.given), angle, *self.detector.ring(angle))


def sentences(look: Look) -> Iterator[str]:
    """What is worth a word; nothing when all is well."""
    yield from _about_dark(look)
    yield from _about_rings(look)
    for level in look.levels:
        yield from _about_threshold(level)
    if look.saturation.is_limit:
        top = look.saturation
        yield (
            f"{top.pixels} pixels reach {top.value:.0f} counts"
            + (f", the limit is {top.limit:.0f}" if math.isfinite(top.limit) else "")
            + ": peaks are saturated, which the search takes from their flanks; see UpperBoundThreshold"
        )
    if len(look.hot):
        places = ", ".join(f"({row}, {column})" for row, column in look.hot[:3].tolist())
        places += " ..." if len(look.hot) > 3 else ""
        yield (
            f"{len(look.hot)} hot pixels (row, column of the raw frame: {places}): mask them, for example with ff-mask"
        )


def _about_dark(look: Look) -> Iterator[str]:
    if look.has_dark:
        return
    level = float(np.median(look.seen.median[look.where.valid]))
    if level > _DARK_LEVEL:
        given = [one.given for one in look.levels if math.isfinite(one.given)]
        above = f", and RingThresh begins at {min(given):g}" if given else ""
        yield f"the dark is missing: there are no dark frames, and the frames have a level of {level:.0f} counts{above}"


def _about_rings(look: Look) -> Iterator[str]:
    rings = look.observed
    if not len(rings.numbers):
        yield "no ring lies on the detector: check Lsd, Wavelength, LatticeParameter, px and BC"
        return
    if not len(rings.seen):
        yield "no ring is seen near its predicted radius: check Lsd, Wavelength, LatticeParameter, px and BC"
        return
    if not rings.is_certain:
        yield (
            f"{100 * rings.share:.0f} % of the strongest maxima lie on the rings: BC is off by many pixels, the flip "
            "(ImTransOpt) is another one, or Lsd, Wavelength or LatticeParameter is wrong; what the offsets say is not "
            "certain"
        )
        return
    yield from rings.offsets.sentences(look.detector)
    if missing := sorted({one.ring for one in look.levels if math.isfinite(one.given)} - set(rings.seen.tolist())):
        yield f"nothing stands out on rings {' '.join(map(str, missing))} of RingThresh"


def _about_threshold(level: RingLevel) -> Iterator[str]:
    if not math.isfinite(level.given) or not level.pixels:
        return
    if level.lit > _LIT:
        yield (
            f"ring {level.ring}: {100 * level.lit:.1f} % of its pixels are above RingThresh {level.given:g} (level "
            f"{level.level:.1f}, noise {level.noise:.1f}): take about {level.suggested:g}"
        )
    elif level.given < _FAR_BELOW * level.suggested and level.peaks_given > 2 * level.peaks:
        yield (
            f"ring {level.ring}: RingThresh {level.given:g} is inside the noise: {level.peaks_given:.1f} peaks a frame "
            f"against {level.peaks:.1f} at {level.suggested:g}"
        )
    elif level.given > _FAR_ABOVE * level.suggested and level.peaks_given < 0.75 * level.peaks:
        yield (
            f"ring {level.ring}: RingThresh {level.given:g} keeps {level.peaks_given:.1f} of {level.peaks:.1f} peaks a "
            f"frame; {level.suggested:g} is {level.suggested / level.noise:.0f} times the noise"
        )


def text(look: Look) -> str:
    """The whole as text."""
    count, first = look.frames, look.first
    angles = "" if look.omegas is None else f", omega {look.omegas[0]:g} to {look.omegas[1]:g}"
    lines = [
        f"{look.name}: {count} frames from number {first}{angles}; {look.seen.sample.dtype.name}, "
        f"{look.seen.mean.shape[0]} x {look.seen.mean.shape[1]} pixels",
        f"largest value {look.saturation.value:.0f} in {look.saturation.pixels} pixels; {len(look.hot)} hot pixels; "
        + ("dark subtracted" if look.has_dark else "no dark frames"),
        "",
        *_table(look),
        "",
        *_sectors(look),
        "",
    ]
    found = list(sentences(look))
    lines += [f"- {sentence}" for sentence in found] or ["Nothing looks wrong."]
    return "\n".join(lines) + "\n"


_HEAD = tuple("ring;radius um;sectors;offset um;ppm;level;noise;RingThresh;peaks;suggested;peaks".split(";"))


def _table(look: Look) -> list[str]:
    offsets = {one.ring: one for one in look.observed.offsets.rings}
    rows = [_HEAD]
    for level, radius in zip(look.levels, look.observed.radii, strict=True):
        one = offsets.get(level.ring)
        rows.append(
            (
                str(level.ring),
                f"{radius:.0f}",
                f"{one.observed if one else 0}/{SECTORS}",
                f"{one.micrometres:+.1f}" if one else "-",
                f"{one.ppm:+.0f}" if one else "-",
                *(_number(value) for value in (level.level, level.noise, level.given, level.peaks_given)),
                *(_number(value) for value in (level.suggested, level.peaks)),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


#: sectors on a line of the text
_A_LINE = 4


def _sectors(look: Look) -> list[str]:
    """Median offset of all rings in each sector of eta, with the number of rings that are seen there."""
    rings = look.observed
    offset = rings.radius - rings.radii[rings.ring]
    cells = []
    for sector in range(SECTORS):
        low = -180 + 360 * sector // SECTORS
        here = offset[rings.sector == sector]
        found = f"{np.median(here):+7.1f} ({len(here)})" if len(here) else f"{'-':>7} (0)"
        cells.append(f"{low:+5d} ... {low + 360 // SECTORS:+5d} {found}")
    lines = ["   ".join(cells[i : i + _A_LINE]) for i in range(0, SECTORS, _A_LINE)]
    return ["offset by sector: eta, um, rings", *lines]


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"
