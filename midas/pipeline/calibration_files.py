"""The files of a calibration, under the names of each of its programs (docs/formats.md#calibration)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas import __version__
from midas.calibration.powder import tables
from midas.calibration.powder.cake import Cake, cake
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.legacy_arrays import arrays
from midas.calibration.powder.page import page
from midas.calibration.powder.panel_images import panel_images
from midas.calibration.powder.picture import png
from midas.calibration.powder.records import as_hdf5, as_json
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import of_image
from midas.experiment.image import PaddedImage
from midas.formats.panels import shifts_text
from midas.parameters import Parameters
from midas.parameters.parser import lines_of
from midas.pipeline.calibration_request import CalibrationRequest
from midas.runtime.files import make_folder, readable, write_together

Array = NDArray[np.float64]

FRAGMENT, REFINED = "ps_calibrated.txt", "refined_MIDAS_params.txt"
SCREEN, HKLS_SCREEN, LOG = "calibrant_screen_out.csv", "hkls_screen_out.csv", "autocal.log"
#: of panels whose file the parameters do not name
_SHIFTS = "panel_shifts.txt"


@dataclass(frozen=True)
class Calibrated:
    """One image with its result, or several at different distances with one.

    Parameters
    ----------
    paths, images : of the first image, and of the others
    travel : µm, how much farther the detector stood in each
    passes : results of the rounds in which rings were left out; the last one counts
    panels, start_panels : (p, 8), see `midas.experiment.panels.panels_of`
    calibrant : what the powder is called
    """

    paths: Sequence[Path]
    images: Sequence[PowderImage]
    travel: Sequence[float]
    passes: Sequence[Calibration]
    panels: Array
    start_panels: Array
    calibrant: str

    @property
    def path(self) -> Path:
        return self.paths[0]

    @property
    def image(self) -> PowderImage:
        return self.images[0]

    @property
    def result(self) -> Calibration:
        return self.passes[-1]


def raw_centre(done: Calibrated, operations: Sequence[int]) -> tuple[float, float]:
    """Column and row of the beam centre in the raw image."""
    rows, columns = done.image.shape
    detector = done.result.detector
    return PaddedImage(rows, columns, operations).to_raw(float(detector.y_bc), float(detector.z_bc))


def write(done: Calibrated, request: CalibrationRequest, name: str = "calibration") -> list[Path]:
    """Write everything about one image, all of it or nothing.

    Parameters
    ----------
    name : of the report and the records

    Returns
    -------
    the files
    """
    p, folder = request.parameters, make_folder(request.output)
    caked = cake(done.image, done.result.detector, done.panels)
    contents: dict[Path, bytes] = {}
    for number, (path, travel) in enumerate(zip(done.paths, done.travel, strict=True)):
        own = of_image(done.result, number, travel)
        beside = path.parent if request.legacy else folder
        contents[beside / f"{path.name}.corr.csv"] = tables.corr_csv(own, done.panels, done.start_panels)
    contents |= _panel_files(done, p, folder)
    contents |= _reports(done, request, caked, folder, name)
    others = _other_lines(done, p, contents, folder)
    if request.legacy != "OMP":
        contents[folder / (FRAGMENT if name == "calibration" else f"{name}_{FRAGMENT}")] = tables.fragment(
            done.result, others
        ).encode()
    if request.legacy == "auto":
        contents |= _driver_files(done, p, others, folder)
    if request.arrays is not None:
        contents[request.arrays] = arrays(
            done.passes, done.image, caked, threshold=request.threshold, background=request.background
        )
    write_together(contents)
    return list(contents)


def _reports(done: Calibrated, request: CalibrationRequest, caked: Cake, folder: Path, name: str) -> dict[Path, bytes]:
    """Record, picture and page."""
    p = request.parameters
    facts = {
        "image": str(done.path),
        "calibrant": done.calibrant,
        "program": f"midas {__version__}",
        "raw_beam_centre": list(raw_centre(done, p["ImTransOpt"])),
    }
    contents = {
        request.json or folder / f"{name}.json": as_json(done.result, facts).encode(),
        folder / f"{name}.h5": as_hdf5(done.result, caked, facts),
    }
    if request.picture or request.figure is not None:
        first = of_image(done.result, 0, 0.0)
        contents[request.figure or folder / f"{name}.png"] = png(first, caked, done.panels)
    if request.picture and p["CalibReport"]:
        text = page(of_image(done.result, 0, 0.0), caked, done.panels, done.path.name)
        contents[folder / f"{name}.html"] = readable(text).encode()
    return contents


def _shifts_file(p: Parameters, folder: Path) -> Path:
    named = p["PanelShiftsFile"]
    return folder / (named or _SHIFTS)


def _panel_files(done: Calibrated, p: Parameters, folder: Path) -> dict[Path, bytes]:
    """Shifts of the panels, and the two images of them."""
    if not len(done.panels):
        return {}
    path = _shifts_file(p, folder)
    rows, columns = done.image.shape
    turned = sum(operation == 3 for operation in p["ImTransOpt"]) % 2
    shifts, strains = panel_images(done.result, done.panels, (columns, rows) if turned else (rows, columns))
    return {
        path: shifts_text(done.result.panels.tolist()).encode(),
        path.with_name(f"{path.name}.shifts.tif"): shifts,
        path.with_name(f"{path.name}.strain.tif"): strains,
    }


def _other_lines(done: Calibrated, p: Parameters, contents: Mapping[Path, bytes], folder: Path) -> dict[str, str]:
    """What the analysis needs beside the instrument: size, orientation, panels."""
    rows, columns = done.image.shape
    lines = {"NrPixelsY": str(columns), "NrPixelsZ": str(rows)}
    if p["ImTransOpt"]:
        lines["ImTransOpt"] = " ".join(map(str, p["ImTransOpt"]))
    if len(done.panels):
        lines |= {key: str(p[key]) for key in ("NPanelsY", "NPanelsZ", "PanelSizeY", "PanelSizeZ")}
        for key in ("PanelGapsY", "PanelGapsZ"):
            if p[key]:
                lines[key] = " ".join(map(str, p[key]))
        path = _shifts_file(p, folder)
        lines["PanelShiftsFile"] = path.name if path.parent == folder else str(path)
    return lines


def _driver_files(done: Calibrated, p: Parameters, others: Mapping[str, str], folder: Path) -> dict[Path, bytes]:
    """What the legacy driver left beside the log and the captured output."""
    rows, columns = done.image.shape
    number = p.get("DataType", 1)
    rest = {key: text for key, text in others.items() if not key.startswith("NrPixels")}
    refined = tables.refined_parameters(done.result, (columns, rows), p["SkipFrame"], number, rest)
    return {
        folder / REFINED: refined.encode(),
        folder / f"{done.path.name}ps.txt": _parameter_file(done, p, others).encode(),
    }


def _parameter_file(done: Calibrated, p: Parameters, others: Mapping[str, str]) -> str:
    """A parameter file of the calibration with which ``CalibrantPanelShiftsOMP`` would begin where this one ended."""
    text = tables.fragment(done.result, others)
    skipped = {line.split()[0] for line in text.splitlines() if line and not line.startswith("#")}
    lines = []
    for key, value in p.as_given().items():
        if key not in skipped and value not in ("", ()):
            lines += lines_of(key, value, "RingsToExclude" if key == "CalibRingsToExclude" else key)
    return text + "\n".join(lines) + "\n"
