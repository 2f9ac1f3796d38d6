"""Measured spots: the grains of a scan from its frames, whatever the peak search found."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import Call, Finished, TinyScan

from midas.archive import DATA, Archive, ArchiveWriter
from midas.experiment.orientation import matrices_from_euler
from midas.formats.grains import GRAINS, ORIENTATION, POSITION, read_grains
from midas.formats.layer import Layer
from midas.formats.measured import SPOTS_MEASURED
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.table import Table
from midas.runtime.errors import ArchiveError, OutputError, StageError
from midas.stages.grains import pull
from midas.stages.grains.pull import rounds
from midas.stages.grains.pull.instrument import box_widths


@pytest.fixture
def layer(finished: Finished, tmp_path: Path) -> Layer:
    """The finished layer, to work in."""
    shutil.copytree(finished[0], tmp_path / "LayerNr_1", symlinks=True)
    return Layer(tmp_path / "LayerNr_1", next((tmp_path / "LayerNr_1").glob("*.MIDAS.zip")))


def measured(layer: Layer, grains: Table | None = None, threads: int = 1) -> pull.PullTables:
    with Archive(str(layer.archive)) as archive:
        parameters = archive.parameters
    return pull.run(layer, parameters, threads=threads, grains=grains).data


def displaced(grains: Table, distance: float, angle: float) -> Table:
    """The grains elsewhere (µm) and turned about some axis (degrees)."""
    rng = np.random.default_rng(7)
    shifts = rng.normal(size=(len(grains), 3))
    shifts *= distance / np.linalg.norm(shifts, axis=1, keepdims=True)
    turn = matrices_from_euler(np.radians([[30.0, angle, -30.0]]))
    u = turn @ np.stack([grains[name] for name in ORIENTATION], axis=1).reshape(-1, 3, 3)
    columns = {name: grains[name].copy() for name in GRAINS.names}
    columns |= dict(zip(ORIENTATION, u.reshape(-1, 9).T, strict=True))
    columns |= {name: columns[name] + shift for name, shift in zip(POSITION, shifts.T, strict=True)}
    return Table.from_columns(GRAINS.names, columns)


def places(grains: Table) -> np.ndarray:
    return np.stack([grains[name] for name in POSITION], axis=1)


def test_the_grains_are_where_they_were(layer: Layer, scan: TinyScan) -> None:
    """Pixels of 800 µm; on clean spots the boxes are as good as the fitted peaks, and every reflection has a spot."""
    before = read_grains(layer.grains, through="Eul2")
    tables = measured(layer)
    true = read_grains(scan.truth)
    half = np.radians(0.5)  # frames are named by the angle at which they begin
    turn = np.array([[np.cos(half), -np.sin(half), 0], [np.sin(half), np.cos(half), 0], [0, 0, 1]])
    apart = np.linalg.norm(places(tables.grains)[:, None] - (places(true) @ turn.T)[None], axis=2)
    assert apart.min(axis=1).max() < 15
    for name in ("GrainID", "GrainRadius", "Confidence"):
        np.testing.assert_array_equal(tables.grains[name], before[name])
    assert abs(tables.grains["eKen11"]).max() < 1500
    assert (tables.grains["RMSErrorStrain"] < 500).all()
    own = np.bincount(tables.spots.integers("GrainID"))[before.integers("GrainID")]
    assert (own > 0.9 * own.max()).all()


def test_files(layer: Layer, caplog: pytest.LogCaptureFixture) -> None:
    """What is returned is what the files hold; the connected peak of nearly every spot is known."""
    layer.consolidated.touch()
    tables = measured(layer)
    np.testing.assert_array_equal(read_grains(layer.grains, through="Eul2").columns, tables.grains.columns)
    np.testing.assert_array_equal(SPOTS_MEASURED.read(layer.spots_measured).columns, tables.spots.columns)
    assert tables.quality is not None
    quality = GRAIN_QUALITY.read(layer.grain_quality)
    np.testing.assert_array_equal(quality.columns, tables.quality.columns)
    assert not layer.consolidated.exists()
    assert f"ff-midas -resultFolder {layer.folder.resolve()} -reprocess 1" in caplog.text
    spots = tables.spots
    np.testing.assert_array_equal(
        quality["nMeasured"], np.bincount(spots.integers("GrainID"))[quality.integers("GrainID")]
    )
    assert ((quality["Spread"] >= 0) & (quality["FWHM1"] >= quality["FWHM2"])).all()
    assert (spots["SpotID"] > 0).mean() > 0.9
    radius = np.hypot(spots["YLab"], spots["ZLab"])
    for ring in np.unique(spots["RingNr"]):
        assert np.ptp(radius[spots["RingNr"] == ring]) < 0.03 * radius.mean()
    assert set(spots["Source"]) <= {0.0, 1.0} and set(spots["Branch"]) == {-1.0, 1.0}
    np.testing.assert_allclose(spots["YLab"], -radius * np.sin(np.radians(spots["Eta"])), atol=0.01)


def test_displaced_starts_end_at_the_same_place(layer: Layer) -> None:
    """The measurement follows the frames, not its own prediction."""
    grains = read_grains(layer.grains, through="Eul2")
    near, far = measured(layer, grains), measured(layer, displaced(grains, 100.0, 0.1))
    np.testing.assert_allclose(places(far.grains), places(near.grains), atol=3.0)
    turned = np.stack([far.grains[name] - near.grains[name] for name in ORIENTATION])
    assert np.degrees(abs(turned).max()) < 0.01


def test_threads(layer: Layer) -> None:
    measured(layer)
    one = [path.read_bytes() for path in (layer.grains, layer.spots_measured)]
    shutil.copy(layer.grains, layer.folder / "again.csv")
    assert [path.read_bytes() for path in (layer.grains, layer.spots_measured)] == one
    start = read_grains(layer.grains, through="Eul2")
    results = [measured(layer, start, threads) for threads in (1, 3)]
    assert results[0].grains.columns.tobytes() == results[1].grains.columns.tobytes()
    assert results[0].spots.columns.tobytes() == results[1].spots.columns.tobytes()


def test_two_grains_in_one_spot(layer: Layer, scan: TinyScan) -> None:
    """Two grains at the same place: no spot can be told apart, and both keep their solutions."""
    grains = read_grains(layer.grains, through="Eul2").take(np.array([0, 0]))
    tables = measured(layer, grains)
    assert len(tables.spots) == 0
    np.testing.assert_array_equal(places(tables.grains), places(grains))


def test_chance(layer: Layer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random orientations are always the same ones; a limit that they exceed is a warning."""
    caplog.set_level(logging.INFO, "midas")
    first = rounds.random_crystals((4.0, 4.0, 4.0, 90.0, 90.0, 90.0))
    np.testing.assert_array_equal(first.u, rounds.random_crystals((4.0, 4.0, 4.0, 90.0, 90.0, 90.0)).u)
    np.testing.assert_allclose(first.u @ first.u.transpose(0, 2, 1), np.tile(np.eye(3), (len(first), 1, 1)), atol=1e-12)
    monkeypatch.setattr(pull, "HIGHEST_CHANCE", -1.0)
    measured(layer)
    assert any("random orientations hold a spot" in record.message for record in caplog.records)
    assert [
        record for record in caplog.records if record.levelno == logging.WARNING and "are no evidence" in record.message
    ]


