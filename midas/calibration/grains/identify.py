"""What the data cannot tell, in words (docs/theory/geometry_from_grains.md#what-the-data-cannot-tell)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.calibration.grains.gauge import Convention, height_is_free, scale_is_free
from midas.calibration.grains.joint import Information
from midas.calibration.grains.observed import Spots
from midas.calibration.grains.result import WELL, Modes
from midas.calibration.grains.state import AT, Free, State, distortion_radius, pixel_size
from midas.experiment.angles import DEG2RAD, RAD2DEG

Array = NDArray[np.float64]

#: a mode is open from so many pixels on, weak from so many
OPEN, WEAK = 1.0, 0.05
#: two numbers can hardly be told apart: sigma rises by more than this, with a correlation beyond this
_RISE, _CORRELATED = 5.0, 0.9
_FAR_OUT = 90
#: smallest eigenvalue that is not rounding, of the largest
_ROUNDING = 1e-16

#: what the grains may do in return: name, unit, weights of the twelve unknowns of a grain
_PARTNERS: tuple[tuple[str, str, dict[int, float]], ...] = (
    ("mean X of the grains", "um", {0: 1.0}),
    ("mean Y of the grains", "um", {1: 1.0}),
    ("mean Z of the grains", "um", {2: 1.0}),
    ("mean turn about x", "deg", {3: 1.0}),
    ("mean turn about y", "deg", {4: 1.0}),
    ("mean turn about z", "deg", {5: 1.0}),
    ("the mean strain", "e-6", {6: 1 / 3, 7: 1 / 3, 8: 1 / 3}),
    ("mean E33 - (E11 + E22)/2", "e-6", {6: -0.5, 7: -0.5, 8: 1.0}),
)


def reach(state: State, spots: Spots, detector: int) -> float:
    """Radius beyond which a tenth of the spots of a detector are, µm."""
    on = spots.detector == detector
    numbers, px = state.numbers[detector], pixel_size(state)[detector]
    radius = px * hypot(spots.y_px[on] - numbers[AT["BCy"]], spots.z_px[on] - numbers[AT["BCz"]])
    return float(np.percentile(radius, _FAR_OUT)) if on.any() else float(distortion_radius(state)[detector])


def pixels_of(name: str, numbers: Array, px: float, rho_d: float, radius: float) -> float:
    """The change of a number that moves spots at a radius by one pixel."""
    rho, lsd = radius / rho_d, numbers[AT["Lsd"]]
    turn = RAD2DEG * px / radius
    pixels: dict[str, float] = {
        "Lsd": px * lsd / radius,
        "tx": turn,
        "Wedge": turn,
        "Omega0": turn,
        "ty": RAD2DEG * px * lsd / radius**2,
        "tz": RAD2DEG * px * lsd / radius**2,
        "p0": px / radius / rho**2,
        "p2": px / radius / rho**2,
        "p1c": px / radius / rho**4,
        "p1s": px / radius / rho**4,
        "Wavelength": numbers[AT["Wavelength"]] * px / radius,
    }
    return float(pixels.get(name, px if name.startswith("Wobble") else 1.0))


def units_of(free: Free, state: State, spots: Spots) -> Array:
    """(m,) of the free numbers."""
    out = np.ones(len(free))
    for d in range(len(free.columns)):
        radius = reach(state, spots, d)
        for name, column in free.of_instrument(d):
            px, rho_d = pixel_size(state)[d], distortion_radius(state)[d]
            out[column] = pixels_of(name, state.numbers[d], px, rho_d, radius)
    return out


def modes_of(information: Information, free: Free, units: Array) -> Modes:
    """Eigenvectors of what the spots tell of the instruments, the grains being free, without conventions."""
    matrix = units[:, None] * information.open * units
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    floor = _ROUNDING * max(values.max(initial=0.0), 1e-300)
    sigma = 1 / np.sqrt(np.maximum(values, floor))
    response = np.zeros((len(free), len(_PARTNERS)))
    if len(free):
        moved = -information.open_response.mean(axis=0) @ (units[:, None] * vectors)
        for p, (_, _, weights) in enumerate(_PARTNERS):
            for row, weight in weights.items():
                response[:, p] += weight * moved[row] if row < len(moved) else 0.0
    return Modes(free.names, vectors.T, sigma, response)


def correlations_of(covariance: Array) -> Array:
    """(m, m), 0 on the diagonal."""
    size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.where(size > 0, 1 / np.where(size > 0, size, 1.0), 0.0)
    out = scale[:, None] * covariance * scale
    np.fill_diagonal(out, 0.0)
    return np.asarray(out, np.float64)


def verdicts_of(
    information: Information, free: Free, convention: Convention, modes: Modes, units: Array, spots: Spots, state: State
) -> list[tuple[str, str, float]]:
    """Verdict, partner and correlation of each free number."""
    correlation = correlations_of(information.covariance)
    sigma = np.sqrt(np.maximum(np.diag(information.covariance), 0.0))
    alone = _alone(information.covariance, units)
    radius, px = reach(state, spots, 0), pixel_size(state)[0]
    out: list[tuple[str, str, float]] = []
    for k, plain in enumerate(free.plain()):
        other = int(np.abs(correlation[k]).argmax()) if len(free) > 1 else k
        r, partner = float(correlation[k, other]), free.names[other] if len(free) > 1 else ""
        words, goes_with = _of_modes(k, plain, free, convention, modes, radius, px)
        if not words and sigma[k] > _RISE * alone[k] and abs(r) > _CORRELATED:
            words = f"the data can hardly tell {free.names[k]} from {partner} (r = {r:.3f})"
        if not words:
            trusted = "every lattice trusted" if convention.trust == "each" else "mean lattice trusted"
            words = WELL + (f" ({trusted})" if _by_lattice(plain, free, convention) else "")
        out.append((words, goes_with or partner, r))
    return out


def _alone(covariance: Array, units: Array) -> Array:
    """(m,) standard deviation of each number if the others were known."""
    scaled = covariance / units[:, None] / units
    inverse = np.diag(np.linalg.pinv(scaled, rcond=1e-13, hermitian=True))
    return np.asarray(units / np.sqrt(np.where(inverse > 0, inverse, np.inf)), np.float64)


def _by_lattice(plain: str, free: Free, convention: Convention) -> bool:
    """Whether a number is known since the cells of the grains are trusted."""
    both = free.all_free("Lsd") and free.all_free("Wavelength")
    return plain in ("Lsd", "Wavelength") and scale_is_free(free) and not both and convention.trust != "none"


def _of_modes(
    k: int, plain: str, free: Free, convention: Convention, modes: Modes, radius: float, px: float
) -> tuple[str, str]:
    """What the modes say of a number, and with what of the grains it goes; "" where it leads none that is open or weak.

    A number that a convention fixes is named after the mode with the largest part in it.
    """
    by_height = plain == "BCz" and height_is_free(free)
    leading = [i for i in range(len(modes.sigma)) if np.abs(modes.vectors[i]).argmax() == k]
    mode = min(leading, default=None)
    if by_height:
        mode = int(np.argmax(np.abs(modes.vectors[:, k]) * modes.sigma))
    if mode is None:
        return "", ""
    sigma, per_pixel = modes.sigma[mode], 1 / modes.vectors[mode, k]
    name, unit, amount = _partner(modes.response[mode] * per_pixel, radius, px)
    if sigma > OPEN or by_height:
        if _by_lattice(plain, free, convention):
            return "", ""
        end = "fixed by convention" if by_height else "left to the grains"
        return f"cannot be told: {free.names[k]} goes with {name} ({amount:+.4g} {unit} per px); {end}", name
    if sigma > WEAK and not _by_lattice(plain, free, convention):
        return f"weak: {free.names[k]}, known to {sigma:.2g} px; goes with {name} ({amount:+.4g} {unit} per px)", name
    return "", ""


def _partner(response: Array, radius: float, px: float) -> tuple[str, str, float]:
    """What of the grains moves most, in pixels of spots far out."""
    pixels = np.array([1 / px] * 3 + [DEG2RAD * radius / px] * 3 + [1e-6 * radius / px] * 2)
    best = int(np.abs(response * pixels).argmax())
    name, unit, _ = _PARTNERS[best]
    return name, unit, float(response[best])
