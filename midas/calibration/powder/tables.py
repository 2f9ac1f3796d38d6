"""The text that scripts of the legacy programs read, and the parameter files (docs/formats.md#calibration)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import (
    StrainStatistics,
    as_lines,
    instrument_at,
    number_rows,
    places,
    sigma_lines,
    statistics,
)
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

_CORR = "%Eta Strain RadFit EtaCalc DiffCalc RadCalc Ideal2Theta Outlier YRawCorr ZRawCorr RingNr RadGlobal"
_CORR_ROW = "%f %10.8f %10.8f %f %10.8f %10.8f %f %d %f %f %d %10.8f %.10f %.10f %d"
_BLOCK_WIDTH = 11
#: what the integrator of the legacy suite wants in ``refined_MIDAS_params.txt``
_INTEGRATION = {"RMin": "10", "RMax": "1000", "RBinSize": "1", "EtaMin": "-180", "EtaMax": "180"}
_INTEGRATION_END = {"EtaBinSize": "5", "DoSmoothing": "1", "DoPeakFit": "1", "MultiplePeaks": "1"}


def corr_csv(calibration: Calibration, panels: Array, start_panels: Array) -> bytes:
    """``<image>.corr.csv``: every point, with the final and the start geometry.

    Parameters
    ----------
    panels, start_panels : (p, 8) in the end and at the start
    """
    points, rings = calibration.points, calibration.rings
    ideal = calibration.two_theta()
    final = places(calibration, calibration.detector, panels)
    start = places(calibration, instrument_at(calibration.detector, calibration.start), start_panels)
    columns = (
        final.eta, np.abs(calibration.strain), final.radius, start.eta, np.abs(start.strain), start.radius, ideal,
        calibration.outlier, final.y_px, final.z_px, rings.number[points.ring], final.radius, calibration.strain,
        calibration.sigma_strain, points.panel,
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines = [f"{_CORR} SignedStrain Sigma Panel", *(_CORR_ROW % row for row in rows), ""]
    return "\n".join(lines).encode()


def planes_line(count: int) -> str:
    """The line with the number of rings."""
    return f"Number of planes being considered: {count}."


def mean_values(detectors: Sequence[DetectorGeometry], strains: Sequence[StrainStatistics]) -> str:
    """The block of standard output that scripts parse: means over the images."""

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    lines = ["", "Mean Values"]
    every = [as_lines(detector) for detector in detectors]
    for name in ("Lsd", "BC", "ty", "tz", "p0", "p1", "p2", "p3"):
        numbers = [mean(column) for column in zip(*(one[name] for one in every), strict=True)]
        lines.append(f"{name:<{_BLOCK_WIDTH}}" + " ".join(f"{x:0.12f}" for x in numbers))
    lines.append(" " * _BLOCK_WIDTH + "*** microstrain ***")
    names = {
        "MeanStrain": "mean", "StdStrain": "std", "MedianStr": "median", "Q25": "q25", "Q75": "q75",
        "MinStrain": "smallest", "MaxStrain": "largest",
    }  # fmt: skip
    for name, attribute in names.items():
        lines.append(f"{name:<{_BLOCK_WIDTH}}{mean([getattr(one, attribute) for one in strains]):0.6f}")
    lines.append(f"{'NPoints':<{_BLOCK_WIDTH}}{round(mean([one.points for one in strains])):d}")
    lines.append(f"{'':<{_BLOCK_WIDTH}}*** Copy to par ***")
    return "\n".join(lines)


def result_table(calibration: Calibration) -> str:
    """Value, uncertainty, change against the start and verdict of every number, behind ``#``."""
    rows = [("number", "value", "sigma", "change", "verdict")]
    rows += [
        (row.name, f"{row.value:.10g}", _short(row.sigma), _short(row.change, "+"), row.verdict)
        for row in number_rows(calibration)
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "# " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def summary_lines(calibration: Calibration) -> list[str]:
    """What the quality comes to, behind ``#``."""
    found = statistics(calibration)
    turned = f"scale of the uncertainties {calibration.scale:.3g}, condition {calibration.condition:.3g}"
    return [
        f"# mean |strain| of all points {found.untrimmed:.3f}, robust rms {found.robust_rms:.3f} (10^-6)",
        f"# {len(calibration.points)} points on {len(np.unique(calibration.points.ring))} rings, {turned}",
    ]


def _short(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3g}" if np.isfinite(value) else "-"


def fragment(calibration: Calibration, others: Mapping[str, str]) -> str:
    """``ps_calibrated.txt``: the lines of a parameter file of the analysis, uncertainties as comments.

    Parameters
    ----------
    others : further lines, key to text
    """
    found = statistics(calibration)
    lines = [
        "# Geometry from powder rings. Paste into the parameter file of the analysis, or put in place of its lines.",
        f"# mean |strain| {found.mean:.2f}, median {found.median:.2f}, robust rms {found.robust_rms:.2f} (10^-6), "
        f"{found.points} points",
    ]
    lines += _instrument(calibration)
    lines += [f"{key} {text}" for key, text in others.items()]
    lines += ["# Rings do not tell tx, the wedge, or which image transformation is right: spots do."]
    return "\n".join(lines) + "\n"


def refined_parameters(calibration: Calibration, sizes: tuple[int, int], skipped: int, data_type: int,
                       others: Mapping[str, str]) -> str:  # fmt: skip
    """``refined_MIDAS_params.txt``, for the integrator of the legacy suite.

    Parameters
    ----------
    sizes : columns and rows of the detector
    others : further lines, key to text
    """
    lines = _instrument(calibration)
    lines += [f"{key} {text}" for key, text in _INTEGRATION.items()]
    lines += [f"NrPixelsY {sizes[0]}", f"NrPixelsZ {sizes[1]}"]
    lines += [f"{key} {text}" for key, text in _INTEGRATION_END.items()]
    lines += [f"skipFrame {skipped}", f"DataType {data_type}"]
    lines += [f"{key} {text}" for key, text in others.items()]
    return "\n".join(lines) + "\n"


def _instrument(calibration: Calibration) -> list[str]:
    """Lsd ... p3 RhoD Wavelength px, all digits, with the uncertainty or the verdict behind each."""
    detector, sigma = calibration.detector, sigma_lines(calibration)
    lines = []
    for name, numbers in as_lines(detector).items():
        lines.append(f"{name} {' '.join(map(repr, numbers))}{_remark(calibration, name, sigma[name])}")
    lines.append(f"RhoD {float(detector.rho_d)!r}")
    lines.append(
        f"Wavelength {float(detector.wavelength or 0)!r}{_remark(calibration, 'Wavelength', sigma['Wavelength'])}"
    )
    return [*lines, f"px {float(detector.px)!r}"]


def _remark(calibration: Calibration, name: str, sigma: tuple[float, ...]) -> str:
    parts = {"BC": ("BCy", "BCz"), "p1": ("p1c", "p1s"), "p3": ("p1c", "p1s")}.get(name, (name,))
    verdicts = [v for v in dict.fromkeys(calibration.verdict.get(part, "") for part in parts) if v not in ("", "ok")]
    known = f"sigma {' '.join(f'{x:.3g}' for x in sigma)}" if all(map(np.isfinite, sigma)) else ""
    text = ", ".join(filter(None, [known, *verdicts]))
    return f"  # {text}" if text else ""
