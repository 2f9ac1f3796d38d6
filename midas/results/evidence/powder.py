"""The powder profile of a layer: intensity against two-theta, with the rings.

See docs/theory/evidence.md#powder-profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive
from midas.experiment.corrected_frames import CorrectedFrames
from midas.experiment.crystal import space_group, within_detector
from midas.experiment.detector import DetectorGeometry
from midas.experiment.layer_view import LayerView
from midas.experiment.panels import true_pixels
from midas.formats import hkls as hkls_format
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.results.evidence.predicted import layer_of, parameters_of, predictor_of
from midas.runtime.errors import StageError

if TYPE_CHECKING:
    from midas.results.reading import Results

Array = NDArray[np.float64]

#: bins of a profile: of so many pixels at least, and so many at most
_PIXELS, _MOST_BINS = 0.5, 4000


@dataclass(frozen=True)
class ProfileRing:
    """A ring of the crystal.

    Parameters
    ----------
    number : of the ring
    two_theta : degrees, of the unstrained crystal
    names : the reflections of the ring, one of each kind, as "1 1 1"
    used : whether grains are looked for on it
    """

    number: int
    two_theta: float
    names: str
    used: bool


@dataclass(frozen=True)
class PowderProfile:
    """Intensity against two-theta.

    Parameters
    ----------
    two_theta : (n + 1,) edges of the bins, degrees
    intensity : (n,) sum of the spots, or mean of the frames in counts a pixel
    spots : (n,) int64, number of spots; zeros for frames
    rings : those of the crystal that lie on the detector
    source : "spots" or "frames"
    """

    two_theta: Array
    intensity: Array
    spots: NDArray[np.int64]
    rings: tuple[ProfileRing, ...]
    source: str

    @property
    def middle(self) -> Array:
        """(n,) middles of the bins, degrees."""
        return np.asarray((self.two_theta[:-1] + self.two_theta[1:]) / 2, np.float64)


def powder_profile(results: Results, frames: int = 0) -> PowderProfile:
    """The profile of a layer.

    Parameters
    ----------
    results : of a layer folder
    frames : from so many frames, evenly over the scan; 0: from the spots of the tables

    Raises
    ------
    StageError : there are no spots, or no archive where frames are asked for
    ParameterError, FormatError : the layer does not say where its rings are
    """
    layer = layer_of(results)
    parameters, of_setup = parameters_of(layer)
    view = predictor_of(results).view
    rings = rings_of(layer, of_setup, (results.space_group, results.cell))
    if frames:
        return _of_frames(layer, parameters, view, rings, frames)
    table = results.all_spots
    if table is None:
        raise StageError("is missing; it holds the spots of the profile", file=layer.extra_info)
    known = table["ring"] > 0
    two_theta, intensity = table["two_theta"][known], np.nan_to_num(table["intensity"][known])
    edges = _edges(view.detector, two_theta, rings)
    total, _ = np.histogram(two_theta, edges, weights=intensity)
    number, _ = np.histogram(two_theta, edges)
    return PowderProfile(edges, total, number.astype(np.int64), rings, "spots")


def rings_of(layer: Layer, of_setup: Parameters, crystal: tuple[int, tuple[float, ...]]) -> tuple[ProfileRing, ...]:
    """The rings on the detector.

    Parameters
    ----------
    crystal : space group and unstrained cell
    """
    hkls = within_detector(hkls_format.LAYOUT.read(layer.hkls), of_setup)
    used = set(of_setup["RingNumbers"])
    operations = space_group(*crystal).operations
    indices, ring = hkls.numbers("hkl").astype(np.int64), hkls.integers("ring")
    # Reflections are of one kind when an operation, or the inversion, takes one to the other. For all of them stands
    # the one with the fewest negative indices, of these the largest.
    family = np.einsum("ni,oij->noj", indices, operations)
    family = np.concatenate([family, -family], axis=1)
    rank = family @ np.array([1 << 40, 1 << 20, 1]) - (1 << 60) * (family < 0).sum(axis=2)
    best = np.take_along_axis(family, np.argmax(rank, axis=1)[:, None, None], axis=1)[:, 0]
    rings = []
    for number in np.unique(ring).tolist():
        rows = np.flatnonzero(ring == number)
        names = ", ".join(" ".join(map(str, kind)) for kind in np.unique(best[rows], axis=0)[::-1].tolist())
        rings.append(ProfileRing(number, float(hkls["two_theta"][rows[0]]), names, number in used))
    return tuple(rings)


def _edges(detector: DetectorGeometry, two_theta: Array, rings: tuple[ProfileRing, ...]) -> Array:
    """Edges of bins of equal width, over all that is shown."""
    shown = np.concatenate([two_theta, [ring.two_theta for ring in rings]])
    if not len(shown):
        return np.array([0.0, 1.0])
    width = float(np.degrees(_PIXELS * detector.px / detector.lsd))
    low, high = max(float(shown.min()) * 0.95, 0.0), float(shown.max()) * 1.02
    bins = int(np.clip((high - low) / width, 1, _MOST_BINS))
    return np.linspace(low, high, bins + 1)


def _of_frames(
    layer: Layer, parameters: Parameters, view: LayerView, rings: tuple[ProfileRing, ...], number: int
) -> PowderProfile:
    """The mean of some frames, averaged over the azimuth."""
    if layer.archive is None or not layer.archive.exists():
        raise StageError("has no archive, whose frames would make the profile", file=layer.folder)
    with Archive(layer.archive) as archive:
        frames = CorrectedFrames.of(archive, parameters)
        which = np.unique(np.linspace(0, len(frames) - 1, number).round().astype(int)).tolist()
        y, z = np.nonzero(frames.numbers >= 0)
        counts = frames.mean_counts(which)[frames.numbers[y, z]]
    two_theta = view.detector.ideal(*true_pixels(view.panels, y.astype(np.float64), z.astype(np.float64))).two_theta
    edges = _edges(view.detector, np.array([two_theta.max()]), rings)
    known = np.isfinite(counts)
    total, _ = np.histogram(two_theta[known], edges, weights=counts[known])
    pixels, _ = np.histogram(two_theta[known], edges)
    mean = total / np.maximum(pixels, 1)
    return PowderProfile(edges, mean, np.zeros(len(mean), np.int64), rings, "frames")
