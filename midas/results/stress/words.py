"""What ``ff-stress`` says about the grains as a whole: the closing table and the notes above ``Stress.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.results.stress import tensors
from midas.results.stress.equilibrium import Average, Change
from midas.results.stress.options import StressOptions
from midas.results.stress.stiffness import Stiffness

if TYPE_CHECKING:
    from midas.results.stress.run import StressResult

Array = NDArray[np.float64]

#: what the load does not explain is worth a word beyond so many standard deviations
_WORTH_A_WORD = 4.0


def notes_of(
    stiffness: Stiffness,
    strain: str,
    mean: Average,
    change: Change,
    applied: bool,
    options: StressOptions,
    cell: Sequence[float],
) -> dict[str, str]:
    """The lines above the table, by their keys."""
    notes = {
        "material": stiffness.name,
        "source": stiffness.source or "given",
        "stiffness (GPa, Voigt, crystal frame)": "; ".join(
            " ".join(f"{x:.6g}" for x in _clean(row)) for row in stiffness.voigt
        ),
        "strain": strain,
        "units": "MPa; S sample frame, SC crystal frame (a* along x, c along z); s before a name: standard deviation",
        "average": " ".join(f"{x:.6g}" for x in mean.components),
        "average sigma": " ".join(f"{x:.6g}" for x in mean.sigma),
        "average sampling error": " ".join(f"{x:.6g}" for x in mean.sampling),
        "applied": " ".join(f"{x:g}" for x in options.applied) if options.applied is not None else "not given",
        "reference cell": " ".join(f"{x:.7g}" for x in (change.cell(cell) if applied else cell)),
        "change of the reference cell": f"{_change_text(change)}, {'in the stresses' if applied else 'not applied'}",
    }
    if options.load is not None:
        notes["load"] = " ".join(f"{x:g}" for x in options.load)
    return notes


def summary_of(found: StressResult, options: StressOptions, cell: Sequence[float], output: Path) -> dict[str, object]:
    """The closing table."""
    known = int(np.isfinite(found.stresses.sample_covariances).all(axis=(1, 2)).sum())
    hydrostatic = found.mean.mean[:3].mean()
    sigma = float(np.sqrt(tensors.UNIT @ found.mean.covariance @ tensors.UNIT) / 3)
    equivalent = tensors.von_mises(found.stresses.sample)
    rows: dict[str, object] = {
        "Grains": f"{len(found.grains)}, {known} of them with sigma",
        "Material": f"{found.stiffness.name} ({found.stiffness.source or 'given'})",
        "Average stress, MPa": _tensor_text(found.mean),
        "Sampling error, MPa": "  ".join(f"{x:.3g}" for x in found.mean.sampling),
        "Hydrostatic, MPa": f"{hydrostatic:.4g}{_plus_minus(sigma)}",
        "Von Mises, MPa": (
            f"{tensors.von_mises(found.mean.mean):.4g} of the average; grains {np.median(equivalent):.4g} in the "
            f"median, {equivalent.max():.4g} at most"
        ),
    }
    rows["Reference cell"] = _cell_text(found, options, cell)
    if (rest := _unexplained(found.change)) and options.applied is not None:
        rows["Not explained"] = rest
    if found.systems is not None and found.shear is not None:
        rows["Slip"] = _slip_text(found)
    rows["Table"] = output
    rows["Next"] = _next(found, options)
    return rows


def _slip_text(found: StressResult) -> str:
    assert found.systems is not None and found.shear is not None
    counts = np.bincount(found.shear.active[found.shear.active >= 0], minlength=len(found.systems))
    of_families = [
        f"{family} in {int(counts[a:b].sum())}"
        for family, a, b in zip(
            found.systems.families, found.systems.starts[:-1], found.systems.starts[1:], strict=True
        )
    ]
    largest = float(np.nanmax(found.shear.largest))
    return f"{len(found.systems)} systems; most active {', '.join(of_families)} grains; {largest:.4g} MPa at most"


def _cell_text(found: StressResult, options: StressOptions, cell: Sequence[float]) -> str:
    """What is to be said about the cell, in words."""
    load = "with the applied stress" if options.applied is not None else "if no load was applied"
    text = _change_text(found.change)
    lengths = " ".join(f"{x:.6f}" for x in found.change.cell(cell)[:3])
    if found.applied:
        return f"changed by {text}: {lengths} Å"
    return f"{load} it would be off by {text}: {lengths} Å (not applied)"


def _change_text(change: Change) -> str:
    parts = []
    for name, value, sigma, sampling in zip(change.axes, change.values, change.sigma, change.sampling, strict=True):
        label = "" if name == "cell" else f"{name} "
        known = f"± {sigma:.2g} measured, " if np.isfinite(sigma) else ""
        parts.append(f"{label}{value:.1f} ({known}± {sampling:.2g} sampling) 1e-6")
    return ", ".join(parts)


def _unexplained(change: Change) -> str:
    """Components of the average that no change of the cell brings to the applied stress."""
    rest = (change.after.mean - change.applied) / tensors.FACTORS
    error = hypot(np.nan_to_num(change.after.sigma), change.after.sampling)
    names = [
        f"S{name} {value:.3g}"
        for name, value, sigma in zip(tensors.COMPONENTS, rest, error, strict=True)
        if abs(value) > _WORTH_A_WORD * sigma > 0
    ]
    if not names:
        return ""
    return f"{', '.join(names)} MPa beyond {_WORTH_A_WORD:g} standard deviations: load, cell or geometry is another"


def _tensor_text(mean: Average) -> str:
    return "  ".join(
        f"{name} {value:.4g}{_plus_minus(sigma)}"
        for name, value, sigma in zip(tensors.COMPONENTS, mean.components, mean.sigma, strict=True)
    )


def _plus_minus(sigma: float) -> str:
    return f" ± {sigma:.2g}" if np.isfinite(sigma) else ""


def _next(found: StressResult, options: StressOptions) -> str:
    if found.applied:
        return "ff-report shows these stresses; LatticeParameter with the new cell makes the strains agree"
    if options.applied is None:
        return "give -applied (0 without load), and -correct scale if the reference cell is to follow from it"
    return "-correct scale applies the change of the reference cell; ff-report shows the stresses"


def _clean(numbers: Array) -> Array:
    """Without the dust of rotations."""
    return np.where(np.abs(numbers) < 1e-9, 0.0, numbers)
