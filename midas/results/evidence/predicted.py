"""Every reflection that a grain should show, and what was seen of it (docs/theory/evidence.md#predicted-spots)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.reflections import PredictedReflections
from midas._ext.numerics.elementwise import arctan, hypot
from midas.archive import Archive
from midas.experiment.angles import wrapped
from midas.experiment.layer_view import LayerView, layer_view
from midas.experiment.panels import recorded_pixels, true_pixels
from midas.formats import hkls as hkls_format
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.results.columns import Field, dtype_of
from midas.results.evidence.pairs import Places, nearest, pairs
from midas.runtime.errors import FormatError, StageError
from midas.runtime.ragged import entries_of, offsets_of

if TYPE_CHECKING:
    from midas.results.reading import Grain, Results

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

#: values of the column `state`, and what the pages call them
OBSERVED, MISSING, OUTSIDE, SHARED = range(4)
STATES = ("observed", "missing", "outside", "shared")

PREDICTED_FIELDS = (
    Field("grain_id", "<i8", "", "grain to which the reflection belongs"),
    Field("ring", "<i4", "", "ring number"),
    Field("h", "<i4", "", "Miller index"),
    Field("k", "<i4", "", "Miller index"),
    Field("l", "<i4", "", "Miller index"),
    Field("branch", "<i1", "", "which of both omegas: sign of the laboratory y of the spot"),
    Field("state", "<u1", "", "0 observed, 1 missing, 2 outside of what is measured, 3 shared"),
    Field("expected", "?", "", "whether the spot lies where spots are accepted"),
    Field("counted", "?", "", "whether the grain has a spot of it (SpotMatrix.csv)"),
    Field("omega", "<f8", "degrees", "predicted, as it would be recorded"),
    Field("y", "<f8", "px", "predicted, as it would be recorded"),
    Field("z", "<f8", "px", "predicted, as it would be recorded"),
    Field("eta", "<f8", "degrees", "predicted azimuth on the plane"),
    Field("two_theta", "<f8", "degrees", "predicted, of the place on the plane seen from the axis"),
    Field("lorentz", "<f8", "", "sine of the angle at which the reflection crosses the sphere; 0 at the poles"),
    Field("spot_id", "<i8", "", "spot that was observed; -1 for none"),
    Field("other_grain", "<i8", "", "another grain that has the spot; -1 for none"),
    Field("omega_observed", "<f8", "degrees", "NaN where nothing was"),
    Field("y_observed", "<f8", "px", "NaN where nothing was"),
    Field("z_observed", "<f8", "px", "NaN where nothing was"),
    Field("d_omega", "<f8", "degrees", "observed minus predicted"),
    Field("d_y", "<f8", "px", "observed minus predicted"),
    Field("d_z", "<f8", "px", "observed minus predicted"),
    Field("d_radial", "<f8", "um", "observed minus predicted radius on the plane"),
    Field("d_arc", "<f8", "um", "observed minus predicted along the ring, towards larger eta"),
)
PREDICTED_DTYPE = dtype_of(PREDICTED_FIELDS)

#: the spots of a grain are within so many margins of their reflections
_OWN_MARGINS = 2.0
#: a spot of another grain: limits in usual residuals, and least and most of them, px; in steps of omega
_USUAL, _LEAST, _MOST, _STEPS = 3.0, 1.0, 5.0, 1.5
#: grains that are predicted together, and from which the usual residuals are taken
_BATCH, _SAMPLE = 500, 200


@dataclass(frozen=True)
class Predicted:
    """The reflections of grains.

    Parameters
    ----------
    spots : of `PREDICTED_DTYPE`, grain by grain
    starts : (g + 1,) int64; grain k has ``spots[starts[k] : starts[k + 1]]``
    unmatched : rows of the spots of the layer (`Results.spots`) that lie near no reflection of their grain
    """

    spots: NDArray[np.void]
    starts: Rows
    unmatched: Rows

    def of(self, place: int) -> NDArray[np.void]:
        """The reflections of one of the grains, counted from 0."""
        return self.spots[self.starts[place] : self.starts[place + 1]]


class Predictor:
    """Predicts the spots of the grains of a layer, and finds what was seen of them.

    Parameters
    ----------
    results : of a layer folder
    view : what records the spots
    step : usual rotation of a frame, degrees
    margins : on the detector (µm) and in omega (degrees), within which spots were looked for
    """

    def __init__(self, results: Results, view: LayerView, step: float, margins: tuple[float, float]):
        self.results, self.view, self.step = results, view, step
        self._margins = margins
        grains = results.grains
        self._crystals = tuple(
            np.ascontiguousarray(grains[name], np.float64) for name in ("orientation", "position", "cell")
        )
        owners = _OtherGrains(results)
        self._other, self._table = owners.of, _all_spots(results)

    @classmethod
    def of(cls, results: Results) -> Predictor:
        """The predictor of a layer, from its archive, ``paramstest.txt`` and ``hkls.csv``.

        Raises
        ------
        StageError : there is no layer folder
        ParameterError, FormatError : naming what is missing there
        """
        layer = layer_of(results)
        parameters, of_setup = parameters_of(layer)
        hkls = hkls_format.LAYOUT.read(layer.hkls)
        view = layer_view(layer, parameters, of_setup, hkls)
        across = max(abs(of_setup["MarginRadial"]), of_setup["MarginEta"], view.detector.px)
        step = abs(parameters.get("OmegaStep", 0.0))
        return cls(results, view, step, (across, max(of_setup["MarginOme"], step, 1e-3)))

    def grain(self, row: int) -> NDArray[np.void]:
        """(n,) of `PREDICTED_DTYPE`: the reflections of the grain in this row."""
        return self.rows(np.array([row], np.int64)).spots

    def every(self, threads: int = 1) -> Predicted:
        """The reflections of all grains."""
        return self.rows(np.arange(len(self.results.grains)), threads)

    def rows(self, rows: Rows, threads: int = 1) -> Predicted:
        """The reflections of the grains in these rows."""
        parts = [self._batch(rows[i : i + _BATCH], threads) for i in range(0, len(rows), _BATCH)]
        if not parts:
            return Predicted(np.empty(0, PREDICTED_DTYPE), np.zeros(1, np.int64), np.empty(0, np.int64))
        counts = np.concatenate([np.diff(part.starts) for part in parts])
        return Predicted(
            np.concatenate([part.spots for part in parts]),
            offsets_of(counts),
            np.concatenate([part.unmatched for part in parts]),
        )

    def _batch(self, rows: Rows, threads: int) -> Predicted:
        out, predicted, unmatched = self._with_own(rows, threads)
        self._match_others(out)
        self._set_residuals(out, hypot(predicted.y_plane, predicted.z_plane))
        return Predicted(out, offsets_of(np.bincount(predicted.crystal, minlength=len(rows))), unmatched)

    def _with_own(self, rows: Rows, threads: int) -> tuple[NDArray[np.void], PredictedReflections, Rows]:
        """Reflections with the grains' own spots, and the rows of those spots that have none."""
        u, position, cell = (np.ascontiguousarray(values[rows]) for values in self._crystals)
        predicted = self.view.model.predicted(u, position, cell, threads)
        out = self._predictions(predicted, rows)
        return out, predicted, self._match_own(out, predicted.crystal, rows)

    def _predictions(self, predicted: PredictedReflections, rows: Rows) -> NDArray[np.void]:
        """The columns that need no spots."""
        out = np.zeros(len(predicted.crystal), PREDICTED_DTYPE)
        out["grain_id"] = self.results.grains["grain_id"][rows][predicted.crystal]
        for name in "hkl":
            out[name] = self.view.hkls[name][predicted.hkl]
        out["ring"], out["branch"], out["expected"] = predicted.ring, predicted.branch, predicted.accepted
        out["omega"], out["eta"], out["lorentz"] = predicted.omega_recorded, predicted.eta, predicted.lorentz
        radius = hypot(predicted.y_plane, predicted.z_plane)
        out["two_theta"] = np.degrees(arctan(radius / self.view.detector.lsd))
        y, z = self.view.detector.pixel_of_plane(predicted.y_plane, predicted.z_plane)
        out["y"], out["z"] = recorded_pixels(self.view.panels, y, z)
        out["spot_id"] = out["other_grain"] = -1
        for name in ("omega_observed", "y_observed", "z_observed"):
            out[name] = np.nan
        return out

    def _match_own(self, out: NDArray[np.void], crystal: NDArray[np.int32], rows: Rows) -> Rows:
        """Each of the grains' own spots with its reflection; returns the rows of those that have none."""
        starts = self.results.spot_starts
        counts = np.diff(starts)[rows]
        own = entries_of(starts[:-1][rows], counts)
        spots = self.results.spots[own]
        across, along = (_OWN_MARGINS * margin for margin in self._margins)
        groups = (crystal.astype(np.int64), np.repeat(np.arange(len(rows)), counts))
        limits = (across / self.view.detector.px, along)
        seen = Places(spots["y_recorded"], spots["z_recorded"], spots["omega_recorded"], spots["ring"], groups[1])
        of, spot = pairs(Places.of(out, groups[0]), seen, *limits)
        out["counted"][of] = True
        _put(out, of, spots, spot)
        out["other_grain"][of] = self._other(out["spot_id"][of], out["grain_id"][of])
        out["state"] = np.where(out["expected"], MISSING, OUTSIDE)
        out["state"][of] = np.where(out["other_grain"][of] >= 0, SHARED, OBSERVED)
        left = np.ones(len(own), bool)
        left[spot] = False
        return own[left]

    def _match_others(self, out: NDArray[np.void]) -> None:
        """Where a grain misses a spot, the one that is there but is not its own."""
        left = np.flatnonzero(out["state"] == MISSING)
        if self._table is None or not len(left):
            return
        of, spot = nearest(Places.of(out[left]), self._table.places, *self._usual)
        rows = left[of]
        _put(out, rows, self._table.spots, spot)
        out["other_grain"][rows] = self._other(out["spot_id"][rows], out["grain_id"][rows])
        out["state"][rows] = SHARED

    @cached_property
    def _usual(self) -> tuple[float, float]:
        """How near a spot lies to its reflection (px, degrees), from grains evenly over the list."""
        grains = len(self.results.grains)
        rows = np.unique(np.linspace(0, grains - 1, min(grains, _SAMPLE)).round().astype(np.int64))
        out, _, _ = self._with_own(rows, 1)
        own = out[out["counted"]]
        if not len(own):
            return _LEAST, max(_STEPS * self.step, 1e-3)
        off = hypot(own["y_observed"] - own["y"], own["z_observed"] - own["z"])
        turned = np.abs(wrapped(own["omega_observed"] - own["omega"]))
        place = min(max(_USUAL * float(np.median(off)), _LEAST), _MOST)
        return place, max(_USUAL * float(np.median(turned)), _STEPS * self.step, 1e-3)

    def _set_residuals(self, out: NDArray[np.void], radius: Array) -> None:
        out["d_omega"] = wrapped(out["omega_observed"] - out["omega"])
        out["d_y"], out["d_z"] = out["y_observed"] - out["y"], out["z_observed"] - out["z"]
        out["d_radial"] = out["d_arc"] = np.nan
        seen = np.flatnonzero(out["spot_id"] >= 0)
        y, z = true_pixels(self.view.panels, out["y_observed"][seen], out["z_observed"][seen])
        ideal = self.view.detector.ideal(y, z)
        out["d_radial"][seen] = ideal.radius - radius[seen]
        out["d_arc"][seen] = np.radians(wrapped(ideal.eta - out["eta"][seen])) * radius[seen]


