"""What the files of a layer say about a run that found nothing, or little."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas._ext.fit_setup import laboratory_spots
from midas._ext.numerics.elementwise import arctan, hypot
from midas.diagnosis.ring_offsets import RingOffsets, ring_offsets
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage
from midas.experiment.region import on_detector
from midas.experiment.scan import Scan
from midas.formats import hkls as hkl_format
from midas.formats import merged as merged_format
from midas.formats import radius as radius_format
from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO, read_seed_ids, read_spots
from midas.formats.table import Table
from midas.parameters import Parameters

Floats = NDArray[np.float64]

#: a ring with less than this share of what the fullest ring lets expect has something wrong with it
_POOR = 0.25

#: columns of the spots that a diagnosis uses
_OF_SPOTS = "spot_id ring y_plane z_plane omega_recorded intensity grain_radius y_ideal z_ideal omega_ideal eta".split()


class RingCount(NamedTuple):
    """Accepted spots of a ring, and how many of all are expected there: in proportion to its reflections in view."""

    found: int
    expected: float


@dataclass(frozen=True)
class Evidence:
    """A layer as the stages left it.

    Parameters
    ----------
    layer : its files
    parameters : of the archive, or of the user's file where there is no archive
    paramstest : those that the setup stage handed on; by default the ones of the layer
    """

    layer: Layer
    parameters: Parameters
    paramstest: Parameters | None = None

    @cached_property
    def own(self) -> Parameters:
        """What a diagnosis reads of the parameters."""
        return self.parameters.for_stage("diagnosis")

    @cached_property
    def handed_on(self) -> Parameters | None:
        """The parameters of paramstest.txt, None before the setup stage."""
        if self.paramstest is not None or not self.layer.paramstest.exists():
            return self.paramstest
        return Parameters.read(self.layer.paramstest, "paramstest")

    @cached_property
    def detector(self) -> DetectorGeometry:
        """As the user describes it; paramstest.txt has its beam centre under a name of its own."""
        own = self.own
        if "BC" not in own and {"YBCFit", "ZBCFit"} <= own.unknown.keys():
            own = own.changed(BC=tuple(float(own.unknown[name][0]) for name in ("YBCFit", "ZBCFit")))
        return DetectorGeometry.from_parameters(own)

    @cached_property
    def thresholds(self) -> dict[int, float]:
        """Ring -> threshold of RingThresh; paramstest.txt has none."""
        return {int(ring): threshold for ring, threshold in self.own["RingThresh"]}

    @cached_property
    def seed_ring(self) -> int:
        """The ring whose spots are indexed."""
        if "OverAllRingToIndex" in self.own:
            return int(self.own["OverAllRingToIndex"])
        spots = self.spots.take(np.isin(self.spots["spot_id"], self.seeds[:1]))
        return int(spots["ring"][0]) if len(spots) else 0

    @cached_property
    def hkls(self) -> Table:
        """The reflections."""
        return hkl_format.LAYOUT.read(self.layer.hkls)

    @cached_property
    def ring_radii(self) -> dict[int, float]:
        """Ring -> radius (µm), of all rings of the list."""
        return dict(zip(self.hkls.integers("ring").tolist(), self.hkls["ring_radius"].tolist(), strict=True))

    @cached_property
    def merged(self) -> int | None:
        """Merged spots, None where that stage left no file."""
        path = None if self.scan is None else self.layer.merged(self.scan.frames)
        return None if path is None or not path.exists() else len(merged_format.RESULT.read(path))

    @cached_property
    def on_rings(self) -> NDArray[np.int64]:
        """The ring of every spot on a ring, accepted or not."""
        path = None if self.scan is None else self.layer.radius(self.scan.frames)
        if path is None or not path.exists():
            return np.empty(0, np.int64)
        return radius_format.LAYOUT.read(path).integers("ring")

    @cached_property
    def spots(self) -> Table:
        """The accepted spots; empty before the setup stage."""
        if not self.layer.extra_info.exists() or self.handed_on is None:
            return Table(tuple(_OF_SPOTS), np.empty((len(_OF_SPOTS), 0)))
        table = read_spots(self.layer.extra_info, EXTRA_INFO)
        return table.take(table["ring"] > 0).select(_OF_SPOTS)

    @cached_property
    def seeds(self) -> NDArray[np.int64]:
        """Ids of the spots that were, or would be, indexed."""
        if not self.layer.spots_to_index.exists():
            return np.empty(0, np.int64)
        return read_seed_ids(self.layer.spots_to_index, blanks=True)

    @cached_property
    def rings_in_use(self) -> dict[int, float]:
        """Ring -> radius (µm) of the rings that count in the completeness."""
        if self.handed_on is None:
            return {}
        p = self.handed_on.for_stage("diagnosis")
        return dict(zip(map(int, p["RingNumbers"]), map(float, p["RingRadii"]), strict=False))

    @cached_property
    def scan(self) -> Scan | None:
        """Frames and their shape; None without an archive."""
        return None if self.layer.archive is None else Scan.of(self.layer, self.own)

    @cached_property
    def image(self) -> PaddedImage | None:
        """How the raw frames lie in the image; None without an archive."""
        return None if self.scan is None else PaddedImage(*self.scan.shape, self.own["ImTransOpt"])

    @cached_property
    def counts(self) -> dict[int, RingCount]:
        """The accepted spots of every ring in use."""
        rings = list(self.rings_in_use)
        numbers, spots = self.hkls.integers("ring"), self.spots.integers("ring")
        weights = [np.count_nonzero(numbers == ring) * self._visible(ring) for ring in rings]
        share = len(spots) / max(sum(weights), 1e-9)
        found = [int(np.count_nonzero(spots == ring)) for ring in rings]
        return {ring: RingCount(n, w * share) for ring, n, w in zip(rings, found, weights, strict=True)}

    def _visible(self, ring: int) -> float:
        """Share of a ring that is on the detector."""
        if self.image is None:
            return 1.0
        two_theta = np.degrees(arctan(self.rings_in_use[ring] / self.detector.lsd))
        return float(on_detector(self.detector, self.image, two_theta).mean())

    @cached_property
    def poor_rings(self) -> tuple[int, ...]:
        """Rings in use with far fewer accepted spots than their reflections let expect from the fullest ring."""
        shares = {ring: n.found / n.expected if n.expected else 0.0 for ring, n in self.counts.items()}
        fullest = max(shares.values(), default=0.0)
        return tuple(ring for ring, share in shares.items() if share < _POOR * fullest)

    @cached_property
    def offsets(self) -> RingOffsets:
        """Observed against predicted radii of the accepted spots."""
        spots = self.spots
        y, z, ring = spots["y_plane"], spots["z_plane"], spots.integers("ring")
        eta = on_plane(y, z, spots["omega_recorded"], self.detector.lsd)[3]
        radii = self.rings_in_use
        predicted = np.array([radii.get(number, np.nan) for number in ring.tolist()])
        known = np.isfinite(predicted)
        return ring_offsets(ring[known], predicted[known], eta[known], hypot(y, z)[known])


def on_plane(
    y: Floats,
    z: Floats,
    omega: Floats,
    lsd: float,
    *,
    wavelength: float = 1.0,
    wedge: float = 0.0,
    exact_wedge: bool = True,
    threads: int = 1,
) -> Floats:
    """Spots of the upright plane as the setup stage hands them on.

    Parameters
    ----------
    y, z : (n,) µm on the plane without tilt and distortion
    omega : (n,) degrees, as recorded

    Returns
    -------
    (k, n) : ideal y, z (µm), omega, eta, two_theta (degrees) first
    """
    upright = DetectorGeometry(lsd=lsd, y_bc=0.0, z_bc=0.0, px=1.0, rho_d=1.0)
    columns, rows, angles = (np.ascontiguousarray(column, np.float64) for column in (-y, z, omega))
    return laboratory_spots(columns, rows, angles, upright.packed(), wavelength, wedge, exact_wedge, threads)
