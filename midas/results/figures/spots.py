"""The spots of one grain: where they are expected, and where they were seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from midas.results.figures.style import BLUE, GREY, RED, empty, points, styled

__all__ = ["detector", "eta_omega"]

#: values of the column ``state`` of predicted spots: name, colour and marker
_STATES = (
    ("observed", BLUE, "circle"),
    ("expected, not observed", RED, "x-thin"),
    ("outside of what is measured", GREY, "circle-open"),
    ("shared with another grain", "#b8860b", "diamond"),
)
_NO_SPOTS = "This grain has no spots."


def detector(spots: Any) -> go.Figure:
    """The spots of a grain on the detector: circles where they are predicted, points where they were seen.

    Parameters
    ----------
    spots : predicted spots, rows of `midas.results.evidence.predicted_spots`; or a `Grain`, whose observed spots are
        shown
    """
    rows = _rows(spots)
    title = f"Spots of grain {_grain(spots, rows)} on the detector"
    if not len(rows):
        return empty(title, _NO_SPOTS)
    figure = go.Figure()
    if "state" in (rows.dtype.names or ()):
        _by_state(figure, rows, ("y", "z"), ("y_observed", "z_observed"))
    else:
        _observed(figure, rows, "y_recorded", "z_recorded")
    figure.update_xaxes(title_text="y (px)", constrain="domain")
    figure.update_yaxes(title_text="z (px)", scaleanchor="x", constrain="domain")
    return _legend(styled(figure, title, 560))


def eta_omega(spots: Any) -> go.Figure:
    """The spots of a grain in omega, as recorded, and eta.

    The eta of an observed spot is that of its prediction, from which it is too little away to be seen here.

    Parameters
    ----------
    spots : as for `detector`
    """
    rows = _rows(spots)
    title = f"Spots of grain {_grain(spots, rows)} in omega and eta"
    if not len(rows):
        return empty(title, _NO_SPOTS)
    figure = go.Figure()
    if "state" in (rows.dtype.names or ()):
        _by_state(figure, rows, ("omega", "eta"), ("omega_observed", "eta"))
    else:
        _observed(figure, rows, "omega_recorded", "eta")
    figure.update_xaxes(title_text="omega, as recorded (°)")
    figure.update_yaxes(title_text="eta (°)", range=[-185, 185], dtick=45)
    return _legend(styled(figure, title, 480))


def _rows(spots: Any) -> NDArray[np.void]:
    found: NDArray[np.void] = spots if isinstance(spots, np.ndarray) else spots.spots
    return found


def _grain(spots: Any, rows: NDArray[np.void]) -> str:
    """The identity of the grain, as far as it is known."""
    if not isinstance(spots, np.ndarray):
        return str(spots.id)
    return str(rows["grain_id"][0]) if len(rows) else ""


def _legend(figure: go.Figure) -> go.Figure:
    return figure.update_layout(
        legend={"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0}, margin={"b": 130}, showlegend=True
    )


def _observed(figure: go.Figure, rows: NDArray[np.void], across: str, up: str) -> None:
    marker = {"color": BLUE, "size": 7}
    figure.add_trace(
        points(len(rows))(
            x=rows[across], y=rows[up], mode="markers", marker=marker, name="observed",
            customdata=np.column_stack([rows["spot_id"], rows["ring"], rows["omega_recorded"]]),
            hovertemplate="spot %{customdata[0]}, ring %{customdata[1]}<br>omega %{customdata[2]:.3f}°<extra></extra>",
        )
    )  # fmt: skip


def _by_state(figure: go.Figure, rows: NDArray[np.void], predicted: tuple[str, str], observed: tuple[str, str]) -> None:
    """A trace for the predictions of what was seen, and one for each state."""
    seen = rows["spot_id"] >= 0
    figure.add_trace(
        go.Scatter(
            x=rows[predicted[0]][seen], y=rows[predicted[1]][seen], mode="markers", name="predicted", hoverinfo="skip",
            marker={"symbol": "circle-open", "size": 12, "color": GREY},
        )
    )  # fmt: skip
    for state, (name, colour, symbol) in enumerate(_STATES):
        here = rows[rows["state"] == state]
        if not len(here):
            continue
        places = [np.where(here["spot_id"] >= 0, here[b], here[a]) for a, b in zip(predicted, observed, strict=True)]
        marker = {"color": colour, "symbol": symbol, "size": 7, "line": {"width": 1.5, "color": colour}}
        figure.add_trace(
            go.Scatter(
                x=places[0], y=places[1], mode="markers", name=f"{name} ({len(here)})", marker=marker,
                text=[_hover(one) for one in here], hoverinfo="text",
            )
        )  # fmt: skip


def _hover(row: np.void) -> str:
    lines = [
        f"{row['h']} {row['k']} {row['l']}, ring {row['ring']}",
        f"predicted: omega {row['omega']:.3f}°, y {row['y']:.1f}, z {row['z']:.1f} px",
    ]
    if row["spot_id"] >= 0:
        lines.append(f"spot {row['spot_id']}: {row['d_omega']:+.3f}°, {row['d_y']:+.2f}, {row['d_z']:+.2f} px from it")
    if row["other_grain"] >= 0:
        lines.append(f"also of grain {row['other_grain']}")
    return "<br>".join(lines)
