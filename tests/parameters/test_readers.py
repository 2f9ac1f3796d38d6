"""Every part of the suite reads the keys that it declares, all of them, and no others."""

from __future__ import annotations

import gzip
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import made_calibration
import numpy as np
import pytest
import tifffile
from tiny_scan import TinyScan, prepare

import midas
from midas import simulation
from midas.archive import Archive
from midas.archive.update import update
from midas.calibration import sigma_of_grains
from midas.commands import run as cli
from midas.convert import conversion
from midas.convert.angles import Rotation
from midas.convert.options import ConversionOptions
from midas.convert.scan import RawScan
from midas.diagnosis.case import Case
from midas.diagnosis.causes import causes
from midas.diagnosis.evidence import Evidence
from midas.diagnosis.failure import diagnose
from midas.diagnosis.look import run as looking
from midas.experiment.corrected_frames import CorrectedFrames
from midas.experiment.layer_view import layer_view
from midas.formats import hkls as hkls_format
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_FLAGS
from midas.formats.table import Table
from midas.parameters import Parameters, values
from midas.parameters.readers import READERS, read_from_archive, readers_of
from midas.parameters.table import KEYS
from midas.pipeline import calibrating
from midas.pipeline.calibration_request import CalibrationRequest, fitted_names, with_keys
from midas.pipeline.powder_images import numbered_files, read_image
from midas.results import consolidated
from midas.results.evidence import Predictor
from midas.results.exchange.instrument import detector_of
from midas.results.reading import read_results
from midas.runtime.errors import ParameterError
from midas.simulation import samples
from midas.stages import binning, fit_setup, grains, hkls, indexing, merge, peaks, radius, refinement
from midas.stages.grains import pull
from midas.stages.grains.pull.instrument import box_widths

PACKAGE = Path(midas.__file__).parent
#: compares the user's file with the archive, key by key; it reads for no stage
COMPARES = "pipeline/user_file.py"
#: options of runs that need not write what another one has written
FEW_GROUPS = ("-perSpotGroups", "0")


# ---------------------------------------------------------------- what a part may do


def test_an_undeclared_key_is_a_mistake_in_the_program() -> None:
    p = Parameters.parse("px 200\nWedge 0.1\n").for_stage("hkls")
    for read in (lambda: p["px"], lambda: p.get("px"), lambda: "px" in p, lambda: p.positive("px")):
        with pytest.raises(KeyError, match="hkls does not declare that it reads px"):
            read()
    with pytest.raises(KeyError, match="radius does not declare that it reads Wedge"):
        p.for_stage("radius").changed(px=2.0)["Wedge"]
    with pytest.raises(KeyError, match="index"):
        p.for_stage("index")
    assert Parameters.parse("px 200\n")["px"] == 200.0  # of no stage: from Python


def test_a_stage_reads_back_what_it_has_set() -> None:
    p = Parameters.parse("px 200\nRingRadii 1\n").for_stage("fit_setup")
    with pytest.raises(KeyError, match="RingRadii"):
        p["RingRadii"]
    assert p.changed(RingRadii=(2.0,)).without("px")["RingRadii"] == (2.0,)
    with pytest.raises(KeyError, match="RingRadii"):
        p.changed(RingRadii=(2.0,)).for_stage("hkls")["RingRadii"]


def test_defaults_of_a_part_hold_there_only() -> None:
    p = Parameters({})
    assert (p.for_stage("peaks")["px"], p.for_stage("peaks").get("Width")) == (200.0, 1000.0)
    with pytest.raises(ParameterError, match="px: is missing"):
        p.for_stage("radius")["px"]
    assert p.for_stage("radius").get("px") is None


# ---------------------------------------------------------------- what the parts do


class Reads:
    """The keys that each part has asked for; what is read for no part, by the module that did it."""

    def __init__(self) -> None:
        self.of: dict[str, set[str]] = defaultdict(set)
        self.for_no_part: set[tuple[str, str]] = set()

    def note(self, parameters: Parameters, name: str) -> None:
        part = parameters._stage
        if part:
            if name not in parameters._own:
                self.of[part].add(name)
            return
        frame = sys._getframe(2)
        while Path(frame.f_code.co_filename).parent == Path(values.__file__).parent:
            if frame.f_code.co_name == "archive_datasets":
                return  # writes all keys, and reads none for itself
            frame = frame.f_back
        module = Path(frame.f_code.co_filename)
        if module.is_relative_to(PACKAGE):
            self.for_no_part.add((module.relative_to(PACKAGE).as_posix(), name))


