"""A calibration for programs: JSON and HDF5 (docs/formats.md#calibration)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, fields

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.cake import Cake
from midas.calibration.powder.curves import curves
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import as_lines, panel_rows, ring_rows, sigma_lines, statistics

Array = NDArray[np.float64]


def as_json(calibration: Calibration, facts: Mapping[str, object]) -> str:
    """``calibration.json``: numbers, uncertainties, verdicts, tables of rings and panels; null where there is none.

    Parameters
    ----------
    facts : what belongs to the run: image, calibrant, programs
    """
    detector = calibration.detector
    content = {
        **facts,
        "parameters": {
            **as_lines(detector), "RhoD": detector.rho_d, "Wavelength": detector.wavelength, "px": detector.px,
        },
        "sigma": sigma_lines(calibration),
        "numbers": {
            name: {
                "value": calibration.value[name],
                "start": calibration.start.get(name, np.nan),
                "sigma": calibration.sigma.get(name, np.nan),
                "verdict": calibration.verdict[name],
            }
            for name in calibration.names
        },
        "free": list(calibration.free),
        "correlation": calibration.correlation,
        "strain": asdict(statistics(calibration)),
        "scale": calibration.scale,
        "condition": calibration.condition,
        "rings": [asdict(row) for row in ring_rows(calibration)],
        "panels": [asdict(row) for row in panel_rows(calibration)],
        "warnings": list(calibration.warnings),
    }  # fmt: skip
    return json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    """The same of Python's own types, with None for what is no number."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value


def as_hdf5(calibration: Calibration, caked: Cake, facts: Mapping[str, object]) -> bytes:
    """``calibration.h5``: the same, with every point, the cake, and what the picture shows."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for key, fact in facts.items():
            file.attrs[key] = str(fact)
        _write_numbers(file.create_group("parameters"), calibration)
        points = file.create_group("points")
        for field in fields(calibration.points):
            points[field.name] = getattr(calibration.points, field.name)
        points["ring_number"] = calibration.rings.number[calibration.points.ring]
        for name in ("strain", "sigma_strain"):
            points[name] = getattr(calibration, name)
        points["outlier"] = calibration.outlier.astype(np.uint8)
        fit = file.create_group("fit")
        fit["free"] = np.array(calibration.free, h5py.string_dtype())
        fit["correlation"] = calibration.correlation
        fit["scale"], fit["condition"] = calibration.scale, calibration.condition
        fit["warnings"] = np.array(calibration.warnings, h5py.string_dtype())
        _write_rows(file.create_group("rings"), [asdict(row) for row in ring_rows(calibration)])
        _write_rows(file.create_group("panels"), [asdict(row) for row in panel_rows(calibration)])
        shown = curves(calibration)
        figure = file.create_group("figure")
        figure["median_eta"], figure["median_strain"] = shown.median_eta, shown.median
        for name in ("counts", "eta", "radius"):
            figure[f"cake_{name}"] = getattr(caked, name)
        for key, number in asdict(statistics(calibration)).items():
            file.require_group("strain")[key] = number
    return out.getvalue()


def _write_numbers(group: h5py.Group, calibration: Calibration) -> None:
    """Lines of a parameter file with their uncertainties as attributes, and every number by its own name."""
    sigma = sigma_lines(calibration)
    for name, numbers in as_lines(calibration.detector).items():
        group[name] = np.array(numbers)
        group[name].attrs["sigma"] = np.array(sigma[name])
    detector = calibration.detector
    group["Wavelength"], group["RhoD"], group["px"] = detector.wavelength, detector.rho_d, detector.px
    group["Wavelength"].attrs["sigma"] = np.array(sigma["Wavelength"])
    names = group.create_group("numbers")
    for name in calibration.names:
        names[name] = calibration.value[name]
        names[name].attrs["start"] = calibration.start.get(name, np.nan)
        names[name].attrs["sigma"] = calibration.sigma.get(name, np.nan)
        names[name].attrs["verdict"] = calibration.verdict[name]


def _write_rows(group: h5py.Group, rows: list[dict[str, object]]) -> None:
    """A table, a column a dataset."""
    for name in rows[0] if rows else ():
        group[name] = np.array([row[name] for row in rows])
