"""The picture of a calibration, drawn with Pillow (docs/calibrating.md#the-picture)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from midas._ext.numerics.elementwise import hypot, tan
from midas.calibration.powder.cake import Cake, brightness
from midas.calibration.powder.curves import Curves, arrows, curves
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import statistics
from midas.runtime.drawing import AXIS, PALETTE, Axes, Box, font, png_of, ticks

Array = NDArray[np.float64]

_WIDTH, _HEIGHT, _EDGE = 1500, 1000, 60
_RING, _POINT, _MEDIAN, _PANEL = (255, 140, 0), (60, 220, 120), (200, 0, 0), (190, 190, 190)


def png(calibration: Calibration, caked: Cake, panels: Array) -> bytes:
    """Left the image over azimuth and radius with rings and points; right residuals, rings, and any panels.

    Parameters
    ----------
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    """
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    half = _WIDTH // 2
    _draw_cake(picture, draw, (_EDGE, 50, half - 20, _HEIGHT - 50), calibration, caked)
    shown = curves(calibration)
    parts: list[Callable[[Box], None]] = [
        lambda box: _draw_residuals(draw, box, shown),
        lambda box: _draw_rings(draw, box, shown),
    ]
    if len(panels):
        parts.append(lambda box: _draw_panels(draw, box, panels))
    height = (_HEIGHT - 60) // len(parts)
    for i, part in enumerate(parts):
        part((half + _EDGE, 50 + i * height, _WIDTH - 30, 10 + (i + 1) * height))
    found = statistics(calibration)
    title = (
        f"Lsd {calibration.detector.lsd:.2f} um   BC {calibration.detector.y_bc:.3f} {calibration.detector.z_bc:.3f} px"
    )
    title += f"   mean |strain| {found.mean:.1f}e-6   {found.points} points"
    draw.text((_EDGE, 8), title, "black", font=font(18))
    return png_of(picture)


def _draw_cake(
    picture: Image.Image, draw: ImageDraw.ImageDraw, box: Box, calibration: Calibration, caked: Cake
) -> None:
    left, top, right, bottom = box
    grey = Image.fromarray(brightness(caked.counts)[::-1]).convert("RGB")
    picture.paste(grey.resize((right - left, bottom - top), Image.Resampling.BILINEAR), (left, top))
    detector = calibration.detector
    axes = Axes(draw, box, (0.0, detector.rho_d / 1000), (-180.0, 180.0))
    for row in curves(calibration).rows:
        radius = detector.lsd * tan(np.radians(row.two_theta)) / 1000
        if axes.holds(radius, 0.0):
            across = axes.at(radius, 0.0)[0]
            draw.line([(across, top), (across, bottom)], fill=_RING)
    radius = detector.lsd * tan(np.radians(calibration.two_theta())) * (1 + calibration.strain) / 1000
    for x, y in zip(radius.tolist(), calibration.points.eta.tolist(), strict=True):
        axes.dot(x, y, _POINT, 1.0)
    axes.frame("eta (degrees) against radius (mm); rings orange, points green", ticks(0, detector.rho_d / 1000),
               np.arange(-180, 181, 45.0))  # fmt: skip


def _draw_residuals(draw: ImageDraw.ImageDraw, box: Box, shown: Curves) -> None:
    axes = Axes(draw, box, (-180.0, 180.0), (-shown.limit, shown.limit))
    for x, y, ring in zip(shown.eta.tolist(), shown.strain.tolist(), shown.ring.tolist(), strict=True):
        if axes.holds(x, y):
            axes.dot(x, y, PALETTE[ring % len(PALETTE)])
    last = None
    for x, y in zip(shown.median_eta.tolist(), shown.median.tolist(), strict=True):
        here = axes.at(x, y) if np.isfinite(y) and axes.holds(x, y) else None
        if here and last:
            draw.line([last, here], fill=_MEDIAN, width=2)
        last = here
    draw.line([axes.at(-180, 0), axes.at(180, 0)], fill=AXIS)
    axes.frame("strain (10^-6) against eta (degrees), coloured by ring; running median red",
               np.arange(-180, 181, 90.0), ticks(-shown.limit, shown.limit))  # fmt: skip


def _draw_rings(draw: ImageDraw.ImageDraw, box: Box, shown: Curves) -> None:
    rows = [row for row in shown.rows if row.points]
    sizes = [abs(row.mean) + (row.sigma if np.isfinite(row.sigma) else 0) for row in rows]
    limit = max([*sizes, 1e-3]) * 1.2
    farthest = max((row.two_theta for row in rows), default=1.0) * 1.05
    axes = Axes(draw, box, (0.0, farthest), (-limit, limit))
    for row in rows:
        sigma = row.sigma if np.isfinite(row.sigma) else 0.0
        colour = PALETTE[row.number % len(PALETTE)]
        draw.line([axes.at(row.two_theta, row.mean - sigma), axes.at(row.two_theta, row.mean + sigma)], fill=colour)
        axes.dot(row.two_theta, row.mean, colour, 3.0)
    draw.line([axes.at(0, 0), axes.at(farthest, 0)], fill=AXIS)
    axes.frame("mean strain of each ring (10^-6) with its sigma, against 2theta (degrees)", ticks(0, farthest),
               ticks(-limit, limit))  # fmt: skip


def _draw_panels(draw: ImageDraw.ImageDraw, box: Box, panels: Array) -> None:
    """Looking downstream: y to the right as columns, z up."""
    shown = arrows(panels)
    wide, high = shown.boxes[:, 1].max() + 1, shown.boxes[:, 3].max() + 1
    left, top, right, bottom = box
    scale = min((right - left) / wide, (bottom - top) / high)
    inner = (left, int(bottom - scale * high), int(left + scale * wide), bottom)
    axes = Axes(draw, inner, (-0.5, wide - 0.5), (-0.5, high - 0.5))
    for (y0, y1, z0, z1), (y, z), (dy, dz) in zip(shown.boxes, shown.middle, shown.shift, strict=True):
        corners = [axes.at(y0 - 0.5, z1 + 0.5), axes.at(y1 + 0.5, z0 - 0.5)]
        draw.rectangle([*corners[0], *corners[1]], outline=_PANEL)
        end = axes.at(y + shown.scale * dy, z + shown.scale * dz)
        draw.line([axes.at(y, z), end], fill=_MEDIAN, width=2)
        draw.ellipse([end[0] - 3, end[1] - 3, end[0] + 3, end[1] + 3], fill=_MEDIAN)
    longest = float(hypot(*shown.shift.T).max())
    draw.text((left, top - 20), f"shifts of the panels, the longest {longest:.3f} px", "black", font=font(14))