@pytest.fixture(scope="module")
def reads(scan: TinyScan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reads]:
    """What is read in whole runs, and in those of single parts with options that make them read more."""
    noted = Reads()
    declared = Parameters._check_declared

    def check(self: Parameters, name: str) -> None:
        noted.note(self, name)
        declared(self, name)

    folder = tmp_path_factory.mktemp("readers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parameters, "_check_declared", check)
        patch.chdir(folder)
        simulate(folder / "simulation")
        convert(folder / "conversion")
        layer = run_everything(folder, scan)
        refine_geometry(layer, folder / "alone" / layer.folder.name)
        look(folder, RawScan.archived(layer.archive, threads=1))
        run_again(layer)
        predict(layer)
        examine(layer, folder / "nothing")
        calibrate(folder / "powder")
        yield noted


def simulate(folder: Path) -> None:
    panels = {"NPanelsY": 2, "NPanelsZ": 1, "PanelSizeY": 31, "PanelSizeZ": 64, "PanelGapsY": 2}
    parameters = samples.write(
        "demo", folder, NrPixels=None, NrPixelsY=64, NrPixelsZ=64, px=3200, BC=(32, 32), **panels
    )
    simulation.run(parameters, threads=1, folder=folder)
    samples.write("demo", folder, NrPixels=64, px=3200, BC=(32, 32), OmegaStep=10, LegacyHKLList=1, SpaceGroup=143)
    simulation.run(parameters, threads=1, folder=folder)


def convert(folder: Path) -> None:
    """A raw file that knows its angles, and one that is named by its number."""
    folder.mkdir()
    frames = np.ones((3, 8, 8), np.uint16)
    rows, columns = map(np.ravel, np.indices((8, 8)))
    sparse = {f"{i}_{part}": array for i in range(3) for part, array in
              (("row", rows), ("col", columns), ("data", frames[i].ravel()))}  # fmt: skip
    omega = np.array([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)])
    np.savez(folder / "a.npz", shape=(8, 8), nframes=3, dtype="uint16", omega=omega, **sparse)
    with h5py.File(folder / "b_0001.h5", "w") as file:
        file["exchange/data"] = frames
    tifffile.imwrite(folder / "mask.tif", np.zeros((8, 8), np.uint8))
    text = f"MaskFN mask.tif\nEndNr 3\nRawFolder {folder}\nFileStem b\nExt .h5\nStartFileNrFirstLayer 1\nPadding 4\n"
    with gzip.open(folder / "c_0001.ge3.gz", "wb") as file:  # how many frames it has only its end tells
        file.write(frames.tobytes())
    scans = (
        (folder / "c_0001.ge3.gz", "HeadSize 0\nNrPixels 8\n"),
        (folder / "a.npz", ""),
        (folder / "a.npz", "OmegaStart 0\nOmegaStep 1\n"),
        ("", ""),
    )
    for data, more in scans:
        (folder / "ps.txt").write_text(text + more)
        conversion.run(ConversionOptions(folder / "ps.txt", folder, data_file=str(data)), threads=1)


def look(folder: Path, scan: RawScan) -> None:
    """As it is, and with a crystal of which the legacy list of reflections is another one."""
    looking.run(scan, folder, threads=1, count=5)
    hexagonal = scan.parameters.changed(SpaceGroup=143, LatticeParameter=(3.5, 3.5, 5.0, 90.0, 90.0, 120.0))
    looking.run(replace(scan, rotation=Rotation(hexagonal)), folder, threads=1, count=1)


def run_everything(folder: Path, scan: TinyScan) -> Layer:
    """The driver from raw files, and from an archive alone."""
    shifts = folder / "shifts.txt"
    shifts.write_text("0 0 0\n")
    parameters = prepare(folder, scan, f"PanelShiftsFile {shifts}", "Dark dark.h5", "tGap 0.1", "WriteLegacyBins 1")
    with h5py.File(folder / "raw data" / "dark.h5", "w") as file:
        file["exchange/dark"] = np.zeros((1, 256, 256), np.uint16)
    assert cli.run("ff-midas", ["-paramFN", str(parameters), "-rawDir", "raw data", "-nCPUs", "1"]) == 0
    alone = folder / "alone"
    alone.mkdir()
    shutil.copy(scan.archive, alone)
    assert (
        cli.run("ff-midas", ["-dataFN", str(alone / scan.archive.name), "-resultFolder", str(alone), *FEW_GROUPS]) == 0
    )
    layer = folder / "LayerNr_1"
    batch = ["-paramFN", str(parameters), "-batchMode", "1", "-resultFolder", str(folder / "batch")]
    dark = str(folder / "raw data" / "dark.h5")
    assert cli.run("ff-midas", [*batch, "-darkFN", dark, "-peakSearchOnly", "1", "-nCPUs", "1"]) == 0
    table = folder / "table"
    table.mkdir()
    shutil.copy(Layer(layer).extra_info, table)
    arguments = [
        "-paramFN",
        str(parameters),
        "-provideInputAll",
        "1",
        "-resultFolder",
        str(table),
        "-nCPUs",
        "1",
        *FEW_GROUPS,
    ]
    assert cli.run("ff-midas", arguments) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(layer)
        assert cli.run("ff-radius", ["scan_000001.MIDAS.zip"]) == 0
        assert cli.run("ff-index", ["paramstest.txt"]) == 0
    return Layer(layer, layer / "scan_000001.MIDAS.zip", f"{layer}/")


