"""Which numbers the data ask for: held-out spots decide (docs/theory/geometry_from_grains.md#held-out-spots)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.calibration.grains.case import Case, names_of, put_back
from midas.calibration.grains.classes import loss_of
from midas.calibration.grains.identify import OPEN, units_of
from midas.calibration.grains.joint import ROUGH, Fit, information_of
from midas.calibration.grains.observed import Spots
from midas.calibration.grains.result import HeldOut, SetVerdict
from midas.calibration.grains.state import SETS, State
from midas.experiment.noise import robust_spread
from midas.runtime.errors import UsageError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FOLDS, _SEED = 5, 1
#: a set stays if without it the loss of held-out spots rises by more standard errors and by a larger part than this
_ERRORS, _PART = 2.0, 1e-3
#: with more spots than this a sample of the grains is asked
LARGE = 20_000
#: with fewer rings the distortion cannot be told from the distance
_RINGS = 3


@dataclass(frozen=True)
class Prediction:
    """Spots that fits have not seen.

    Parameters
    ----------
    residuals : (3, n) each spot from the fit without its fold
    tables : of each fold, scales of the classes
    fits : of each fold
    """

    residuals: Array
    tables: tuple[list[Array], ...]
    fits: tuple[Fit, ...]


def folds_of(grain: NDArray[np.int64], count: int = FOLDS, seed: int = _SEED) -> NDArray[np.int64]:
    """(n,) the fold of each spot; every grain has as many in each as can be."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(grain)), grain))
    out = np.empty(len(grain), np.int64)
    starts = np.searchsorted(grain[order], grain[order])
    out[order] = (np.arange(len(grain)) - starts + grain[order]) % count
    return out


def predicted(case: Case, wanted: Sequence[str], folds: NDArray[np.int64], starts: Sequence[State]) -> Prediction:
    """What fits to the other folds say of each fold, from the states of the folds."""
    residuals, tables, fits = np.empty((3, len(case.spots))), [], []
    for fold in range(FOLDS):
        seen, unseen = folds != fold, folds == fold
        problem = case.problem(seen)
        found = case.fit(starts[fold], wanted, seen, ROUGH)
        tables.append(problem.classes.table(found.residuals, problem.excess(found.free)))
        residuals[:, unseen] = case.problem(unseen).residuals(found.state)
        fits.append(found)
    return Prediction(residuals, tuple(tables), tuple(fits))


def losses(case: Case, prediction: Prediction, scales: Prediction, folds: NDArray[np.int64]) -> Array:
    """(folds,) mean loss of the held-out spots, with the scales of a larger model."""
    out = np.empty(FOLDS)
    for fold in range(FOLDS):
        unseen = folds == fold
        spread = case.classes.take(unseen).spread(scales.tables[fold])
        out[fold] = loss_of(prediction.residuals[:, unseen] / spread).mean()
    return out


def _error(rise: Array) -> float:
    """Standard error of the mean over the folds."""
    return float(rise.std(ddof=1) / np.sqrt(len(rise)))


def rises(rise: Array, loss: Array) -> bool:
    """Whether the loss of the folds rises by more than chance, and by enough to matter."""
    return bool(rise.mean() > _ERRORS * _error(rise) and rise.mean() > _PART * loss.mean())