def predicted_spots(results: Results, grain: Grain | int) -> NDArray[np.void]:
    """Every reflection of a grain with what was seen of it.

    Parameters
    ----------
    results : of a layer folder; what all grains share is read once and kept with it
    grain : of these results, or its id

    Returns
    -------
    (n,) structured array of the columns `PREDICTED_FIELDS`

    Raises
    ------
    StageError, ParameterError, FormatError : the layer does not say how its spots were recorded
    """
    row = results[grain].row if isinstance(grain, (int, np.integer)) else grain.row
    return predictor_of(results).grain(row)


#: under which results keep what predicts their spots, so that both go at the same time
_KEPT = "_predictor"


def predictor_of(results: Results) -> Predictor:
    """The predictor of these results, made once."""
    kept = vars(results)
    if _KEPT not in kept:
        kept[_KEPT] = Predictor.of(results)
    predictor: Predictor = kept[_KEPT]
    return predictor


def layer_of(results: Results) -> Layer:
    """The layer folder of results.

    Raises
    ------
    StageError : they are those of a file alone
    """
    if results.layer is None:
        reason = "is no layer folder, whose paramstest.txt and hkls.csv say where spots are expected"
        raise StageError(reason, file=results.path)
    return results.layer


def parameters_of(layer: Layer) -> tuple[Parameters, Parameters]:
    """Those of the archive, and those of paramstest.txt.

    Without the archive paramstest.txt stands for it, which knows the detector but for its panels.
    """
    if not layer.paramstest.exists():
        raise FormatError("is missing; run ff-setup", file=layer.paramstest)
    of_setup = Parameters.read(layer.paramstest, "paramstest").for_stage("evidence")
    if layer.archive is not None and layer.archive.exists():
        with Archive(layer.archive) as archive:
            return archive.parameters.for_stage("evidence"), of_setup
    fitted = [of_setup.unknown.get(name) for name in ("YBCFit", "ZBCFit")]
    if "BC" not in of_setup and all(fitted):
        centre = tuple(float(values[0]) for values in fitted if values)
        return of_setup.changed(BC=centre), of_setup
    return of_setup, of_setup


