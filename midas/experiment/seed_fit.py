"""What the parameters say of the fit of a grain to its spots (docs/theory/refinement.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.refiner import Refiner
from midas._ext.refine.settings import Bounds, Instrument, Method, Recipe, RecordedSpots, Reflections, Solver
from midas.experiment.crystal import possible_cell, within_detector
from midas.experiment.detector import has_exact_wedge, surface_tilts
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.runtime.errors import FormatError

if TYPE_CHECKING:
    from midas.parameters import Parameters

#: scales of the robust loss (docs/theory/refinement.md#robust-loss): of a pixel, and in degrees
SPOT_SCALE_PIXELS = 0.15
SPOT_SCALE_WITHOUT_PIXEL = 30.0
OMEGA_SCALE = 0.1


@dataclass(frozen=True)
class GrainFit:
    """All that the fit of grains needs besides their spots."""

    instrument: Instrument
    region: AcceptedRegion
    reflections: Reflections
    bounds: Bounds
    recipe: Recipe

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        region: AcceptedRegion,
        reflections: Reflections,
        method: Method = "joint",
        solver: Solver = "robust",
    ) -> GrainFit:
        """What the parameters say of it.

        Parameters
        ----------
        parameters : of the refinement
        region : where a prediction may end up in the fit
        """
        recipe = recipe_of(parameters, method, solver)
        return cls(instrument_of(parameters), region, reflections, bounds_of(parameters), recipe)

    def refiner(self, recorded: RecordedSpots) -> Refiner:
        """The fit to some of these spots."""
        return Refiner(self.instrument, self.region, self.reflections, recorded, self.bounds, self.recipe)


def instrument_of(parameters: Parameters) -> Instrument:
    """Distance, wavelength, wedge, and the tilts of the surface that stops the beams."""
    return Instrument(
        parameters["Lsd"],
        parameters["Wavelength"],
        parameters["Wedge"],
        has_exact_wedge(parameters),
        surface_tilts(parameters),
    )


def bounds_of(parameters: Parameters) -> Bounds:
    """How far a grain may be from the nominal cell and from the middle of the sample."""
    return Bounds(
        cell=np.array(possible_cell(parameters)),
        margin_lengths=parameters["MargABC"] / 100,
        margin_angles=parameters["MargABG"] / 100,
        r_sample=parameters["Rsample"],
        h_beam=parameters["Hbeam"],
    )


def recipe_of(parameters: Parameters, method: Method, solver: Solver) -> Recipe:
    """How a grain is fitted."""
    px = parameters.get("px", 0.0)
    return Recipe(
        sigma_spot=SPOT_SCALE_PIXELS * px if px > 0 else SPOT_SCALE_WITHOUT_PIXEL,
        sigma_omega=OMEGA_SCALE,
        method=method,
        solver=solver,
    )


def reflections_in_use(layer: Layer, parameters: Parameters, hkls: Table) -> tuple[Reflections, NDArray[np.int64]]:
    """The reflections in use, ring by ring, and their rings."""
    in_use = parameters["RingNumbers"]
    if not in_use:
        raise parameters.error("RingNumbers", "is missing; there are no rings to refine with")
    inside = within_detector(hkls, parameters)
    ring = inside.integers("ring")
    selected = np.flatnonzero(np.isin(ring, in_use))
    if not selected.size:
        reason = f"has no reflection of the RingNumbers {', '.join(map(str, in_use))} within RhoD"
        raise FormatError(reason, file=layer.hkls)
    selected = selected[np.argsort(ring[selected], kind="stable")]
    rings, first = np.unique(ring[selected], return_index=True)
    hkl = np.array([inside[name][selected] for name in "hkl"])
    return Reflections(hkl, np.append(first, len(selected)).astype(np.int32)), rings


def recorded_spots(
    spots: Table, rings: NDArray[np.int64], certainty: NDArray[np.float64] | None = None
) -> RecordedSpots:
    """The spots as recorded, each with the place of its ring among the rings in use.

    Parameters
    ----------
    certainty : (s,), factor on the distances of each spot on the detector; 1 by default
    """
    ring = spots.integers("ring")
    group = np.searchsorted(rings, ring)
    group[(group == len(rings)) | (rings[np.minimum(group, len(rings) - 1)] != ring)] = -1
    places = (spots["y_plane"], spots["z_plane"], spots["omega_recorded"])
    return RecordedSpots(*places, group.astype(np.int32), certainty)