def test_command(layer: Layer, in_process: Call) -> None:
    assert in_process("ff-pull", str(layer.archive), 1, cwd=layer.folder) == 0
    assert len(SPOTS_MEASURED.read(layer.spots_measured))


def test_option_of_the_driver(finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    """The option wins over the key; the HDF5 file holds the table; a run without it leaves no table behind."""
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "MeasureSpots 0\n")
    results = tmp_path / "LayerNr_1"
    shutil.copytree(finished[0] / "Temp", results / "Temp")
    arguments = ["-paramFN", parameters, "-dataFN", scan.archive, "-convertFiles", 0, "-doPeakSearch", 0, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, "-measureSpots", 1, cwd=tmp_path) == 0
    spots = SPOTS_MEASURED.read(results / "SpotsMeasured.csv")
    with h5py.File(next(results.glob("*_consolidated.h5"))) as file:
        np.testing.assert_allclose(file["resolve/measured/data"][:], spots.columns.T)
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert not (results / "SpotsMeasured.csv").exists()
    assert in_process("ff-midas", *arguments, "-measureSpots", 2, cwd=tmp_path) == 2


def test_another_scan_is_refused(layer: Layer, tmp_path: Path) -> None:
    """No frames, smaller frames, another part of the turn: one line, and the grain list stays."""
    before = layer.grains.read_bytes()
    with Archive(str(layer.archive)) as archive:
        parameters, shape, dtype = archive.parameters, archive.frames.shape, archive.frames.dtype
    small = (shape[0], shape[1] // 2, shape[2] // 2)
    part = (shape[0] // 3, *shape[1:])
    for frames, message in ((small, "beside which spot"), (part, "has no frame near omega")):
        path = tmp_path / "other.MIDAS.zip"
        with ArchiveWriter(path, frames, dtype) as writer:
            writer.add_frames(DATA, frames, (np.zeros(frames[1:], dtype) for _ in range(frames[0])))
            writer.add_parameters(parameters)
        with pytest.raises(StageError, match=message):
            measured(Layer(layer.folder, path))
        path.unlink()
    with pytest.raises(StageError, match="has no archive"):
        pull.run(Layer(layer.folder), parameters, threads=1)
    with pytest.raises(ArchiveError):
        measured(Layer(layer.folder, tmp_path / "none.MIDAS.zip"))
    assert layer.grains.read_bytes() == before
    assert not layer.spots_measured.exists()


def test_frames_without_the_peaks_are_refused(layer: Layer, tmp_path: Path) -> None:
    """The same turn and pixels, but the frames of another sample, or none at all: nothing is written."""
    before = {path: path.read_bytes() for path in (layer.grains, layer.grain_quality)}
    with Archive(str(layer.archive)) as archive:
        parameters, frames = archive.parameters, np.stack(list(archive.frames))
    others = (np.roll(frames, 60, axis=0), frames[:, ::-1].copy(), np.zeros_like(frames))
    for number, other in enumerate(others):
        path = tmp_path / f"other{number}.MIDAS.zip"
        with ArchiveWriter(path, other.shape, other.dtype) as writer:
            writer.add_frames(DATA, other.shape, other)
            writer.add_parameters(parameters)
        with pytest.raises(StageError, match="places of spots of the grains; it is another scan") as error:
            measured(Layer(layer.folder, path))
        assert path.name in str(error.value)
    assert {path: path.read_bytes() for path in before} == before
    assert not layer.spots_measured.exists()


def test_lost_peaks_are_refused(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sample of places does not tell, the boxes do."""
    before = {path: path.read_bytes() for path in (layer.grains, layer.grain_quality)}
    monkeypatch.setattr(pull, "check_places", lambda *arguments: None)
    with Archive(str(layer.archive)) as archive:
        parameters, shape, dtype = archive.parameters, archive.frames.shape, archive.frames.dtype
    path = layer.folder.parent / "empty.MIDAS.zip"
    with ArchiveWriter(path, shape, dtype) as writer:
        writer.add_frames(DATA, shape, (np.zeros(shape[1:], dtype) for _ in range(shape[0])))
        writer.add_parameters(parameters)
    with pytest.raises(StageError, match="boxes in which the grains have a peak; it is another scan"):
        measured(Layer(layer.folder, path))
    assert {path: path.read_bytes() for path in before} == before


def test_another_number_of_frames_is_refused(layer: Layer) -> None:
    for path in [*layer.folder.glob("R*_StartNr_1_EndNr_*.csv")]:
        path.rename(path.with_name(path.name.split("EndNr")[0] + "EndNr_7.csv"))
    with pytest.raises(StageError, match="frames, which R.*_EndNr_7.csv is not of; it is another scan"):
        measured(layer)


def test_keys_of_the_archive_count(layer: Layer, in_process: Call) -> None:
    """What is measured and how is said in one place, the archive, as for ff-grains."""
    number = len(measured(layer).spots)
    update = ("-keyToUpdate", "PullBox", "-updatedValue", "1e-6", "1e-6", "1e-6")
    assert in_process("ff-update", "-fn", layer.archive, *update, cwd=layer.folder) == 0
    assert len(measured(layer).spots) < number / 2


def test_earlier_files_stay_where_one_cannot_be_written(layer: Layer) -> None:
    before = {path: path.read_bytes() for path in (layer.grains, layer.grain_quality)}
    layer.spots_measured.mkdir()
    with pytest.raises(OutputError, match="SpotsMeasured"):
        measured(layer)
    assert {path: path.read_bytes() for path in before} == before


def test_chance_without_boxes_is_said_in_words(
    layer: Layer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "midas")
    monkeypatch.setattr(rounds, "_chance", lambda strangers: float("nan"))
    measured(layer)
    chance = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Chance level")]
    assert len(chance) == 1 and "unknown" in chance[0] and "nan" not in chance[0]


def test_widths_of_the_boxes(layer: Layer) -> None:
    """By default from pixel, step and margin; with mosaic grains as wide as their spread; as the user says."""
    with Archive(str(layer.archive)) as archive:
        given = archive.parameters.for_stage("pull")
    one = box_widths(given.changed(px=100.0, MarginOme=0.5), 0.5)
    assert (one.radial, one.arc, one.omega, one.spread) == (300, 300, 1.0, 0)
    mosaic = box_widths(given.changed(px=100.0, MarginOme=0.5, GrainMerging="mosaic", MosaicTolerance=3.0), 0.5)
    assert (mosaic.omega, mosaic.spread) == (2.25, 3.0)
    own = box_widths(given.changed(PullBox=(1.0, 2.0, 3.0)), 0.5)
    assert (own.radial, own.arc, own.omega, own.spread) == (1, 2, 3, 0)
