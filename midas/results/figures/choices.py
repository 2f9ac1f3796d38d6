"""By what grains can be coloured: one table for every figure and for the report (docs/results.md#colours)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from midas.results.colours.keys import ipf_colours, rgb_texts
from midas.results.figures.style import DIVERGING, SEQUENTIAL, Floats, limits
from midas.results.stress.tensors import COMPONENTS as TENSOR
from midas.results.stress.tensors import equivalent_strain, equivalent_stress, traces
from midas.results.tables.sigmas import POSITION_SIGMAS, ROTATION_SIGMAS, together

if TYPE_CHECKING:
    from midas.results.reading import Results

__all__ = ["COMPONENTS", "DIRECTIONS", "Choice", "colour_choice", "colour_choices", "stress_of"]

#: the six components of a symmetric tensor in the sample, and where they stand
COMPONENTS = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}
#: the directions of the sample
DIRECTIONS = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
_AXES = {"x": "X (beam)", "y": "Y", "z": "Z (rotation axis)"}


@dataclass(frozen=True)
class Choice:
    """A number or a colour of every grain.

    Parameters
    ----------
    name : by which it is asked for
    title : what it is, in words
    unit : of the values; "" for pure numbers and colours
    values : (n,) float64; None for colours
    colours : (n,) ``#rrggbb``; None for values
    symmetric : whether zero stands in the middle of the scale
    """

    name: str
    title: str
    unit: str = ""
    values: Floats | None = None
    colours: list[str] | None = None
    symmetric: bool = False

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def marker(self) -> dict[str, Any]:
        """Colour, scale and bar of a plotly marker."""
        if self.values is None:
            return {"color": self.colours, "showscale": False}
        low, high, trimmed = limits(self.values, self.symmetric)
        text = f"{self.label}<br>scale: 1 to 99 %" if trimmed else self.label
        return {
            "color": np.asarray(self.values, np.float32),
            "cmin": low,
            "cmax": high,
            "colorscale": DIVERGING if self.symmetric else SEQUENTIAL,
            "showscale": True,
            "colorbar": {"title": {"text": text, "side": "top"}, "orientation": "h", "thickness": 12, "len": 0.9,
                         "y": -0.02, "yanchor": "top", "tickangle": 0, "nticks": 6},
        }  # fmt: skip


def colour_choices(
    results: Results, stress: ArrayLike | None = None, stiffness: ArrayLike | None = None, symmetry: str = "laue"
) -> dict[str, Choice]:
    """Everything by which the grains of these results can be coloured, by name.

    Parameters
    ----------
    results : of a layer
    stress : (n, 3, 3) MPa, sample frame, where it is known
    stiffness : (6, 6) GPa, crystal frame, Voigt's order, from which stresses follow where there is no `stress`
    symmetry : "laue" or "lattice", of the colours of orientations (docs/theory/colours.md#choice)

    Returns
    -------
    ``ipf_x``, ``ipf_y``, ``ipf_z``; ``radius``, ``completeness``, ``phase``; ``strain_xx`` ... ``strain_xy``,
    ``volume_strain``, ``von_mises_strain``, ``rms_strain_error``; ``diff_pos``, ``diff_ome``, ``diff_angle``; with
    sigmas ``sigma_position``, ``sigma_orientation``, ``sigma_strain``; with stresses ``stress_xx`` ... ``stress_xy``,
    ``hydrostatic_stress``, ``von_mises_stress``
    """
    grains = results.grains
    found = [_ipf(results, name, direction, symmetry) for name, direction in DIRECTIONS.items()]
    found += [
        Choice("radius", "grain radius", "µm", _numbers(grains["radius"])),
        Choice("completeness", "completeness", "", _numbers(grains["completeness"])),
        Choice("phase", "phase", "", _numbers(grains["phase"])),
        *_tensor("strain", "strain", "10⁻⁶", _numbers(grains["strain"])),
        Choice("rms_strain_error", "strain that the tensor leaves, RMS over spots", "10⁻⁶",
               _numbers(grains["rms_strain_error"])),
        Choice("diff_pos", "distance of the spots from their predictions, mean", "µm", _numbers(grains["diff_pos"])),
        Choice("diff_ome", "omega of the spots from their predictions, mean", "°", _numbers(grains["diff_ome"])),
        Choice("diff_angle", "angle of the spots from their predictions, mean", "°", _numbers(grains["diff_angle"])),
        *_sigmas(results),
    ]  # fmt: skip
    tensors = stress_of(results, stress, stiffness)
    if tensors is not None:
        found += _tensor("stress", "stress", "MPa", tensors)
    return {choice.name: choice for choice in found}


def colour_choice(
    results: Results,
    colour: str = "ipf_z",
    direction: ArrayLike | None = None,
    stress: ArrayLike | None = None,
    stiffness: ArrayLike | None = None,
    symmetry: str = "laue",
) -> Choice:
    """One of `colour_choices`, or with a `direction` (sample frame) the colour of the orientation along it.

    Raises
    ------
    ValueError : there is none of this name, with those that there are
    """
    if direction is not None:
        along = np.asarray(direction, float)
        if along.shape != (3,) or not np.linalg.norm(along) > 0:
            raise ValueError(f"a direction is three numbers that are not all zero, not {direction!r}")
        return _ipf(results, " ".join(f"{x:g}" for x in along), tuple(along.tolist()), symmetry)
    choices = colour_choices(results, stress, stiffness, symmetry)
    if colour not in choices:
        raise ValueError(f"there is no colour {colour!r}; there are {', '.join(choices)}")
    return choices[colour]


def stress_of(results: Results, stress: ArrayLike | None, stiffness: ArrayLike | None) -> Floats | None:
    """(n, 3, 3) stresses in the sample, MPa: those given, or those that the stiffness gives; None with neither."""
    if stress is not None:
        tensors = np.asarray(stress, np.float64)
    elif stiffness is not None:
        tensors = np.array([grain.stress(stiffness) for grain in results], np.float64)
    else:
        return None
    return tensors.reshape(len(results.grains), 3, 3)


def _numbers(values: ArrayLike) -> Floats:
    return np.array(values, np.float64)


def orientation_colours(results: Results, direction: ArrayLike, symmetry: str = "laue") -> list[str]:
    """``#rrggbb`` of the orientation of every grain along a direction of the sample."""
    colours = ipf_colours(
        results.grains["orientation"], results.space_group, direction, results.cell, symmetry, setting_word(results)
    )
    return rgb_texts(colours)


def setting_word(results: Results) -> str:
    """The name of the setting of the space group, where the parameters have one; "" where the cell tells."""
    return str(results.parameters.get("SpaceGroupSetting", ""))


def _ipf(results: Results, name: str, direction: tuple[float, ...], symmetry: str) -> Choice:
    colours = orientation_colours(results, direction, symmetry)
    return Choice(f"ipf_{name}", f"orientation along {_AXES.get(name, name)}", colours=colours)


def _tensor(name: str, title: str, unit: str, tensors: Floats) -> list[Choice]:
    """Components, the part that changes the volume, and the equivalent of the rest."""
    tensors = tensors.reshape(-1, 3, 3)
    found = [
        Choice(f"{name}_{key}", f"{title} {key}", unit, tensors[:, i, j].copy(), symmetric=True)
        for key, (i, j) in COMPONENTS.items()
    ]
    if name == "strain":
        found.append(Choice("volume_strain", "volume strain", unit, traces(tensors), symmetric=True))
        found.append(Choice("von_mises_strain", "von Mises strain", unit, equivalent_strain(tensors)))
    else:
        found.append(Choice("hydrostatic_stress", "hydrostatic stress", unit, traces(tensors) / 3, symmetric=True))
        found.append(Choice("von_mises_stress", "von Mises stress", unit, equivalent_stress(tensors)))
    return found


def _sigmas(results: Results) -> list[Choice]:
    """How well position, orientation and strain are known, where that was worked out."""
    table = results.sigma
    if table is None:
        return []
    strain = together(table, tuple(f"sE{name}" for name in TENSOR)) / 6**0.5
    return [
        Choice("sigma_position", "uncertainty of the position", "µm", together(table, POSITION_SIGMAS)),
        Choice("sigma_orientation", "uncertainty of the orientation", "°", together(table, ROTATION_SIGMAS)),
        Choice("sigma_strain", "uncertainty of the strain, RMS of the components", "10⁻⁶", strain),
    ]