def sample_of(case: Case) -> Mask:
    """Grains that are asked: all, or every so many where there are very many spots."""
    every = -(-len(case.spots) // LARGE)
    return np.asarray(np.arange(case.grains) % every == 0, np.bool_)


@dataclass(frozen=True)
class Choice:
    """Which numbers are refined, and what was asked.

    Parameters
    ----------
    wanted : names of the numbers
    held : names of columns that the data do not determine
    verdicts : of each set
    prediction, before : held-out spots of the chosen numbers and of the geometry of the start
    folds : (n,) of the spots that were asked
    asked : (g,) grains
    spots : those that were asked
    """

    wanted: tuple[str, ...]
    held: tuple[str, ...]
    verdicts: tuple[SetVerdict, ...]
    prediction: Prediction
    before: Prediction
    folds: NDArray[np.int64]
    asked: Mask
    spots: Spots


def possible_sets(case: Case, spots: int) -> tuple[list[tuple[str, ...]], list[SetVerdict], list[str]]:
    """Sets that there are enough rings and spots for, verdicts of the others, sentences about them."""
    sets = [words for words in SETS if words != ("Panels",) or any(movable for _, movable in case.panels)]
    fixed = [words for words in sets if not len(case.free(names_of(words)))]
    refused = [SetVerdict(words, False, reason="fixed") for words in fixed]
    sets = [words for words in sets if words not in fixed]
    sentences: list[str] = []
    rings = len(np.unique(case.spots.ring))
    if rings < _RINGS:
        reason = f"{'one ring' if rings == 1 else 'two rings'}: Lsd cannot be told from p2"
        dropped = [words for words in sets if words[0] in ("p0", "p1")]
        refused += [SetVerdict(words, False, reason=reason) for words in dropped]
        sets = [words for words in sets if words not in dropped]
        sentences.append(reason)
    if not sets:
        raise UsageError("leaves nothing to refine", key="-fix")

    def unknowns() -> int:
        return case.convention.unknowns * case.grains + len(case.free(names_of([w for s in sets for w in s])))

    most = unknowns()
    while len(sets) > 1 and spots < unknowns():
        refused.append(SetVerdict(sets.pop(), False, reason=f"{spots} spots for {most} unknowns"))
    if spots < most:
        names = " and ".join(word for words in sets for word in words)
        sentences.append(f"{spots} spots for {most} unknowns: only {names} are refined")
    return sets, refused[::-1], sentences


def choose(case: Case, start: State, sets: Sequence[tuple[str, ...]], refused: Sequence[SetVerdict]) -> Choice:
    """Backwards from all sets, drop what the held-out spots do not need.

    Not forwards: while a tilt is wrong, the free cells swallow radial errors, and a robust loss with the scales of a
    smaller model does not see what a set would bring.
    """
    words = [word for each in sets for word in each]
    full = case.fit(start, names_of(words))
    held = undetermined(case, full)
    case = case.holding(held)
    kept_grains = sample_of(case)
    asked, small = case.of_grains(kept_grains, full.state), start.take(kept_grains)
    folds = folds_of(asked.spots.grain)
    kept, verdicts = list(sets), []
    current = predicted(asked, names_of(words), folds, [full.state.take(kept_grains)] * FOLDS)
    for each in reversed(sets):
        smaller = [s for s in kept if s != each]
        names = names_of([word for s in smaller for word in s])
        free = asked.free(names_of([word for s in kept for word in s]))
        gone = set(free.names) - set(asked.free(names).names)
        starts = [put_back(found.state, small, gone, free) for found in current.fits]
        without = predicted(asked, names, folds, starts)
        loss = losses(asked, current, current, folds)
        rise = losses(asked, without, current, folds) - loss
        # Without the distance and the beam centre the others stand for them.
        needed = each == SETS[0] or rises(rise, loss)
        verdicts.append(SetVerdict(each, needed, float(rise.mean()), _error(rise), float(loss.mean())))
        if not needed:
            kept, current = smaller, without
    before = predicted(asked, (), folds, [small] * FOLDS)
    wanted = names_of([word for s in kept for word in s])
    every = (*verdicts[::-1], *refused)
    return Choice(wanted, held, every, current, before, folds, kept_grains, asked.spots)


def asked_about(case: Case, start: State, wanted: Sequence[str], found: Fit) -> Choice:
    """Held-out spots of numbers that the user has chosen."""
    kept_grains = sample_of(case)
    asked, small = case.of_grains(kept_grains, found.state), start.take(kept_grains)
    folds = folds_of(asked.spots.grain)
    prediction = predicted(asked, wanted, folds, [found.state.take(kept_grains)] * FOLDS)
    before = predicted(asked, (), folds, [small] * FOLDS)
    return Choice(tuple(wanted), (), (), prediction, before, folds, kept_grains, asked.spots)


def undetermined(case: Case, found: Fit) -> tuple[str, ...]:
    """Names of free numbers that are known to a pixel at best."""
    information = information_of(case.problem(), found)
    sigma = np.sqrt(np.maximum(np.diag(information.covariance), 0.0))
    units = units_of(found.free, found.state, case.spots)
    return tuple(name for name, one, unit in zip(found.free.names, sigma, units, strict=True) if one > OPEN * unit)


def held_out_of(case: Case, choice: Choice, detectors: int) -> HeldOut:
    """Figures of the held-out spots before and after."""
    asked = choice.asked[case.spots.grain]
    on = case.spots.detector[asked]
    figures = np.full((3, detectors, 2), np.nan)
    for column, prediction in enumerate((choice.before, choice.prediction)):
        for d in range(detectors):
            r, t = prediction.residuals[:2, on == d]
            if len(r):
                figures[:, d, column] = (
                    robust_spread(r, 0.0),
                    robust_spread(t, 0.0),
                    np.median(hypot(r, t)),
                )
    part = case.of_grains(choice.asked, _flat(case))
    before, after = (
        losses(part, prediction, choice.prediction, choice.folds) for prediction in (choice.before, choice.prediction)
    )
    worse = rises(after - before, before)
    return HeldOut(figures[0], figures[1], figures[2], (float(before.mean()), float(after.mean())), worse, FOLDS)


def _flat(case: Case) -> State:
    """A state of which only the number of grains counts."""
    g = case.grains
    return State(np.empty((0, 27)), np.empty((0, 2)), np.zeros((g, 3, 3)), np.zeros((g, 3)))
