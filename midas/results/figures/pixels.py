"""What the detector saw: the powder profile of a layer, and the pixels of spots."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from midas.results.figures.style import BLUE, GREY, RED, Floats, empty, styled

__all__ = ["montage", "powder_profile"]

#: pixels between windows
_GAP = 2


class Ring(Protocol):
    """A ring of a profile: number, degrees, names of its reflections, whether grains are looked for on it."""

    number: int
    two_theta: float
    names: str
    used: bool


class Profile(Protocol):
    """A powder profile, as `midas.results.evidence.powder_profile` makes it.

    Attributes
    ----------
    two_theta : (n + 1,) edges of the bins, degrees
    intensity : (n,)
    rings : those on the detector
    source : "spots" or "frames"
    """

    two_theta: Any
    intensity: Any
    rings: Any
    source: str


class Windows(Protocol):
    """Pixels of spots, as `midas.results.evidence.montage` makes them.

    Attributes
    ----------
    spots : (n,) structured, with `grain_id`, `ring`, `h`, `k`, `l`, `state`
    counts : (n, depth, side, side) spot, frame, z upwards, y to the right; NaN where there is no pixel
    omegas : (n, depth) degrees
    """

    spots: Any
    counts: Any
    omegas: Any


def powder_profile(profile: Profile, logarithmic: bool = False) -> go.Figure:
    """Intensity against two-theta, with the rings of the crystal.

    Parameters
    ----------
    profile : `midas.results.evidence.powder_profile` of the layer
    logarithmic : scale of the intensity
    """
    spots = profile.source == "spots"
    what = "sum of the spots" if spots else "mean of the frames"
    title = f"Powder profile<br><sub>{what}<br>lines: rings of the crystal, red where grains are sought</sub>"
    edges, intensity = np.asarray(profile.two_theta, float), np.asarray(profile.intensity, float)
    if not len(intensity) or not np.isfinite(intensity).any():
        return empty("Powder profile", "There is no intensity here: no spot and no frame.")
    figure = go.Figure()
    top = float(np.nanmax(intensity)) or 1.0
    low = float(np.min(intensity[intensity > 0], initial=top)) if logarithmic else 0.0
    for used, colour in ((True, RED), (False, GREY)):
        rings = [ring for ring in profile.rings if ring.used == used]
        if rings:
            figure.add_trace(_bars(rings, low, top, colour, "rings" if used else "rings not used"))
    figure.add_trace(
        go.Scatter(
            x=(edges[1:] + edges[:-1]) / 2, y=intensity, mode="lines", line={"color": BLUE, "width": 1.2},
            name="intensity", hovertemplate="%{x:.4f}°: %{y:.5g}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="two theta (°)")
    unit = "counts" if spots else "counts per pixel"
    figure.update_yaxes(title_text=f"intensity ({unit})", exponentformat="power")
    if logarithmic:
        figure.update_yaxes(type="log")
    return styled(figure, title, 400, showlegend=False)


def _bars(rings: list[Any], low: float, top: float, colour: str, name: str) -> go.Scatter:
    """A vertical line for each ring, in one trace."""
    x = [value for ring in rings for value in (ring.two_theta, ring.two_theta, None)]
    text = [value for ring in rings for value in (*[f"ring {ring.number}: {ring.names}"] * 2, "")]
    return go.Scatter(
        x=x, y=[low, 1.05 * top, None] * len(rings), mode="lines", line={"color": colour, "width": 1}, opacity=0.5,
        text=text, hovertemplate="%{text}<br>%{x:.4f}°<extra></extra>", name=name,
    )  # fmt: skip


def montage(windows: Windows, grain_id: int | None = None, most: int = 12) -> go.Figure:
    """The pixels of spots: a row for each spot, a column for each frame, every spot to its own scale.

    Shades are square roots of the counts, white where there are none, so that weak tails are seen.

    Parameters
    ----------
    windows : `midas.results.evidence.montage` of some grains
    grain_id : the grain to show; the first one without it
    most : spots
    """
    ids = np.asarray(windows.spots["grain_id"])
    if grain_id is None:
        grain_id = int(ids[0]) if len(ids) else None
    rows = np.flatnonzero(ids == grain_id)[:most]
    title = "Pixels of spots" if grain_id is None else f"Pixels of the spots of grain {grain_id}"
    if not len(rows):
        return empty(title, "There are no pixels of spots here.")
    counts = np.asarray(windows.counts, np.float32)[rows]
    pixels = _sheet(counts)
    peaks = np.maximum(np.where(np.isfinite(counts), counts, 0).max(axis=(1, 2, 3)), 1e-30)
    shades = _sheet(np.sqrt(np.clip(counts, 0, None) / peaks[:, None, None, None]))
    figure = go.Figure(
        go.Heatmap(
            z=shades, customdata=pixels, colorscale="Greys", zmin=0, zmax=1, showscale=False, hoverongaps=False,
            hovertemplate="%{customdata:.5g} counts<extra></extra>",
        )
    )  # fmt: skip
    depth, side = counts.shape[1], counts.shape[2]
    step = side + _GAP
    at = [(len(rows) - 1 - k) * step + side / 2 for k in range(len(rows))]
    names = [_name(windows.spots[row], np.asarray(windows.omegas)[row]) for row in rows]
    figure.update_yaxes(tickvals=at, ticktext=names, showgrid=False, zeroline=False, scaleanchor="x",
                        constrain="domain", constraintoward="top")  # fmt: skip
    figure.update_xaxes(
        tickvals=[k * step + side / 2 for k in range(depth)], ticktext=[f"{k - depth // 2:+d}" for k in range(depth)],
        title_text="frame, from the middle of the spot", showgrid=False, zeroline=False, constrain="domain",
    )  # fmt: skip
    note = "y to the right, z up; each spot to its own scale, square root"
    height = 170 + min(60 * len(rows), 900)
    return styled(figure, f"{title}<br><sub>{note}</sub>", height, margin={"l": 105}, plot_bgcolor="#dfe6ee")


def _sheet(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """All windows side by side, the first spot at the top, NaN between them."""
    n, depth, side, _ = windows.shape
    step = side + _GAP
    sheet = np.full((n * step - _GAP, depth * step - _GAP), np.nan, np.float32)
    for row in range(n):
        low = (n - 1 - row) * step
        for frame in range(depth):
            sheet[low : low + side, frame * step : frame * step + side] = windows[row, frame]
    return sheet


def _name(spot: Any, omegas: Floats) -> str:
    """Reflection, ring and omega of a row."""
    middle = omegas[len(omegas) // 2]
    missing = " (not found)" if int(spot["state"]) == 1 else ""
    return f"{spot['h']} {spot['k']} {spot['l']}, ring {spot['ring']}<br>{middle:.2f}°{missing}"
