"""The peak search: its files, threads and blocks, errors and exit codes."""

from __future__ import annotations

import logging
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.archive import Archive
from midas.formats.layer import Layer
from midas.formats.peaks import LAYOUT, read_pixels
from midas.parameters import Parameters
from midas.runtime.errors import ArchiveError, FormatError, MidasError, OutputError, ParameterError
from midas.runtime.parallel import Communicator
from midas.stages import peaks

from .small_scan import BASE, RADII, Scan, hkls_of, spots


# What is written, and what must not change it
def test_memory_equals_the_files_and_the_files_have_the_legacy_form(small_scan: Callable[..., Scan]):
    frames = spots()
    frames[1] = 0
    layer = small_scan(frames).layer
    result = peaks.run(layer, Parameters.parse(BASE), threads=2, hkls=hkls_of(RADII))
    assert result.summary == {"frames": 3, "peaks": sum(len(table) for table, _ in result.data)}
    for number, (table, pixels) in enumerate(result.data, 1):
        from_file = LAYOUT.read(layer.peaks(number))
        assert (from_file.columns == table.columns).all()
        stored = read_pixels(layer.peak_pixels(number))
        assert stored.size == pixels.size == 64
        for field in ("offsets", "y", "z"):
            assert getattr(stored, field).tolist() == getattr(pixels, field).tolist()
            assert getattr(stored, field).dtype == getattr(pixels, field).dtype
        assert table["peak_id"].tolist() == list(range(1, len(table) + 1))
        assert set(table["omega_recorded"]) <= {-90 + 0.5 * (number - 1)}
    assert len(result.data[0][0]) > 2
    assert layer.peaks(2).read_bytes() == (LAYOUT.header + "\n").encode()
    assert layer.peak_pixels(2).read_bytes() == np.array([64, 0], "<i4").tobytes()
    assert layer.peaks(1).name == "scan.MIDAS.zip_000001_PS.csv"


@pytest.mark.parametrize("method", ["nm", "lm", "centroid"])
def test_threads_blocks_and_the_order_of_the_archive_change_nothing(
    small_scan: Callable[..., Scan], tmp_path: Path, method: str
):
    text = "doPeakFit 0" if method == "centroid" else f"PeakFitMethod {method}"
    one = small_scan(spots((7, 64, 64)), text)
    one.run()
    expected = one.files()
    assert len(expected) == 14
    for threads in (2, 4):
        one.run(threads)
        assert one.files() == expected
    for blocks in range(1, 6):
        for path in one.layer.temp.iterdir():
            path.unlink()
        parts = [one.run(comm=Communicator(block, blocks)).data for block in range(blocks)]
        assert [len(part) for part in parts] == [len(Communicator(b, blocks).rows(7)) for b in range(blocks)]
        assert one.files() == expected
    shuffled = tmp_path / "shuffled" / "scan.MIDAS.zip"
    shuffled.parent.mkdir()
    with zipfile.ZipFile(one.layer.archive) as source, zipfile.ZipFile(shuffled, "w") as target:
        names = source.namelist()
        random.Random(5).shuffle(names)
        for name in names:
            target.writestr(name, source.read(name))
    other = Layer(shuffled.parent, shuffled)
    with Archive(shuffled) as archive:
        peaks.run(other, archive.parameters, threads=2, hkls=hkls_of(RADII))
    assert {path.name: path.read_bytes() for path in other.temp.iterdir()} == expected


def test_old_files_of_these_frames_are_replaced_and_nothing_else_is_touched(small_scan: Callable[..., Scan]):
    one = small_scan(spots())
    one.layer.temp.mkdir()
    one.layer.peaks(2).write_bytes(b"old")
    (one.layer.temp / "notes").write_bytes(b"mine")
    one.run()
    assert one.layer.peaks(2).read_bytes() != b"old"
    assert (one.layer.temp / "notes").read_bytes() == b"mine"
    assert len(one.files()) == 7


