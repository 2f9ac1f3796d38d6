"""From a fit to its result: numbers with verdicts, grains, residuals, and sentences for the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.calibration.grains.auto import Choice
from midas.calibration.grains.case import Case
from midas.calibration.grains.classes import weights_of
from midas.calibration.grains.gauge import height_is_free, scale_is_free
from midas.calibration.grains.identify import modes_of, pixels_of, reach, units_of, verdicts_of
from midas.calibration.grains.joint import ROUGH, Fit, Information, information_of
from midas.calibration.grains.result import (
    CONTRADICTED,
    HELD,
    KEPT,
    RAILED,
    FittedGrains,
    GeometryResult,
    HeldOut,
    Modes,
    Number,
    SpotResiduals,
)
from midas.calibration.grains.state import (
    AT,
    UNITS,
    WOBBLE,
    detector_of,
    distortion_radius,
    pixel_size,
    strains_of,
    with_wedge_model,
)
from midas.calibration.grains.wobble import wobble_of, wobble_sentence
from midas.experiment.crystal import cell_of
from midas.experiment.noise import robust_spread
from midas.formats.uncertainty import GOOD, SINGULAR

if TYPE_CHECKING:
    from midas.calibration.grains.geometry import _Run as Run

Array = NDArray[np.float64]

#: σ(Lsd)/Lsd below which the rotation angles alone are worth a sentence, and the wedge that tells two models apart
_SHARP_SCALE, _SURE_WEDGE = 50e-6, 3.0
#: the angles contradict the lattice constant from so many sigma on, and by so much of Lsd
_APART, _FAR_APART = 5.0, 1e-3
#: mosaic spread shows where the tangential residuals are so many times the radial ones
_MOSAIC = 3.0
#: covered degrees of rotation below which that is worth a sentence
_NARROW = 90.0
#: part of ty that stands for the wedge in the legacy model
_TY_OF_WEDGE = 0.45


def result_of(run: Run, choice: Choice, found: Fit, information: Information, held_out: HeldOut) -> GeometryResult:
    """Everything that the fit found."""
    case, m = run.case, run.measurement
    units = units_of(found.free, found.state, case.spots)
    modes = modes_of(information, found.free, units)
    covariance = information.covariance + np.diag((run.settings.sigma_floor * units) ** 2)
    before = case.fit(run.start, (), enough=ROUGH)
    state = found.state
    detectors = tuple(detector_of(n, like) for n, like in zip(state.numbers, m.detectors, strict=True))
    exact = m.detectors[0].exact_wedge
    wobble = wobble_of(case, found, information)
    scale, contradicted = _scale_sentences(run, found)
    numbers = _numbers(run, found, information, covariance, modes, units)
    if contradicted:
        numbers = tuple(replace(n, verdict=CONTRADICTED) if n.name == "Lsd" else n for n in numbers)
    return GeometryResult(
        detectors=detectors,
        starts=m.detectors,
        panels=state.shifts,
        panels_per_detector=m.panels,
        wobble=wobble,
        omega_zero=state.numbers[:, AT["Omega0"]].copy(),
        numbers=numbers,
        free=found.free.names,
        covariance=covariance,
        modes=modes,
        grains=_grains(run, found, information),
        residuals=_residuals(case, found, before, information, choice),
        sets=choice.verdicts,
        held_out=held_out,
        trust=run.settings.trust,
        height=case.convention.height,
        wedge_model="exact" if exact else "legacy",
        iterations=found.iterations,
        converged=found.converged,
        log=found.log,
        classes=_classes(case, found),
        sentences=(*_sentences(run, found, information, scale), *wobble_sentence(wobble)),
        rounds=run.rounds,
    )


def _numbers(
    run: Run, found: Fit, information: Information, covariance: Array, modes: Modes, units: Array
) -> tuple[Number, ...]:
    """Every number of the instruments: the free ones, then those that are held."""
    free, start = found.free, run.start
    sigma = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    verdicts = verdicts_of(information, free, run.case.convention, modes, units, run.case.spots, found.state)
    fitted: dict[str, Number] = {}
    for k, (name, plain, first, last) in enumerate(
        zip(free.names, free.plain(), free.values(start), free.values(found.state), strict=True)
    ):
        words, partner, r = verdicts[k]
        unit = UNITS.get(plain, "px")
        fitted[name] = Number(
            name, float(first), float(last), float(sigma[k]), unit, float(units[k]), partner, r, words
        )
    out: list[Number] = []
    for plain in AT:
        if plain in WOBBLE and plain not in fitted:
            continue
        titles = [plain] if plain in fitted or run.case.detectors == 1 else _titles(plain, run)
        out += [fitted.pop(t) if t in fitted else _held(t, plain, d, run) for d, t in enumerate(titles)]
    return (*out, *fitted.values())


def _titles(plain: str, run: Run) -> list[str]:
    """Names of a number that is not shared; those of one that could be shared and is held are one name, too."""
    if plain in run.case.shared or plain in WOBBLE:
        return [plain]
    return [f"{plain}[{d + 1}]" for d in range(run.case.detectors)]


def _held(title: str, plain: str, d: int, run: Run) -> Number:
    """A number that has not been fitted."""
    state = run.start
    value = float(state.numbers[d, AT[plain]])
    px, rho_d = pixel_size(state)[d], distortion_radius(state)[d]
    pixel = pixels_of(plain, state.numbers[d], px, rho_d, reach(state, run.case.spots, d))
    verdict, sigma = HELD, float("nan")
    if title in run.railed:
        verdict = RAILED
    elif title in run.no_better:
        verdict, sigma = KEPT, run.no_better[title]
    return Number(title, value, value, sigma, UNITS.get(plain, "px"), pixel, "", float("nan"), verdict)


def _grains(run: Run, found: Fit, information: Information) -> FittedGrains:
    """The fitted grains and how well each is known with the geometry as it is."""
    from midas.calibration.grains.geometry import chi2_of

    case, state, g = run.case, found.state, run.case.grains
    reference = case.convention.reference
    strain, _ = strains_of(state.ub, reference)
    start_strain, _ = strains_of(run.start.ub, reference)
    orientation, cell = cells_of(state.ub)
    k, m = case.convention.unknowns, len(found.free)
    covariance, response = np.full((g, 12, 12), np.nan), np.full((g, 12, m), np.nan)
    covariance[:, :k, :k] = information.own
    response[:, :k] = -information.open_response
    chi2, used = chi2_of(case, found, information)
    sound = np.isfinite(information.own).all(axis=(1, 2))
    return FittedGrains(
        ids=run.measurement.ids[run.kept],
        positions=state.positions,
        orientation=orientation,
        cell=cell,
        strain=strain,
        covariance=covariance,
        response=response,
        start_positions=run.start.positions,
        start_strain=start_strain,
        spots=np.bincount(case.spots.grain, minlength=g),
        used=used.astype(np.int64),
        chi2=chi2,
        flag=np.where(sound, GOOD, SINGULAR).astype(np.int64),
    )


def cells_of(ub: Array) -> tuple[Array, Array]:
    """Rotations (g, 3, 3) and cells (g, 6) of U·B: a rotation times an upper triangular matrix."""
    q, r = np.linalg.qr(ub)
    sign = np.sign(np.diagonal(r, axis1=1, axis2=2))
    q, r = q * sign[:, None, :], r * sign[:, :, None]
    return q, cell_of(np.linalg.inv(r.swapaxes(1, 2) @ r))


def _residuals(case: Case, found: Fit, before: Fit, information: Information, choice: Choice) -> SpotResiduals:
    """Residuals of every spot, and of those held-out ones that the fit still has."""
    held = np.full((2, 3, len(case.spots)), np.nan)
    keys = {key: i for i, key in enumerate(zip(case.spots.detector.tolist(), case.spots.spot_id.tolist(), strict=True))}
    asked = choice.spots
    rows = [keys.get(key, -1) for key in zip(asked.detector.tolist(), asked.spot_id.tolist(), strict=True)]
    there = np.array(rows, np.int64)
    for out, prediction in zip(held, (choice.before, choice.prediction), strict=True):
        out[:, there[there >= 0]] = prediction.residuals[:, there >= 0]
    weights = weights_of(found.residuals / found.scales)
    return SpotResiduals(
        case.spots,
        before.residuals,
        found.residuals,
        held[0],
        held[1],
        np.sqrt(information.variance),
        np.ascontiguousarray(weights[[0, 2]]),
    )


def _classes(case: Case, found: Fit) -> tuple[tuple[str, int, float, float], ...]:
    """Name, spots and scales of each class."""
    out = []
    for kind, name in enumerate(case.classes.spot_names):
        rows = case.classes.spot == kind
        r, t = (float(found.scales[i, rows].max(initial=0.0)) for i in (0, 1))
        out.append((name, int(rows.sum()), r, t))
    for kind, name in enumerate(case.classes.omega_names):
        rows = case.classes.omega == kind
        scale = float(found.scales[2, rows].max(initial=0.0))
        out.append((name, int(rows.sum()), scale, float("nan")))
    return tuple(out)


def _sentences(run: Run, found: Fit, information: Information, scale: Sequence[str]) -> list[str]:
    """What the user should know."""
    out = list(run.sentences)
    case, free = run.case, found.free
    if height_is_free(free):
        out.append(_height_sentence(run))
    out += scale
    if case.grains <= 2:
        out.append(f"the mean strain is that of {'one grain' if case.grains == 1 else 'two grains'}")
    if run.measurement.range < _NARROW and any(name.startswith("BCy") for name in free.names):
        sigma = np.sqrt(np.diag(information.covariance))
        k = next(i for i, name in enumerate(free.names) if name.startswith("BCy"))
        out.append(
            f"{run.measurement.range:.0f} degrees of rotation: BCy ({sigma[k]:.3f} px) goes with mean Y of the grains"
        )
    of_wedge = _wedge_sentences(run, found, information)
    out += of_wedge
    for d in range(case.detectors):
        if len(of_wedge) > 1:
            break  # the model of the wedge leaves as much
        on = case.spots.detector == d
        r, t = (robust_spread(found.residuals[i, on], 0.0) for i in (0, 1))
        if t > _MOSAIC * r:
            where = f"detector {d + 1}: " if case.detectors > 1 else ""
            off = f"{where}spots are {t:.0f} um off around their rings, {r:.0f} um across"
            out.append(f"{off}: mosaic spread; positions rest on the radial part")
    if run.poor:
        out.append(f"{len(run.poor)} of {len(run.measurement.ub)} grains were left out")
    return out


def _height_sentence(run: Run) -> str:
    how = {"keep": "mean Z of the start kept", "beam": "the middle of the grains is the beam's"}
    words = how.get(str(run.settings.z0), f"mean Z set to {run.case.convention.height:g} um")
    return f"BCz cannot be told from the height of the grains: {words}"


def _scale_sentences(run: Run, found: Fit) -> tuple[list[str], bool]:
    """What the rotation angles say of the distance, where the lattice was trusted; whether it is another one."""
    case, free = run.case, found.free
    if not (case.convention.trusts_mean and scale_is_free(free) and free.all_free("Lsd")) or case.detectors > 1:
        return [], False
    alone = replace(case, convention=replace(case.convention, trust="none"))
    k = free.names.index("Lsd")
    other = alone.fit(found.state, _plain_names(free.names))
    sigma = float(np.sqrt(information_of(alone.problem(), other).covariance[k, k]))
    by_angles, by_lattice = float(other.state.numbers[0, 0]), float(found.state.numbers[0, 0])
    apart = abs(by_angles - by_lattice) / sigma if sigma > 0 else 0.0
    if not (0 < sigma / by_lattice < _SHARP_SCALE or apart > _APART):
        return [], False
    out = [
        f"the rotation angles alone give Lsd {by_angles:.1f} +- {sigma:.1f}; "
        f"the lattice constant says {by_lattice:.1f}; they differ by {apart:.1f} sigma"
    ]
    part = by_angles / by_lattice - 1
    contradicted = apart > _APART and abs(part) > _FAR_APART
    if contradicted:
        strain = f"a mean strain of {1e6 * part:+.0f}e-6"
        out.append(f"the lattice constant is not that of the sample, or it has {strain}: -trust none leaves it open")
    return out, contradicted


def _plain_names(names: Sequence[str]) -> tuple[str, ...]:
    plain = [name.partition("[")[0] for name in names]
    return tuple(dict.fromkeys("Panels" if name[:2] in ("dY", "dZ") else name for name in plain))


def _wedge_sentences(run: Run, found: Fit, information: Information) -> list[str]:
    """What the other model of the wedge would leave, where there is a wedge."""
    free = found.free
    k = next((i for i, name in enumerate(free.names) if name.partition("[")[0] == "Wedge"), None)
    if k is None:
        return []
    sigma = float(np.sqrt(information.covariance[k, k]))
    if abs(found.state.numbers[0, AT["Wedge"]]) <= _SURE_WEDGE * sigma:
        return []
    exact = run.measurement.detectors[0].exact_wedge
    other = run.case.fit(with_wedge_model(found.state, not exact), _plain_names(free.names), enough=ROUGH)
    size = [robust_spread(one.residuals[1], 0.0) for one in (found, other)]
    names = ("exact", "legacy") if exact else ("legacy", "exact")
    out = [f"tangential residuals {size[0]:.1f} um with WedgeModel {names[0]}, {size[1]:.1f} um with {names[1]}"]
    if not exact:
        out.insert(0, f"ty contains about {_TY_OF_WEDGE:g}*Wedge because WedgeModel is legacy")
    return out