def refine_geometry(layer: Layer, other: Path) -> None:
    """Two detectors with the same grains, one of them made of panels."""
    panels = {"NPanelsY": 2, "NPanelsZ": 1, "PanelSizeY": 120, "PanelSizeZ": 256, "PanelGapsY": 16, "PanelGapsZ": 0}
    archive = next(other.glob("*.MIDAS.zip"))
    for name, value in panels.items():
        update(archive, name, [str(value)])
    folders = [str(layer.folder), str(other)]
    assert cli.run("ff-geometry", [*folders, "-refine", "Lsd,BC,Panels", "-maxPasses", "1", "-nCPUs", "1"]) == 0


def run_again(layer: Layer) -> None:
    """Stage by stage with keys that make it look at others."""
    p = _parameters(layer)
    hkls.run(layer, p.changed(LatticeParameter=(40.0, 40.0, 40.0, 90.0, 90.0, 90.0)))
    hkls.run(layer, p)
    consolidated.write(layer)
    sigma_of_grains(layer)
    panels = {"NPanelsY": 2, "NPanelsZ": 1, "PanelSizeY": 120, "PanelSizeZ": 256, "PanelGapsY": (16,)}
    peaks.run(layer, p.changed(**panels), threads=1)
    merge.run(layer, p, threads=1)
    radius.run(layer, p.changed(DiscModel=1, DiscArea=1e6, WidthTthPx=1500.0), threads=1)
    radius.run(layer, p.changed(Vsample=0.0), threads=1)
    fit_setup.run(layer, p.changed(BoxSize=()), threads=1)
    fit_setup.run(layer, p.changed(DoFit=1), threads=1)
    MERGE_FLAGS.write(layer.merge_flags, Table(MERGE_FLAGS.names, np.array([[1.0], [1], [1], [0]])))
    fit_setup.run(layer, p, threads=1)
    fit_setup.run(layer, p.changed(WidthTthPx=1500.0), threads=1)
    grains.run(layer, p.changed(GrainMerging="legacy"), threads=1)
    pull.run(layer, p.changed(**panels), threads=1)
    box_widths(p.for_stage("pull").changed(GrainMerging="mosaic"), 1.0)
    p = Parameters.read(layer.paramstest, "paramstest")
    binning.run(layer, p, threads=1)
    np.full(32, 0xFFFFFFFF, "<u4").tofile(layer.detector_mask)
    indexing.run(layer, p.changed(BigDetSize=32), threads=1)
    indexing.run(layer, p.changed(SpaceGroup=14), threads=1)
    refinement.run(layer, p.changed(BigDetSize=32), threads=1)


def predict(layer: Layer) -> None:
    """The spots of the grains, on the detector as it is, and with panels and a mask."""
    Predictor.of(read_results(layer.folder))
    panels = {"NPanelsY": 2, "NPanelsZ": 1, "PanelSizeY": 120, "PanelSizeZ": 256, "PanelGapsY": (16,)}
    np.full(32, 0xFFFFFFFF, "<u4").tofile(layer.detector_mask)
    detector_of(read_results(layer.folder))
    own = _parameters(layer).changed(**panels).for_stage("evidence")
    of_setup = Parameters.read(layer.paramstest, "paramstest").changed(BigDetSize=32).for_stage("evidence")
    layer_view(layer, own, of_setup, hkls_format.LAYOUT.read(layer.hkls))
    with Archive(layer.archive) as archive:
        CorrectedFrames.of(archive, own)


