"""What the indexer gets before its first seed: rings, reflections, spots.

See docs/theory/indexing.md#rings-and-reflections.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas._ext.index.indexer import Indexer
from midas._ext.index.table import SpotTable
from midas.experiment import crystal
from midas.experiment.detector import has_exact_wedge, surface_tilts
from midas.experiment.orientation import rotation_range
from midas.experiment.region import accepted_region
from midas.formats.layer import Layer
from midas.formats.table import Table

if TYPE_CHECKING:
    from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: smallest step and bin, degrees: finer ones would fill the memory with tables
_FINEST = 0.001


def rings_in_use(p: Parameters, hkls: Table) -> dict[int, float]:
    """Ring number to radius (µm), in the order of the file."""
    numbers, radii = p["RingNumbers"], p["RingRadii"]
    if not radii:
        raise p.error("RingRadii", "is missing; give one line per ring")
    if len(numbers) < len(radii):
        raise p.error("RingNumbers", f"{len(radii)} RingRadii lines need as many RingNumbers lines")
    rings: dict[int, float] = {}
    for number, radius in zip(numbers, radii, strict=False):
        if not radius > 0:
            raise p.error("RingRadii", f"ring {number} must have a radius greater than 0")
        if number not in hkls["ring"]:
            raise p.error("RingNumbers", f"ring {number} has no reflection in hkls.csv")
        rings.setdefault(number, radius)
    return rings


def beside_spots(layer: Layer) -> tuple[Path, Path]:
    """The mask of the user and the pixels of the detector, which stand beside Spots.bin."""
    folder = layer.spots_binary.parent
    return folder / layer.detector_mask.name, folder / layer.detector_pixels.name


def make_indexer(layer: Layer, p: Parameters, rings: dict[int, float], spots: Table, hkls: Table) -> Indexer:
    """The kernel with everything that is the same for all seeds."""
    for key in ("StepSizeOrient", "OmeBinSize", "EtaBinSize"):
        if not p[key] >= _FINEST:
            raise p.error(key, f"must be at least {_FINEST} degrees, is {p[key]:g}")
    numbers = list(rings)
    place = {number: i for i, number in enumerate(numbers)}
    # The last reflection of a ring represents it.
    last = hkls.take(np.array([np.flatnonzero(hkls["ring"] == number)[-1] for number in numbers]))
    used = hkls.take(np.isin(hkls["ring"], numbers))
    log.info("No of hkl's: %d", len(used))
    excluded = np.isin(numbers, p["RingsToExcludeFraction"])
    if excluded.all():
        log.warning("RingsToExcludeFraction names all rings: nothing can be indexed")
    ranges = _rotation_ranges(p, last)
    return Indexer(
        _spot_table(p, spots, place),
        radii=np.array(list(rings.values())),
        two_theta=last["two_theta"],
        rotation_range=ranges,
        ring_g=np.column_stack([last["g1"], last["g2"], last["g3"]]),
        excluded=excluded,
        g=np.column_stack([used["g1"], used["g2"], used["g3"]]),
        theta=used["theta"],
        hkl_ring=np.array([place[ring] for ring in used["ring"].tolist()], dtype=np.int32),
        region=accepted_region(p, *beside_spots(layer)),
        lsd=p["Lsd"],
        wedge=p["Wedge"],
        exact_wedge=has_exact_wedge(p),
        tilts=surface_tilts(p),
        r_sample=p["Rsample"],
        h_beam=p["Hbeam"],
        position_step=p["StepSizePos"],
        orientation_step=p["StepSizeOrient"],
        margin_omega=p["MarginOme"],
        margin_eta=p["MarginEta"],
        margin_radius=p["MarginRadius"],
        margin_radial=p["MarginRadial"],
        min_completeness=p["Completeness"],
        friedel=p["UseFriedelPairs"] == 1,
    )


def _rotation_ranges(p: Parameters, last: Table) -> NDArray[np.float64]:
    """Degrees about the plane normal of the last reflection of each ring after which the spots repeat."""
    group = int(p["SpaceGroup"])
    angles, rhombohedral = (90.0, 90.0, 90.0), False
    if 3 <= group <= 15 or 143 <= group <= 167:  # else the number alone says it
        angles = p["LatticeParameter"][3:]
        rhombohedral = crystal.chosen_setting(p, p["LatticeParameter"]).rhombohedral_axes
    indices = zip(last["h"], last["k"], last["l"], strict=True)
    return np.array([rotation_range(group, hkl, angles, rhombohedral) for hkl in indices])


def _spot_table(p: Parameters, spots: Table, place: dict[int, int]) -> SpotTable:
    """The look-up of the observed spots; `place` is the index of each ring."""
    return SpotTable(
        spots["y_ideal"],
        spots["z_ideal"],
        spots["omega_ideal"],
        spots["eta"],
        spots["grain_radius"],
        spots["radial_deviation"],
        np.array([place.get(ring, -1) for ring in spots["ring"].tolist()], dtype=np.int32),
        n_rings=len(place),
        omega_bin=p["OmeBinSize"],
        margin_omega=p["MarginOme"],
        orientation_step=p["StepSizeOrient"],
    )
