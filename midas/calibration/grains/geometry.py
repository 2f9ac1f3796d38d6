"""The geometry from the grains of finished layers (docs/theory/geometry_from_grains.md)."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from midas.calibration.grains.auto import Choice, asked_about, choose, held_out_of, possible_sets
from midas.calibration.grains.case import Case, Measurement, put_back, start_of
from midas.calibration.grains.gauge import Convention, Trust
from midas.calibration.grains.joint import Fit, Information, information_of
from midas.calibration.grains.layers import FEWEST, layer_of, read_layer
from midas.calibration.grains.observed import Spots
from midas.calibration.grains.pairing import measurement_of
from midas.calibration.grains.rematch import rematched
from midas.calibration.grains.report import result_of
from midas.calibration.grains.result import GeometryResult
from midas.calibration.grains.state import AT, Free, State, parsed
from midas.experiment import reciprocal_basis
from midas.experiment.instrument_numbers import numbers_of
from midas.formats.layer import Layer
from midas.runtime.errors import StageError, UsageError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Folder = str | os.PathLike[str] | Layer

#: changes beyond which a number is not believed; of Lsd a part
_LIMITS = {
    "BCy": 30.0,
    "BCz": 30.0,
    **dict.fromkeys(("tx", "ty", "tz"), 10.0),
    **dict.fromkeys(("p0", "p1c", "p1s", "p2"), 0.02),
    "Wedge": 2.0,
}
_LSD = 0.05
#: a grain fits badly with this many times the median of the grains, or with this part of its spots as outliers
_POOR, _OUTLIERS = 3.0, 0.5
#: more than this part of such grains is no chance
_MOST_POOR = 1 / 3


@dataclass(frozen=True)
class Settings:
    """How a geometry is refined.

    Parameters
    ----------
    refine : words of `WORDS`, or auto
    fix : words of numbers that stay
    trust : for the scale, see `Trust`
    z0 : mean height of the grains: that of the start, 0 as the beam's centre, or a number, µm
    share : words of numbers that several detectors have in common
    iterations : of a fit, at most
    sigma_floor : systematic part of a spot's uncertainty, px
    force : whether a fit that has not converged, or predicts worse, is a result
    threads : of the kernel
    keep_start : whether a number whose change is less than its sigma stays what it was
    """

    refine: str | Sequence[str] = "auto"
    fix: Sequence[str] = ()
    trust: Trust = "mean"
    z0: Literal["keep", "beam"] | float = "keep"
    share: Sequence[str] = ("Wedge",)
    iterations: int = 40
    sigma_floor: float = 0.005
    force: bool = False
    threads: int = 1
    keep_start: bool = True

    @property
    def auto(self) -> bool:
        """Whether the data decide."""
        return self.refine in ("auto", ["auto"], ("auto",))

    def words(self) -> tuple[str, ...]:
        """Of the numbers that were asked for."""
        return tuple(self.refine.split(",")) if isinstance(self.refine, str) else tuple(self.refine)


def geometry_from_grains(
    layers: Folder | Sequence[Folder],
    refine: str | Sequence[str] = "auto",
    *,
    fix: Sequence[str] = (),
    trust: Trust | None = None,
    z0: Literal["keep", "beam"] | float = "keep",
    wedge_model: Literal["exact", "legacy"] | None = None,
    share: Sequence[str] = ("Wedge",),
    iterations: int = 40,
    min_confidence: float = 0.5,
    force: bool = False,
    threads: int = 1,
    keep_start: bool = True,
) -> GeometryResult:
    """Refine the geometry and all grains of finished layers together.

    Parameters
    ----------
    layers : layer folders with the tables up to ``Grains.csv``; several are detectors of one scan, with common grains
    refine : ``auto``, or words among Lsd BC tx ty tz p0 p1 p2 p3 Wedge Omega0 Wavelength Panels Wobble, as a list or
        separated by commas
    fix : words of numbers that stay whatever `refine` says
    trust : what fixes the scale: ``mean``, ``none``, ``each`` or a sigma × 10⁶; by default the key `TrustLattice`
    z0 : mean height of the grains: ``keep``, ``beam`` or µm
    wedge_model : by default the key `WedgeModel`
    share : words of numbers that several detectors have in common
    iterations : of a fit, at most
    min_confidence : of the grains that are used
    force : accept a fit that has not converged, or that predicts unseen spots worse than the start
    threads : for the sums over spots; results do not depend on them
    keep_start : whether a number whose change is less than its sigma stays what it was

    Raises
    ------
    StageError : nothing can be refined from the layers, or the fit is not one to trust
    UsageError : a word that is none
    MidasError : a layer that cannot be read
    """
    folders = [layers] if isinstance(layers, (str, os.PathLike, Layer)) else list(layers)
    read = [read_layer(layer_of(folder), min_confidence, wedge_model) for folder in folders]
    if trust is None:
        trust = read[0].parameters["TrustLattice"]
        if isinstance(trust, str) and trust not in ("mean", "none", "each"):
            trust = float(trust)
    floor = float(read[0].parameters["SigmaFloor"])
    settings = Settings(refine, fix, trust, z0, share, iterations, floor, force, threads, keep_start)
    return refined(measurement_of(read), settings)


def refined(measurement: Measurement, settings: Settings) -> GeometryResult:
    """The joint fit of a measurement; see `geometry_from_grains`."""
    run = _Run(measurement, settings)
    if not np.isfinite(run.case.problem().residuals(run.start)).all():
        raise StageError("the geometry of the start predicts no spots: check Lsd, Wavelength and the cell")
    choice = run.choose()
    found = run.converge(choice)
    case, information = run.case, information_of(run.case.problem(), found)
    held_out = held_out_of(run.asked, choice, case.detectors)
    if not found.converged and not settings.force:
        raise StageError(f"no convergence in {settings.iterations} iterations; the last cost is {found.log[-1, 0]:.6g}")
    before, after = held_out.loss
    if held_out.worse and not settings.force:
        raise StageError(f"the refined geometry predicts unseen spots worse ({after:.4g} against {before:.4g})")
    return result_of(run, choice, found, information, held_out)


@dataclass
class _Run:
    """A refinement on its way: what is left of the measurement, and what has happened to it."""

    measurement: Measurement
    settings: Settings
    case: Case = field(init=False)
    #: the case that the held-out spots belong to
    asked: Case = field(init=False)
    start: State = field(init=False)
    #: rows of the grains of the measurement that are in the case, and those that fit badly
    kept: NDArray[np.int64] = field(init=False)
    poor: list[int] = field(default_factory=list)
    railed: dict[str, float] = field(default_factory=dict)
    no_better: dict[str, float] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    rounds: int = 0

    def __post_init__(self) -> None:
        m, s = self.measurement, self.settings
        numbers = np.array([numbers_of(detector) for detector in m.detectors])
        shared = parsed(s.share) if s.share else ()
        for name in shared:
            if name in AT:
                numbers[:, AT[name]] = numbers[0, AT[name]]
        self.start = start_of(m, numbers)
        volume = m.volume if s.z0 == "beam" else np.ones(len(m.ub))
        height = float(m.positions[:, 2].mean()) if s.z0 == "keep" else 0.0 if s.z0 == "beam" else float(s.z0)
        convention = Convention(np.array(reciprocal_basis(m.cell)), s.trust, height, volume)
        self.kept = np.arange(len(m.ub))
        self.case = Case(
            m.spots,
            m.spots.classes(m.detectors),
            len(m.ub),
            len(m.detectors),
            convention,
            tuple(shared),
            m.panel_list(),
            self._fixed(parsed(s.fix) if s.fix else ()),
            s.threads,
            s.iterations,
        )
        self.asked = self.case
        self.sentences = list(m.sentences)

    def _fixed(self, names: Collection[str]) -> frozenset[str]:
        """Names of all columns of these numbers."""
        every = Free.of(names, len(self.measurement.detectors), (), self.measurement.panel_list())
        return frozenset((*every.names, *names))

    def choose(self) -> Choice:
        """Which numbers are refined."""
        if self.settings.auto:
            sets, refused, sentences = possible_sets(self.case, len(self.case.spots))
            self.sentences += sentences
            choice = choose(self.case, self.start, sets, refused)
            self.case = self.case.holding(choice.held)
            self.asked = self.case
            return choice
        wanted = parsed(self.settings.words())
        if len(np.unique(self.case.spots.ring)) == 1 and {"p0", "p1c", "p1s", "p2"} & set(wanted):
            wanted = tuple(name for name in wanted if name not in ("p0", "p1c", "p1s", "p2"))
            self.sentences.append("one ring: Lsd cannot be told from p2")
        if "Panels" in wanted and not any(movable for _, movable in self.case.panels):
            raise UsageError("no panel of the layers can be moved (NPanelsY, NPanelsZ)", key="-refine", value="Panels")
        if not len(self.case.free(wanted)):
            raise UsageError("leaves nothing to refine", key="-refine")
        self._check_enough(wanted)
        return asked_about(self.case, self.start, wanted, self.case.fit(self.start, wanted))

    def _check_enough(self, wanted: Sequence[str]) -> None:
        spots = len(self.case.spots)
        unknowns = self.case.convention.unknowns * self.case.grains + len(self.case.free(wanted))
        if spots < unknowns:
            raise StageError(f"{spots} spots for {unknowns} unknowns: refine fewer numbers")

    def converge(self, choice: Choice) -> Fit:
        """The fit of the chosen numbers, until nothing needs to be left out, matched anew or held."""
        found = self._unrailed(choice.wanted, self.case.fit(self.start, choice.wanted))
        found = self._without_poor(choice.wanted, found)
        spots = rematched(self._current(), found.state, found.scales, self.case.spots)
        enough = np.bincount(spots.grain, minlength=self.case.grains) >= FEWEST
        if enough.all():
            self._take(spots)
            found = self._again(found.state, choice.wanted)
        found = self._unrailed(choice.wanted, found)
        return self._kept_at_start(choice.wanted, found)

    def _current(self) -> Measurement:
        """The measurement of the grains that are left."""
        m, kept = self.measurement, self.kept
        return replace(
            m,
            ids=m.ids[kept],
            ub=m.ub[kept],
            positions=m.positions[kept],
            volume=m.volume[kept],
            spots=self.case.spots,
        )

    def _take(self, spots: Spots) -> None:
        self.case = replace(self.case, spots=spots, classes=spots.classes(self.measurement.detectors))

    def _again(self, state: State, wanted: Sequence[str]) -> Fit:
        self.rounds += 1
        return self.case.fit(state, wanted)

    def _unrailed(self, wanted: Sequence[str], found: Fit) -> Fit:
        """With numbers set back that left every reasonable range."""
        change = found.free.values(found.state) - found.free.values(self.start)
        lsd = float(self.start.numbers[0, AT["Lsd"]])
        limits = [_LSD * lsd if plain == "Lsd" else _LIMITS.get(plain, np.inf) for plain in found.free.plain()]
        over = {
            name: float(by) for name, by, limit in zip(found.free.names, change, limits, strict=True) if abs(by) > limit
        }
        if not over:
            return found
        self.railed |= over
        if len(self.railed) > 1:
            words = ", ".join(f"{name} by {by:.4g}" for name, by in self.railed.items())
            raise StageError(
                f"the fit leaves every reasonable range ({words}): is the start geometry that of this scan?"
            )
        state = put_back(found.state, self.start, set(over), found.free)
        self.case = self.case.holding(over)
        return self._unrailed(wanted, self._again(state, wanted))

    def _without_poor(self, wanted: Sequence[str], found: Fit) -> Fit:
        """Once more without the grains that fit badly."""
        information = information_of(self.case.problem(), found)
        poor = poor_grains(self.case, found, information)
        if not poor.any():
            return found
        if poor.mean() > _MOST_POOR:
            raise StageError("most grains do not fit: wrong cell, ring numbers or indexing?")
        ids = " ".join(str(self.measurement.ids[self.kept[g], 0]) for g in np.flatnonzero(poor))
        self.sentences.append(f"left out since their spots do not fit: {ids}")
        self.poor += self.kept[poor].tolist()
        self.case = self.case.of_grains(~poor, found.state)
        self.start, self.kept = self.start.take(~poor), self.kept[~poor]
        return self._again(found.state.take(~poor), wanted)

    def _kept_at_start(self, wanted: Sequence[str], found: Fit) -> Fit:
        """With numbers at their start whose change is less than their sigma."""
        information = information_of(self.case.problem(), found)
        sigma = np.sqrt(np.maximum(np.diag(information.covariance), 0.0))
        change = np.abs(found.free.values(found.state) - found.free.values(self.start))
        small = {
            name: float(one)
            for name, plain, one, by in zip(found.free.names, found.free.plain(), sigma, change, strict=True)
            if by < one and plain in _LIMITS and plain != "BCz"
        }
        if not small or not self.settings.keep_start or self.settings.trust == "each":
            return found
        self.no_better = small
        state = put_back(found.state, self.start, set(small), found.free)
        self.case = self.case.holding(small)
        return self._again(state, wanted)


def poor_grains(case: Case, found: Fit, information: Information) -> Mask:
    """(g,) grains with large residuals or many outliers."""
    chi2, used = chi2_of(case, found, information)
    spots = np.maximum(np.bincount(case.spots.grain, minlength=case.grains), 1)
    return np.asarray((chi2 > _POOR * max(float(np.median(chi2)), 1.0)) | (1 - used / spots > _OUTLIERS), np.bool_)


def chi2_of(case: Case, found: Fit, information: Information) -> tuple[Array, Array]:
    """Mean square of each grain's inliers in standard deviations, and the number of its inlying places."""
    square = np.where(information.inlier, found.residuals**2 / information.variance, 0.0).sum(axis=0)
    grain, count = case.spots.grain, case.grains
    numbers = np.bincount(grain, information.inlier.sum(axis=0), count)
    chi2 = np.bincount(grain, square, count) / np.maximum(numbers - case.convention.unknowns, 1)
    return np.asarray(chi2, np.float64), np.bincount(grain, information.inlier[0], count).astype(np.float64)
