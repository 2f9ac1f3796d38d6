"""From an image to points on rings, in the model's own coordinate (docs/theory/calibration.md#points-on-rings)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from midas._ext.calibrate.groups import group_pixels, highest_places
from midas._ext.calibrate.pooled import pooled_profiles, tails_of_neighbours
from midas._ext.calibrate.profiles import fit_groups
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.points import Points
from midas.calibration.powder.profile import BIN, EXTENT, RingShape, shape_of
from midas.calibration.powder.quantum import quantum_of
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.windows import Windows, ring_radii, windows_of
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

#: a peak counts when it is this much higher than its sigma, its centre is known to this (px), and each of its flanks
#: has at least this part of the information
SIGNIFICANT, KNOWN, FLANK = 5.0, 0.5, 0.2
#: pixels that a group must have
FEWEST_PIXELS = 12
#: neighbouring bins that agree on where a ring starts to be looked for
NEIGHBOURS = 11
#: windows on either side whose rings reach into a window, and points that such a ring must have
BESIDE, FEWEST_OF_NEIGHBOUR = 2, 5
#: px beyond `rho_d`, of rings that are fitted for what they leave in the windows of others
BEYOND = 40.0
#: times at most that peaks, widths and tails are found from each other, and the change of a ring's mean place, in
#: sigmas, that ends it
ROUNDS, SETTLED = 10, 0.2


@dataclass(frozen=True)
class ExtractSettings:
    """How points are found.

    Parameters
    ----------
    half_width : of a window, px
    eta_bin : degrees; more on rings where that is less than `least_arc` px
    shape : of the rings as an earlier pass found it; without it, it is found from nothing
    rounds : times at most that peaks, widths and tails are found from each other
    threads : the result does not depend on it
    """

    half_width: float = 9.0
    eta_bin: float = 2.0
    least_arc: float = 10.0
    shape: RingShape | None = None
    rounds: int = ROUNDS
    threads: int = 1


@dataclass(frozen=True)
class Extraction:
    """What `extract_all` found.

    Parameters
    ----------
    points : that passed every test
    shape : of the rings
    looked_for : (r,) int64, groups of each ring with enough pixels
    significant : (r,) int64, those of them with a peak
    saturated : (r,) int64, those of them with a saturated pixel
    eta_looked_for : (k,) float64, degrees, middle of the bin of each of the groups looked for
    """

    points: Points
    shape: RingShape
    looked_for: NDArray[np.int64]
    significant: NDArray[np.int64]
    saturated: NDArray[np.int64]
    eta_looked_for: Array


@dataclass(frozen=True)
class _Groups:
    """Pixels of the groups that have any; arrays as `group_pixels` and `fit_groups` describe them.

    `values` are in photons, each of which makes `quantum` units of the image.
    """

    windows: Windows
    starts: NDArray[np.int64]
    pixel: NDArray[np.int32]
    x: NDArray[np.float32]
    values: Array
    window: NDArray[np.int64]
    eta: Array
    panel: NDArray[np.int64]
    shift: Array
    quantum: float


def panel_map(panels: Array, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """(rows, columns) panel of every pixel; -1 in gaps."""
    found = np.full(shape, -1, np.int32)
    for panel in reversed(range(len(panels))):
        y_first, y_last, z_first, z_last = (int(edge) for edge in panels[panel, :4])
        found[z_first : z_last + 1, y_first : y_last + 1] = panel
    return found


def extract_all(
    image: PowderImage, detector: DetectorGeometry, rings: Rings, panels: Array, settings: ExtractSettings
) -> Extraction:
    """Points on the rings of an image, and what else the pixels say.

    Parameters
    ----------
    detector : where the rings are looked for; its wavelength must be given
    panels : (p, 8) float64, `midas.experiment.panels.panels_of`; a point belongs to one panel
    """
    shape = settings.shape or RingShape()
    radii = ring_radii(rings, detector, BEYOND)
    width = float(np.median(shape.fwhm_at(radii[np.isfinite(radii)]))) if np.isfinite(radii).any() else 1.0
    windows = windows_of(radii, settings.half_width, settings.eta_bin, settings.least_arc, width)
    if not len(windows):
        return _nothing(len(rings), shape)
    groups = _grouped(image, detector, windows, panels, settings.threads)
    if not len(groups.window):
        return _nothing(len(rings), shape)
    found, accepted, shape = _rounds(groups, image, detector, panels, shape, settings)
    inside = np.isfinite(ring_radii(rings, detector))
    return _chosen(groups, found, accepted, shape, image.full_scale, inside)


def _rounds(
    groups: _Groups,
    image: PowderImage,
    detector: DetectorGeometry,
    panels: Array,
    shape: RingShape,
    settings: ExtractSettings,
) -> tuple[NDArray[np.void], NDArray[np.bool_], RingShape]:
    """Peaks, the shape of rings, and what rings leave in the windows of their neighbours, each from the others."""
    tails = np.zeros(len(groups.x), np.float32)
    shift, threads, columns = groups.shift, settings.threads, image.counts.shape[1]
    found = _fitted(groups, tails, shift, columns, detector, panels, shape, threads)
    for _ in range(settings.rounds - 1):
        accepted = _accepted(groups, found)
        whole = accepted & (found["highest"] * groups.quantum < image.full_scale)
        shape = _shape(groups, tails, found, whole, shape)
        tails = tails_of_neighbours(groups.starts, groups.x, _neighbours(groups, found, accepted, shape), threads)
        shift = np.where(accepted[:, 0], found["place"][:, 0], groups.shift)
        before, found = found, _fitted(groups, tails, shift, columns, detector, panels, shape, threads)
        if _settled(groups, before, found, _accepted(groups, found)):
            break
    return found, _accepted(groups, found), shape


def _settled(groups: _Groups, before: NDArray[np.void], found: NDArray[np.void], accepted: NDArray[np.bool_]) -> bool:
    """Whether no ring has moved as a whole by a noticeable part of what is known of it."""
    change = found["place"] - before["place"]
    used = accepted & np.isfinite(change)
    peak = (groups.window[:, None] * found.shape[1] + np.arange(found.shape[1]))[used]
    weight = found["sigma"][used] ** -2.0
    certainty = np.bincount(peak, weight)
    moved = np.bincount(peak, weight * change[used]) / np.sqrt(np.maximum(certainty, 1e-300))
    return bool((np.abs(moved) < SETTLED).all())


def _grouped(image: PowderImage, detector: DetectorGeometry, windows: Windows, panels: Array, threads: int) -> _Groups:
    starts, pixel, x, values = group_pixels(
        image.counts,
        image.masked.view(np.uint8),
        panel_map(panels, image.counts.shape),
        detector.packed(),
        panels,
        windows.lowest,
        windows.highest,
        windows.middle,
        windows.bins,
        threads,
    )
    quantum = quantum_of(image)
    values /= quantum
    per_bin = max(len(panels), 1)
    window = np.repeat(np.arange(len(windows)), windows.bins * per_bin)
    first = np.cumsum(windows.bins * per_bin) - windows.bins * per_bin
    number, panel = np.divmod(np.arange(len(window)) - first[window], per_bin)
    # groups without pixels go; their starts are those of their neighbours, so the others' pixels stay where they are
    some = np.flatnonzero(np.diff(starts) > 0)
    starts, window, number, panel = np.append(starts[some], starts[-1]), window[some], number[some], panel[some]
    shift = highest_places(starts, x, values, window, windows.peaks, windows.reach)
    return _Groups(
        windows=windows,
        starts=starts,
        pixel=pixel,
        x=x,
        values=values,
        window=window,
        eta=(number + 0.5) * 360.0 / windows.bins[window] - 180.0,
        panel=panel if len(panels) else np.full(len(panel), -1),
        shift=_agreed(shift, window),
        quantum=quantum,
    )


def _agreed(shift: Array, window: NDArray[np.int64]) -> Array:
    """Shifts to start from: of each bin the median of its neighbours around the ring."""
    agreed = np.full(len(shift), np.nan)
    for each in np.unique(window):
        own = np.flatnonzero((window == each) & np.isfinite(shift))
        if len(own):
            agreed[own] = median_filter(shift[own], size=min(NEIGHBOURS, len(own)), mode="wrap")
    return agreed


def _fitted(
    groups: _Groups,
    tails: NDArray[np.float32],
    shift: Array,
    columns: int,
    detector: DetectorGeometry,
    panels: Array,
    shape: RingShape,
    threads: int,
) -> NDArray[np.void]:
    windows = groups.windows
    radius = windows.middle[:, None] + np.nan_to_num(windows.peaks)
    return fit_groups(
        groups.starts,
        groups.pixel,
        groups.x,
        groups.values,
        tails,
        columns,
        detector.packed(),
        panels,
        groups.window,
        groups.panel,
        windows.middle,
        windows.peaks,
        shape.fwhm_at(radius),
        shape.mixing_at(radius),
        shift,
        threads,
    )


def _accepted(groups: _Groups, found: NDArray[np.void]) -> NDArray[np.bool_]:
    """(g, 2) peaks that are worth a point, saturation aside."""
    sigma = found["sigma"] * np.sqrt(np.maximum(found["chi2"], 1.0))
    return np.asarray(
        (found["height"] > SIGNIFICANT * found["sigma_height"])
        & (np.abs(found["place"]) < groups.windows.reach[groups.window][:, None])
        & (np.abs(found["inner"] - 0.5) <= 0.5 - FLANK)
        & (sigma < KNOWN)
    )


def _shape(
    groups: _Groups,
    tails: NDArray[np.float32],
    found: NDArray[np.void],
    accepted: NDArray[np.bool_],
    before: RingShape,
) -> RingShape:
    windows = groups.windows
    single = np.isnan(windows.peaks[:, 1])
    used = accepted[:, 0] & single[groups.window]
    half = int(EXTENT / BIN)
    fits = np.column_stack([found[name][:, 0] for name in ("place", "height", "background", "slope")])
    pooled = pooled_profiles(
        groups.starts, groups.x, groups.values, tails, groups.window, windows.peaks, fits,
        used.view(np.uint8), len(windows), BIN, half,
    )  # fmt: skip
    half_widths = np.minimum(windows.middle - windows.lowest, windows.highest - windows.middle)
    return shape_of(pooled, windows.middle, half_widths, before)


def _neighbours(groups: _Groups, found: NDArray[np.void], accepted: NDArray[np.bool_], shape: RingShape) -> Array:
    """(g, n, 4) of the rings beside those of each group, as `tails_of_neighbours` takes them."""
    windows = groups.windows
    result = np.zeros((len(groups.window), 2 * BESIDE * found.shape[1], 4))
    places = [(step, peak) for step in range(-BESIDE, BESIDE + 1) if step for peak in range(found.shape[1])]
    for window in range(len(windows)):
        own = groups.window == window
        for at, (step, peak) in enumerate(places):
            other = (groups.window == window + step) & accepted[:, peak]
            if other.sum() < FEWEST_OF_NEIGHBOUR:
                continue
            radius = windows.middle[window + step] + windows.peaks[window + step, peak]
            for column, name in enumerate(("height", "place")):
                result[own, at, column] = np.interp(
                    groups.eta[own], groups.eta[other], found[name][other, peak], period=360.0
                )
            result[own, at, 1] += radius - windows.middle[window]
            result[own, at, 2:] = shape.fwhm_at(radius), shape.mixing_at(radius)
    return result


def _chosen(
    groups: _Groups,
    found: NDArray[np.void],
    accepted: NDArray[np.bool_],
    shape: RingShape,
    full_scale: float,
    inside: NDArray[np.bool_],
) -> Extraction:
    """Points of the rings that are inside `rho_d`, and the counts."""
    ring, rings = groups.windows.ring[groups.window], len(inside)
    counted = (ring >= 0) & inside[ring]
    saturated = found["highest"] * groups.quantum >= full_scale
    rows, peaks = np.nonzero(accepted & ~saturated & counted)
    # by ring, bin and panel, as groups are within one window
    order = np.lexsort((rows, ring[rows, peaks]))
    rows, peaks = rows[order], peaks[order]
    best = found[rows, peaks]
    points = Points(
        y_px=best["y_px"],
        z_px=best["z_px"],
        sigma=best["sigma"] * np.sqrt(np.maximum(best["chi2"], 1.0)),
        ring=ring[rows, peaks],
        eta=groups.eta[rows],
        panel=groups.panel[rows],
        chi2=best["chi2"],
        height=best["height"] * groups.quantum,
        background=best["background"] * groups.quantum,
    )
    enough = (found["pixels"] >= FEWEST_PIXELS) & counted
    looked_for, significant, beyond = (
        np.bincount(ring[of & enough], minlength=rings) for of in (enough, accepted, saturated)
    )
    return Extraction(points, shape, looked_for, significant, beyond, groups.eta[enough[:, 0]])


def _nothing(rings: int, shape: RingShape) -> Extraction:
    none, counts = np.empty(0), np.zeros(rings, np.int64)
    whole = np.empty(0, np.int64)
    return Extraction(
        Points(none, none, none, whole, none, whole, none, none, none), shape, counts, counts, counts, none
    )