def _put(out: NDArray[np.void], of: Rows, spots: NDArray[np.void], spot: Rows) -> None:
    """Write the places of spots into the rows of their reflections."""
    out["spot_id"][of] = spots["spot_id"][spot]
    for name, source in zip(
        ("omega_observed", "y_observed", "z_observed"), ("omega_recorded", "y_recorded", "z_recorded"), strict=True
    ):
        out[name][of] = spots[source][spot]


class _OtherGrains:
    """Which grains have a spot, from the spots of all grains."""

    def __init__(self, results: Results):
        spots = results.spots
        order = np.lexsort((spots["grain_id"], spots["spot_id"]))
        self._ids, self._grains = spots["spot_id"][order], spots["grain_id"][order]

    def of(self, ids: Rows, grains: Rows) -> Rows:
        """(n,) the first grain that has each spot and is not this one; -1 where there is none."""
        if not len(self._ids):
            return np.full(len(ids), -1, np.int64)
        at = np.searchsorted(self._ids, ids)
        found = np.full(len(ids), -1, np.int64)
        for step in (0, 1):
            place = np.minimum(at + step, len(self._ids) - 1)
            other = (found < 0) & (self._ids[place] == ids) & (self._grains[place] != grains)
            found[other] = self._grains[place][other]
        return found


@dataclass(frozen=True)
class _AllSpots:
    """The whole spot table, and where its spots are."""

    spots: NDArray[np.void]
    places: Places


def _all_spots(results: Results) -> _AllSpots | None:
    table = results.all_spots
    if table is None:
        return None
    known = table.take(np.flatnonzero(table["ring"] > 0))
    names = ("spot_id", "ring", "omega_recorded", "y_recorded", "z_recorded")
    spots = np.zeros(len(known), [(name, "<i8" if name in names[:2] else "<f8") for name in names])
    for name in names:
        spots[name] = known[name]
    places = Places(spots["y_recorded"], spots["z_recorded"], spots["omega_recorded"], spots["ring"])
    return _AllSpots(spots, places)
