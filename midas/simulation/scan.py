"""The forward model: grains and an experiment in, the scan that a detector would record and the truth out.

See docs/theory/simulation.md.

The pipeline's own geometry, diffraction condition and wedge make the spots, so that an analysis of the archive can be
judged against the grains that went in.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.legacy.distortion_map import distortion_map
from midas._ext.legacy.rotations import legacy_rotations
from midas._ext.numerics.elementwise import arccos, sin
from midas._ext.simulate.spots import SPOT_COLUMNS, SpotSimulator
from midas.experiment import crystal
from midas.experiment.detector import DetectorGeometry
from midas.experiment.orientation import matrices_from_euler, nearest_rotations
from midas.experiment.panels import panels_of
from midas.formats import hkls as hkls_format
from midas.formats.simulated import (
    SPOT_MATRIX_GEN,
    SPOTS_MERGED,
    GrainList,
    read_grain_list,
    read_ring_intensities,
    write_grain_list,
)
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.files import make_folder, remove
from midas.runtime.result import StageResult
from midas.simulation.frames import Contributions, Exposure, Renderer

log = logging.getLogger(__name__)

#: columns of SpotMatrixGen.csv by what they hold; its detector position is the recorded one in the laboratory
_IN_FILE = {
    "grain": "GrainID",
    "spot_id": "SpotID",
    "omega_recorded": "Omega",
    "y_px": "DetectorHor",
    "z_px": "DetectorVert",
    "omega_ideal": "OmeRaw",
    "eta": "Eta",
    "ring": "RingNr",
    "y_recorded": "YLab",
    "z_recorded": "ZLab",
    "theta": "Theta",
    "strain_error": "StrainError",
    "scan": "ScanNr",
    "radius": "RingRad",
    "frame": "omeBin",
}

#: spots this close to the poles have no useful Lorentz factor
_SMALLEST_SIN_ETA = 0.05
_WHOLE_FRAME = 1e-6


@dataclass(frozen=True)
class Simulation:
    """What a simulation produced: its truth tables and its archive (None with ``WriteImage 0``)."""

    grains: GrainList
    spots: Table
    archive: Path | None
    brightest: float


def run(parameter_file: Path, *, threads: int, folder: Path | None = None) -> StageResult[Simulation]:
    """Simulate the scan that a parameter file describes.

    Parameters
    ----------
    parameter_file : user's parameter file with the keys of docs/parameters.md#forward-simulation
    folder : where relative paths start and the tables are written; the current folder by default

    Returns
    -------
    StageResult whose data is a `Simulation`
    """
    folder = Path.cwd() if folder is None else Path(folder)
    parameters = Parameters.read(parameter_file, "simulation").for_stage("simulation")
    shape = _check(parameters)
    # For the archive that the pipeline reads; before anything is written, since it is stricter about some keys.
    complete = Parameters.read(parameter_file) if parameters["WriteAnalysisZip"] == 1 else None
    exposure = Exposure.of(parameters, shape)
    archive = _archive_path(parameters, folder)
    tables = [folder / name for name in ("hkls.csv", "SpotMatrixGen.csv", "GrainsGen.csv", "SpotsGenMerged.csv")]
    remove(archive, *tables)

    grains = _grains(parameters, folder)
    listed = crystal.reflections(parameters)
    reflections = _selected(listed, parameters)
    log.info("Number of planes: %d", len(reflections))

    began = time.perf_counter()
    spots = _spots(grains, reflections, parameters, shape, folder, threads)
    spots, amplitude = _intensities(spots, grains, parameters, folder)
    contributions = Contributions.of(spots, amplitude, exposure)
    renderer = Renderer(exposure, contributions, threads)
    log.info("Maximum intensity: %f, scanNr: 0", renderer.brightest)

    hkls_format.LAYOUT.write(tables[0], listed)
    written = spots if parameters["WriteSpots"] == 1 else spots.take(slice(0, 0))
    SPOT_MATRIX_GEN.write(tables[1], written)
    if grains.header:
        write_grain_list(tables[2], grains)
    if parameters["SpotTruthMerged"] == 1:
        SPOTS_MERGED.write(tables[3], _merged(spots, contributions, renderer))
    if parameters["WriteImage"] == 1:
        make_folder(archive.parent)
        renderer.write(archive, complete)
        log.info("%d frames: %s", shape[0], archive)
    log.info("Time elapsed in making diffraction spots: %f [s]", time.perf_counter() - began)
    image = archive if parameters["WriteImage"] == 1 else None
    simulation = Simulation(grains, SPOT_MATRIX_GEN.rounded(written), image, renderer.brightest)
    return StageResult("simulation", {"grains": len(grains), "spots": len(spots), "frames": shape[0]}, simulation)


def _grains(parameters: Parameters, folder: Path) -> GrainList:
    """The grains to simulate."""
    path = folder / parameters["InFileName"]
    grains = read_grain_list(
        path,
        matrices_from_euler,
        binary=parameters["IsBinary"] == 1,
        min_confidence=parameters["MinConfidence"],
        radii=parameters["IntensityByVolume"] == 1,
    )
    log.info("Total number of orientations: %d", len(grains))
    return grains


def _check(parameters: Parameters) -> tuple[int, int, int]:
    """Frames, rows and columns of the scan; `ParameterError` on an experiment that cannot be."""
    if parameters["nScans"] != 1:
        raise parameters.error("nScans", "scanning (point focus) is not supported; only 1, a far-field scan")
    for name in ("Lsd", "px", "Wavelength", "RhoD"):
        parameters.positive(name)
    square = parameters.get("NrPixels")
    names = [name if name in parameters or square is None else "NrPixels" for name in ("NrPixelsZ", "NrPixelsY")]
    rows, columns = (int(parameters.positive(name)) for name in names)
    start, end, step = (parameters[f"Omega{name}"] for name in ("Start", "End", "Step"))
    if step == 0:
        raise parameters.error("OmegaStep", "must not be 0")
    if not (end - start) / step > 0:
        raise parameters.error("OmegaStep", f"does not lead from OmegaStart {start:g} to OmegaEnd {end:g}")
    frames = (end - start) / step
    whole = round(frames)
    if abs(frames - whole) > _WHOLE_FRAME:
        whole = int(np.ceil(frames))
    return max(whole, 1), rows, columns


def _archive_path(parameters: Parameters, folder: Path) -> Path:
    ending = ".analysis.MIDAS.zip" if parameters["WriteAnalysisZip"] == 1 else "_scanNr_0.zip"
    stem: str = parameters["OutFileName"]
    return folder / (stem + ending)


def _selected(listed: Table, parameters: Parameters) -> NDArray[np.float64]:
    """(m, 4) h, k, l and ring of the rings to simulate: in the order of the parameter file, twice if named twice."""
    rows = np.column_stack([listed[name] for name in ("h", "k", "l", "ring")])
    if not parameters["RingThresh"]:
        return rows
    parts = []
    for ring, _ in parameters["RingThresh"]:
        part = rows[rows[:, 3] == int(ring)]
        if not len(part):
            log.warning("ring %d is not among the reflections within RhoD", ring)
        parts.append(part)
    return np.concatenate(parts)


def _spots(
    grains: GrainList,
    reflections: NDArray[np.float64],
    parameters: Parameters,
    shape: tuple[int, int, int],
    folder: Path,
    threads: int,
) -> Table:
    """Every spot of the grains, as SpotMatrixGen.csv lists them."""
    detector = DetectorGeometry.from_parameters(parameters)
    packed = detector.packed()
    panels = panels_of(parameters, folder)
    legacy = parameters["LegacyDistortionMap"] == 1
    if legacy and detector.wedge and detector.exact_wedge:
        raise parameters.error("LegacyDistortionMap", "1 knows the legacy wedge only; give WedgeModel legacy with it")
    rotations = np.ascontiguousarray(nearest_rotations(grains.matrices).reshape(-1, 9))
    if legacy:
        rotations = legacy_rotations(np.ascontiguousarray(grains.matrices.reshape(-1, 9)), rotations)
    simulator = SpotSimulator(
        np.ascontiguousarray(reflections),
        packed,
        shape[1:],
        panels,
        distortion_map(packed, shape[1:], panels) if legacy else None,
        wavelength=parameters["Wavelength"],
        samples=_wavelengths(parameters),
        omega=(parameters["OmegaStart"], parameters["OmegaEnd"], parameters["OmegaStep"]),
        frames=shape[0],
        wedge=detector.wedge,
        exact_wedge=detector.exact_wedge,
        exact_tilts=detector.exact_tilts,
        beam_size=parameters["BeamSize"],
    )
    cells = np.ascontiguousarray(_cells(grains, parameters))
    positions = np.ascontiguousarray(grains.positions)
    return spot_table(simulator.spots(rotations, cells, positions, threads))


def spot_table(spots: NDArray[np.float64]) -> Table:
    """What the kernel knows of the spots, as ``SpotMatrixGen.csv`` calls it."""
    return Table.from_columns(SPOT_MATRIX_GEN.names, {_IN_FILE[name]: spots[i] for i, name in enumerate(SPOT_COLUMNS)})


def _cells(grains: GrainList, parameters: Parameters) -> NDArray[np.float64]:
    """(n, 6) cell of each grain: its own, or the reference cell, strained where the list gives strains."""
    if grains.cells is not None:
        return grains.cells
    cell = np.array(parameters["LatticeParameter"], np.float64)
    if grains.strains is None:
        return np.tile(cell, (len(grains), 1))
    e11, e12, e13, e22, e23, e33 = grains.strains.T
    strain = np.array([[e11, e12, e13], [e12, e22, e23], [e13, e23, e33]]).transpose(2, 0, 1)
    axes = (np.eye(3) + strain) @ np.linalg.inv(crystal.reciprocal_basis(cell)).T
    lengths = np.linalg.norm(axes, axis=1)
    unit = axes / lengths[:, None, :]
    cosines = [np.sum(unit[:, :, i] * unit[:, :, j], axis=1) for i, j in ((1, 2), (0, 2), (0, 1))]
    return np.column_stack([lengths, np.degrees(arccos(np.array(cosines))).T])


def _wavelengths(parameters: Parameters) -> NDArray[np.float64]:
    """Wavelengths that the beam is made of (docs/theory/simulation.md#wavelengths)."""
    width, count = parameters["EResolution"]
    if count < 1 or count != int(count) or width < 0:
        raise parameters.error("EResolution", "must be a relative width >= 0 and a number of samples >= 1")
    wavelength: float = parameters["Wavelength"]
    half = 0.5 * width * wavelength if count > 1 else 0.0
    return wavelength + np.linspace(-half, half, int(count))


def _intensities(
    spots: Table, grains: GrainList, parameters: Parameters, folder: Path
) -> tuple[Table, NDArray[np.float32]]:
    """The spots that have an intensity law, and their amplitudes before scaling."""
    amplitude = np.full(len(spots), parameters["PeakIntensity"] / parameters["EResolution"][1])
    if parameters["IntensitiesFile"]:
        rings = read_ring_intensities(folder / parameters["IntensitiesFile"])
        amplitude *= [rings.get(ring, 0.0) for ring in spots.integers("RingNr")]
    if grains.radii is not None:
        relative = grains.radii / grains.radii.max()
        amplitude *= (relative**3)[spots.integers("GrainID") - 1]
    if parameters["Lorentz"] == 1:
        sin_eta = np.abs(sin(np.radians(spots["Eta"])))
        kept = sin_eta >= _SMALLEST_SIN_ETA
        spots, amplitude = spots.take(kept), amplitude[kept]
        factor = 1 / (sin_eta[kept] * sin(np.radians(2 * spots["Theta"])))
        amplitude *= factor / np.median(factor) if len(factor) else 1.0
    return spots, amplitude.astype(np.float32)


def _merged(spots: Table, contributions: Contributions, renderer: Renderer) -> Table:
    """One row per diffracted beam: centre over frames and wavelengths, frames, counts without background."""
    multiply, divide = renderer.scale
    row = contributions.spot
    counts = contributions.amplitude.astype(float) * 2 * np.pi * renderer.exposure.sigma**2 * multiply / divide
    beams, beam = np.unique(
        np.stack([spots["GrainID"][row], spots["SpotID"][row]], axis=1), axis=0, return_inverse=True
    )
    total = np.bincount(beam, counts, len(beams))

    def mean(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(beam, counts * values, len(beams)) / total

    frame = contributions.frame
    first, last = np.full(len(beams), np.inf), np.full(len(beams), -np.inf)
    np.minimum.at(first, beam, frame)
    np.maximum.at(last, beam, frame)
    ring = np.zeros(len(beams))
    ring[beam] = spots["RingNr"][row]
    columns: dict[str, ArrayLike] = {
        name: mean(spots[name][row]) for name in ("Omega", "DetectorHor", "DetectorVert", "Eta")
    }
    columns |= {"GrainID": beams[:, 0], "SpotID": beams[:, 1], "RingNr": ring, "Frame": mean(frame)}
    columns |= {"FirstFrame": first, "LastFrame": last, "Counts": total}
    return Table.from_columns(SPOTS_MERGED.names, columns)
