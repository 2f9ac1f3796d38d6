"""Angles between orientations, and how they would be distributed without any texture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas._ext.numerics.elementwise import arctan, arctan2, cos, sin, tan
from midas.experiment.orientation import misorientation, quaternions_from_matrices
from midas.results.figures.style import BLUE, GREY, RED, Floats, empty, styled, title_of

if TYPE_CHECKING:
    from midas.results.reading import Results

__all__ = ["misorientations", "neighbours", "random_share"]

#: most pairs of which the angle is worked out; of more, so many are drawn by a generator with a fixed seed
_MOST_PAIRS, _SEED = 300_000, 20_130_117
#: grains are neighbours when their centres are nearer than so many sums of their radii
_TOUCH = 1.25
#: axes of rotation over which the distribution without texture is averaged
_AXES = 20_001
_GOLDEN = np.pi * (3 - np.sqrt(5))


def misorientations(results: Results) -> go.Figure:
    """Angles of misorientation of all pairs of grains and of neighbours, with those of orientations without texture.

    The curve without texture is worked out for the symmetry of the lattice, not drawn at random
    (docs/theory/colours.md#misorientation-without-texture). Neighbours are grains whose centres are nearer to each
    other than 1.25 times the sum of their radii.
    """
    title = title_of(results, "Misorientations")
    if not len(results.grains):
        return empty(title)
    if len(results.grains) < 2:
        return empty(title, "One grain alone has no misorientation.")
    quaternions = quaternions_from_matrices(results.grains["orientation"])
    pairs, drawn = _all_pairs(len(quaternions))
    near = neighbours(results.grains["position"], results.grains["radius"])
    largest = _largest_angles(results.operators)
    ends = np.arange(0.0, np.ceil(largest.max() / 5) * 5 + 1e-9, 2.5 if len(pairs) > 300 else 5.0)
    figure = go.Figure()
    for name, which, colour in (("all pairs", pairs, BLUE), (f"{len(near)} pairs of neighbours", near, RED)):
        if len(which):
            angles = misorientation(quaternions[which[:, 0]], quaternions[which[:, 1]], results.operators)
            figure.add_trace(_steps(angles, ends, name, colour, filled=which is pairs))
    middle = np.linspace(0, ends[-1], 4 * (len(ends) - 1) + 1)
    share = random_share(results.operators, middle)
    figure.add_trace(
        go.Scatter(
            x=(middle[1:] + middle[:-1]) / 2, y=100 * np.diff(share) / np.diff(middle), mode="lines",
            line={"color": GREY, "dash": "dash", "width": 2}, name="without texture",
            hovertemplate="%{x:.1f}°: %{y:.2f} % per degree<extra>without texture</extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="misorientation (°)", range=[0, float(ends[-1])])
    figure.update_yaxes(title_text="% of pairs per degree", rangemode="tozero")
    note = f"{len(pairs)} of all pairs, drawn with a fixed seed" if drawn else f"all {len(pairs)} pairs"
    legend = {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0}
    return styled(figure, f"{title}<br><sub>{note}</sub>", 440, legend=legend, margin={"b": 110})


def _all_pairs(n: int) -> tuple[NDArray[np.int64], bool]:
    """(m, 2) pairs of n, and whether they are a choice."""
    number = n * (n - 1) // 2
    if number <= _MOST_PAIRS:
        return np.column_stack(np.triu_indices(n, 1)).astype(np.int64), False
    generator = np.random.default_rng(_SEED)
    first = generator.integers(0, n, _MOST_PAIRS)
    other = (first + generator.integers(1, n, _MOST_PAIRS)) % n
    return np.column_stack([first, other]), True


def neighbours(position: Floats, radius: Floats, touch: float = _TOUCH) -> NDArray[np.int64]:
    """(m, 2) pairs of grains whose centres are nearer than `touch` times the sum of their radii.

    Parameters
    ----------
    position : (n, 3) µm
    radius : (n,) µm
    """
    reach = np.nan_to_num(np.asarray(radius, float), nan=0.0)
    if len(reach) < 2 or not reach.max() > 0:
        return np.empty((0, 2), np.int64)
    pairs = cKDTree(np.asarray(position, float)).query_pairs(2 * touch * float(reach.max()), output_type="ndarray")
    apart = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1)
    near = pairs[apart < touch * (reach[pairs[:, 0]] + reach[pairs[:, 1]])]
    return np.asarray(near[np.lexsort(near.T[::-1])], np.int64)


def random_share(operators: Floats, angles: Floats) -> Floats:
    """Part of the misorientations between orientations without texture that are not above these angles.

    See docs/theory/colours.md#misorientation-without-texture.

    Parameters
    ----------
    operators : (m, 4) quaternions of the proper rotations of the lattice
    angles : (n,) degrees, rising

    Returns
    -------
    (n,) float64, 0 ... 1
    """
    largest = np.radians(_largest_angles(operators))
    share = np.empty(len(angles))
    for k, angle in enumerate(np.radians(angles)):
        reached = np.minimum(largest, angle)
        share[k] = (reached - sin(reached)).mean()
    return share * len(operators) / np.pi


def _largest_angles(operators: Floats) -> Floats:
    """(n,) largest misorientation, degrees, about each of many axes that are spread evenly over the sphere."""
    k = np.arange(_AXES) + 0.5
    z = 1 - 2 * k / _AXES
    axes = np.stack([np.sqrt(1 - z * z) * cos(_GOLDEN * k), np.sqrt(1 - z * z) * sin(_GOLDEN * k), z], axis=1)
    largest = np.full(_AXES, np.pi)
    for w, *vector in np.asarray(operators, float):
        sine = float(np.linalg.norm(vector))
        if sine < 1e-9:
            continue
        limit = tan(arctan2(sine, abs(w)) / 2)  # a quarter of the angle of the rotation
        across = np.abs(axes @ (np.array(vector) / sine))
        largest = np.minimum(largest, 2 * arctan(limit / np.maximum(across, 1e-12)))
    return np.asarray(np.degrees(largest), np.float64)


def _steps(angles: Floats, ends: Floats, name: str, colour: str, filled: bool) -> go.Scatter:
    """A distribution as steps, in percent per degree."""
    counts, _ = np.histogram(angles, ends)
    heights = 100 * counts / max(len(angles), 1) / np.diff(ends)
    return go.Scatter(
        x=ends, y=np.append(heights, heights[-1:]), mode="lines", name=name,
        line={"color": colour, "shape": "hv", "width": 1.5}, fill="tozeroy" if filled else None,
        hovertemplate=f"from %{{x:.1f}}°: %{{y:.2f}} % per degree<extra>{name}</extra>",
    )  # fmt: skip