def examine(layer: Layer, empty: Path) -> None:
    """Why there are no grains: of seeds, a ring too many, no order, a transposed image, and nothing at all."""
    p, paramstest = _parameters(layer), Parameters.read(layer.paramstest, "paramstest")
    diagnose(layer, p, 1, counts={"refined": 1})
    diagnose(layer, p, 1, paramstest=paramstest.changed(RingNumbers=(2, 6), RingRadii=(49264.0, 98528.0)))
    mixed_up = Evidence(layer, p)
    mixed_up.spots["omega_recorded"][:] = np.roll(mixed_up.spots["omega_recorded"], 7)
    assert not list(causes(Case(mixed_up, 1)))
    transposed = Evidence(layer, p)
    for name in ("y_plane", "z_plane"):
        transposed.spots[name][:] *= -1
    y, z = (transposed.spots[name].copy() for name in ("y_plane", "z_plane"))
    transposed.spots["y_plane"][:], transposed.spots["z_plane"][:] = z, y
    assert "OmegaStep" in next(causes(Case(transposed, 1)))
    empty.mkdir()
    shutil.copy(layer.hkls, empty)
    for changed in ({"px": 840.0}, {"MinNrPx": 500}, {"UpperBoundThreshold": 1.0}):
        diagnose(Layer(empty, layer.archive), p.changed(**changed), 1)


def calibrate(folder: Path) -> None:
    """What is read of images without rings, and what a crystal, the engine and the files want of the parameters."""
    folder.mkdir()
    tifffile.imwrite(folder / "a_000001.tif", np.zeros((8, 8), np.uint16))
    (folder / "b_000001.ge3").write_bytes(np.zeros((8, 8), "<u2").tobytes())
    files = {"Dark": "a", "MaskFN": "a", "GapFile": "a", "BadPxFile": "a", "FloodFN": "a"}
    lines = [f"{key} {name}_000001.tif" for key, name in files.items()]
    lines += ["FileStem a", "Ext .tif", "StartNr 1", "EndNr 1", "Folder .", "NPanelsY 2", "NPanelsZ 1", "PanelSizeY 3"]
    lines += ["PanelSizeZ 8", "PanelGapsY 2", "FixPanelID 1", "PanelShiftsFile s.txt", "Wavelength 0.17", "px 200"]
    lines += ["NrPixels 8", "Width 1000", "HeadSize 0", "GapIntensity 9", "BadPxIntensity 9"]
    (folder / "ps.txt").write_text("\n".join(lines))
    given, _ = with_keys(folder / "ps.txt", {})
    assert len(numbered_files(given, folder)) == 1
    for path in (folder / "a_000001.tif", folder / "b_000001.ge3"):
        read_image(path, given, folder)
    result = made_calibration.calibration(panels=True)
    half = made_calibration.panel_boxes()[:2]
    result = replace(result, panels=np.zeros((len(half), 3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrating, "calibrate", lambda *_: result)
        patch.setattr(calibrating, "refitted", lambda *_: result)
        cell = {"LatticeParameter": (5.41, 5.41, 5.41, 90.0, 90.0, 90.0), "SpaceGroup": 225, "CalibEngine": "legacy"}
        start = {"Lsd": 1e6, "BC": (4.0, 4.0), "RhoD": 1e5} | dict.fromkeys(calibrating.BOUNDS, 1.0)
        for keys in ({"Calibrant": "CeO2"}, cell, cell | start):
            own = Parameters(given.as_given() | keys).for_stage("calibrate")
            fitted_names(own["CalibFit"], (), False)
            image = folder / "a_000001.tif"
            calibrating.run(CalibrationRequest(own, folder, (image,), legacy="auto", output=folder), threads=1)


def _parameters(layer: Layer) -> Parameters:
    with Archive(layer.archive) as archive:
        return archive.parameters


@pytest.mark.parametrize("part", READERS)
def test_declared_keys_are_read_and_no_others(part: str, reads: Reads) -> None:
    not_read = READERS[part].keys - reads.of[part]
    undeclared = reads.of[part] - READERS[part].keys
    assert (sorted(not_read), sorted(undeclared)) == ([], [])


def test_nothing_is_read_for_no_part(reads: Reads) -> None:
    assert {(module, name) for module, name in reads.for_no_part if module != COMPARES} == set()


# ---------------------------------------------------------------- what the sources name


# ---------------------------------------------------------------- what follows from the list


def test_every_key_has_a_reader_or_says_why_not() -> None:
    for key in KEYS.values():
        unused = key.text.startswith("accepted, not used")
        waiting = bool(key.not_yet)
        assert [bool(readers_of(key.name)) and not (waiting and key.handed_on), waiting, unused].count(True) == 1, (
            key.name
        )


def test_keys_of_the_readers_are_in_the_table() -> None:
    for reader in READERS.values():
        assert reader.keys <= KEYS.keys()


def test_what_an_archive_decides() -> None:
    assert all(map(read_from_archive, ("Lsd", "OmegaRange", "WedgeModel", "GlobalPosition", "PanelShiftsFile")))
    others = (
        "OmegaStart",
        "RawFolder",
        "GaussWidth",
        "RingsToExcludeFraction",
        "TakeGrainMax",
        "ResultFolder",
        "StartNr",
    )
    assert not any(map(read_from_archive, others))
