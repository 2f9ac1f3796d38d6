"""The strongest spots indexed again under another geometry: what would be found if something else were right.

See docs/theory/diagnosis.md#trial-indexing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.diagnosis.evidence import Evidence, on_plane
from midas.experiment.detector import has_exact_wedge
from midas.formats.spots import SPOTS_BINARY
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.parameters.table import Value
from midas.runtime import logs
from midas.stages.index_setup import make_indexer

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

#: seeds of a trial; the strongest ones
SEEDS = 24
#: of them, those that tell what a view is worth
_LEADING = 3
#: steps of the search along the line of positions, at most: bounds the time, and the margins make up for it
_POSITION_STEPS = 20


@dataclass(frozen=True)
class View:
    """Another way to see the same spots.

    Parameters
    ----------
    scale : share by which all radii are too large
    centre : (y, z) of the centre of the rings, µm
    transposed : rows and columns change places, about the centre of the rings
    mirrored : then y changes its sign; a rotation in the other sense looks the same
    """

    scale: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)
    transposed: bool = False
    mirrored: bool = False

    def seen(self, y: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Places on the plane (µm) in this view."""
        y, z = (y - self.centre[0]) / (1 + self.scale), (z - self.centre[1]) / (1 + self.scale)
        if self.transposed:
            # Columns run towards -y: the diagonal that transposing mirrors at is y = -z.
            y, z = -z, -y
        return (-y if self.mirrored else y), z

    def box(self, box: Box) -> Box:
        """What becomes of a part of the plane: least and largest y, least and largest z, µm."""
        y, z = self.seen(np.array(box[:2]), np.array(box[2:]))
        return float(y.min()), float(y.max()), float(z.min()), float(z.max())

    @property
    def name(self) -> str:
        """For people."""
        image = "transposed" if self.transposed else "as given"
        return f"image {image}{', mirrored or with omega reversed' if self.mirrored else ''}"


AS_GIVEN = View()


@dataclass(frozen=True)
class Outcome:
    """The best completeness that each seed of a trial reached; 0 where it found nothing."""

    completeness: Floats

    @property
    def best(self) -> float:
        """Of the best seed."""
        return float(self.completeness.max()) if len(self.completeness) else 0.0

    @property
    def leading(self) -> float:
        """Mean of the three best seeds: the others may be no spots of grains, and a single one may be chance."""
        return float(np.sort(self.completeness)[-_LEADING:].mean()) if len(self.completeness) else 0.0


class Trial:
    """Indexes the same few seeds under one view after the other.

    Parameters
    ----------
    evidence : a layer with accepted spots
    among : ids of the spots from which the seeds are taken; all of the seeds' ring by default
    changed : parameters that have another value here
    """

    def __init__(self, evidence: Evidence, threads: int, among: Collection[int] = (), **changed: Value):
        assert evidence.handed_on is not None
        self._evidence, self._threads = evidence, threads
        self._parameters = _bounded(evidence.handed_on.for_stage("diagnosis").changed(**changed))
        excluded = set(self._parameters["RingsToExcludeFraction"])
        self._rings = {ring: radius for ring, radius in evidence.rings_in_use.items() if ring not in excluded}
        self.seeds = _strongest(evidence, list(self._rings), self._parameters["MinEta"], among)
        self.outcome = cache(self._outcome)

    def keep_strongest(self, count: int) -> None:
        """Index no more seeds than these, before anything is asked."""
        order = np.argsort(-self._evidence.spots["intensity"][self.seeds], kind="stable")
        self.seeds = np.sort(self.seeds[order[:count]])

    def _outcome(self, view: View = AS_GIVEN, without: frozenset[int] = frozenset()) -> Outcome:
        """What the seeds reach in a view, when the rings `without` do not count."""
        left = {ring: radius for ring, radius in self._rings.items() if ring not in without}
        table = self._spots(view, left)
        seeds = self.seeds[np.isin(table.integers("ring")[self.seeds], list(left))]
        if not len(seeds):
            return Outcome(np.zeros(len(self.seeds)))
        parameters = self._parameters.changed(
            BoxSize=tuple(view.box(box) for box in self._parameters["BoxSize"]),
            RingNumbers=tuple(left),
            RingRadii=tuple(left.values()),
        ).for_stage("indexing")
        hkls = self._evidence.hkls
        with logs.muted("midas.stages.index_setup"):
            indexer = make_indexer(self._evidence.layer, parameters, left, table, hkls)
        found = indexer.search(seeds, threads=self._threads)[0]
        completeness = np.zeros(len(self.seeds))
        completeness[: len(seeds)] = found["matched"] / np.maximum(found["expected"], 1)
        return Outcome(completeness)

    def _spots(self, view: View, rings: dict[int, float]) -> Table:
        """The accepted spots in the form of ``Spots.bin``; one that no lattice plane gives in this view is on no ring.

        Where the axis leans, spots of the other side of the detector may come so close to the pole.
        """
        spots, own = self._evidence.spots, self._evidence.own
        y, z = view.seen(spots["y_plane"], spots["z_plane"])
        ideal = on_plane(
            y, z, spots["omega_recorded"], self._parameters["Lsd"],
            wavelength=own["Wavelength"], wedge=own["Wedge"], exact_wedge=has_exact_wedge(own),
            threads=self._threads,
        )  # fmt: skip
        radii = np.array([rings.get(ring, np.inf) for ring in spots.integers("ring").tolist()])
        columns = dict(zip(("y_ideal", "z_ideal", "omega_ideal", "eta", "two_theta"), ideal, strict=False))
        columns |= {name: spots[name] for name in ("grain_radius", "spot_id", "ring")}
        columns["radial_deviation"] = hypot(ideal[0], ideal[1]) - radii
        impossible = ~np.isfinite(ideal).all(axis=0)
        columns = {name: np.where(impossible, 0.0, column) for name, column in columns.items()}
        return Table.from_columns(SPOTS_BINARY, columns)


def _bounded(parameters: Parameters) -> Parameters:
    """Those of paramstest.txt with what lets a search take long made coarser, and without a limit of completeness."""
    step = max(parameters["StepSizePos"], 2 * parameters["Rsample"] / _POSITION_STEPS)
    allowed = max(parameters["StepSizePos"], min(parameters["MarginRadial"], parameters["MarginEta"]) / 2)
    return parameters.changed(Completeness=0.0, BigDetSize=0, GrainsFile="", StepSizePos=min(step, allowed))


def _strongest(evidence: Evidence, rings: list[int], min_eta: float, among: Collection[int]) -> NDArray[np.int64]:
    """Rows of the spots to index: the strongest of the seeds' ring that no pole hides in any view."""
    spots = evidence.spots
    ring = spots.integers("ring")
    fit = np.isin(ring, rings)
    from_pole = np.abs((spots["eta"] + 45) % 90 - 45)
    if (fit & (from_pole > min_eta)).any():
        fit &= from_pole > min_eta
    if len(among):
        fit &= np.isin(spots["spot_id"], list(among))
    if not fit.any():
        return np.empty(0, np.int64)
    seeded = fit & (ring == evidence.seed_ring)
    fullest = np.argmax(np.bincount(ring[fit]))
    rows = np.flatnonzero(seeded if seeded.any() else fit & (ring == fullest))
    order = np.lexsort((rows, -spots["intensity"][rows]))
    return np.sort(rows[order[:SEEDS]])