def test_log_lines_that_users_look_for(small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    result = small_scan(spots()).run(comm=Communicator(1, 2))
    lines = [record.getMessage() for record in caplog.records]
    assert "Processing frames 2 to 2" in lines
    assert any(line.startswith("FrameNr: 2, NrOfRegions: ") and ", Number of peaks: " in line for line in lines)
    assert lines[-1].startswith("Finished, time elapsed: ")
    assert lines[-1].endswith("nrFramesDone: 1.")
    assert result.stage == "peaks"


# Errors
def test_errors_name_the_cause_and_leave_no_files(small_scan: Callable[..., Scan], tmp_path: Path):
    frames = spots()
    for text, words in {
        "SkipFrame 3": "SkipFrame",
        "RingThresh 1 -5": "must not be negative",
    }.items():
        one = small_scan(frames, text)
        with pytest.raises(ParameterError, match=words):
            one.run()
        assert not one.layer.temp.exists()
    for name in ("MaxNPeaks", "Width", "ReferenceRingCurrent"):
        one = small_scan(frames)
        with pytest.raises(ParameterError, match=f"{name}: 0: must be greater than 0"):
            peaks.run(one.layer, one.parameters.changed(**{name: 0}), threads=1, hkls=hkls_of(RADII))
        assert not one.layer.temp.exists()
    with pytest.raises(ParameterError, match="none of these rings"):
        small_scan(frames).run(hkls=hkls_of({5: 10.0}))
    with pytest.raises(FormatError, match="ff-hkls"):
        small_scan(frames).run(hkls=None)
    no_rings = small_scan(frames)
    with pytest.raises(ParameterError, match="RingThresh"):
        peaks.run(no_rings.layer, Parameters.parse("Lsd 1").changed(DoFullImage=1), threads=1)


def test_exit_codes_of_the_legacy_program(small_scan: Callable[..., Scan], tmp_path: Path):
    def code_of(layer: Layer, kind: type[MidasError]) -> int:
        with pytest.raises(kind) as caught:
            peaks.run(layer, Parameters.parse(BASE), threads=1, hkls=hkls_of(RADII))
        return caught.value.exit_code

    assert code_of(Layer(tmp_path, tmp_path / "absent.zip"), ArchiveError) == 3
    one = small_scan(spots())
    one.layer.temp.write_bytes(b"a file where the folder should be")
    assert code_of(one.layer, OutputError) == 4
    without_frames = tmp_path / "empty.MIDAS.zip"
    with zipfile.ZipFile(one.layer.archive) as source, zipfile.ZipFile(without_frames, "w") as target:
        for name in source.namelist():
            if not name.startswith("exchange/data"):
                target.writestr(name, source.read(name))
    assert code_of(Layer(tmp_path, without_frames), ArchiveError) == 5
    dark = small_scan(spots(), dark=np.ones((1, 64, 64), "u2"))
    damage(dark.layer.archive, "exchange/dark/0.0.0")
    assert code_of(dark.layer, ArchiveError) == 6
    flood = small_scan(spots(), flood=np.ones((1, 30, 30)))
    assert code_of(flood.layer, ArchiveError) == 6


def damage(path: Path, member: str) -> None:
    """Write an archive again with a member whose compressed content is broken."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    members[member] = members[member][:20] + os.urandom(len(members[member]) - 20)
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_damaged_frame_is_an_error_without_files_of_its_own(small_scan: Callable[..., Scan], threads: int):
    one = small_scan(spots((5, 64, 64)))
    one.run()
    damage(one.layer.archive, "exchange/data/3.0.0")
    with pytest.raises(ArchiveError, match=r"exchange/data/3\.0\.0") as caught:
        one.run(threads)
    assert caught.value.exit_code == 1
    assert not one.layer.peaks(4).exists()
    assert not one.layer.peak_pixels(4).exists()


def test_a_frame_that_is_not_stored_is_empty(small_scan: Callable[..., Scan]):
    one = small_scan(spots())
    expected = one.run().data
    with zipfile.ZipFile(one.layer.archive) as source:
        members = {name: source.read(name) for name in source.namelist()}
    del members["exchange/data/1.0.0"]
    with zipfile.ZipFile(one.layer.archive, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    found = one.run().data
    assert len(found[1][0]) == 0
    assert (found[2][0].columns == expected[2][0].columns).all()
