"""Bad input of the peak merging: no output under its final name, and the culprit named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from midas.commands import run as cli
from midas.formats.layer import Layer
from midas.formats.merged import RESULT
from midas.formats.peaks import write_pixels
from midas.runtime.errors import ArchiveError, FormatError, ParameterError, StageError
from midas.stages import merge

from .searched_layer import EXAMPLE, EXAMPLE_RESULT, links, make_archive, parameters, pixel_lists, write_scan


def fails(layer: Layer, error: type[Exception], match: str, **values: object) -> None:
    stale = [layer.merged(3), layer.merge_map]
    for path in stale:
        path.write_text("of an earlier run")
    with pytest.raises(error, match=match):
        merge.run(layer, parameters(**values), threads=1)
    assert not [path for path in stale if path.exists()]
    assert not list(layer.folder.glob("*.part"))


@pytest.mark.parametrize("frame", [1, 2, 3])
def test_missing_peak_table(frame: int, tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    layer.peaks(frame).unlink()
    fails(layer, FormatError, f"_00000{frame}_PS.csv")


def test_archive_longer_than_the_peak_search(tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE[:2])
    make_archive(tmp_path, 3)
    fails(layer, FormatError, "_000003_PS.csv")


@pytest.mark.parametrize("line", ["1 2 3", "a b c", "1\t" * 26 + "x"])
def test_malformed_row(line: str, tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    with layer.peaks(2).open("a") as stream:
        stream.write(line + "\n")
    fails(layer, FormatError, r"_000002_PS.csv, line 5")


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    content = layer.peaks(2).read_text().splitlines()
    layer.peaks(2).write_text("\n".join([content[0], "", *content[1:3], " \t", content[3], "", ""]))
    merge.run(layer, parameters(), threads=1)
    assert layer.merged(3).read_text() == RESULT.header + EXAMPLE_RESULT


def test_missing_pixel_list(tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    layer.peak_pixels(2).unlink()
    fails(layer, FormatError, "_000002_PX.bin", UsePixelOverlap=1)


def test_missing_pixel_list_of_a_frame_without_peaks(tmp_path: Path) -> None:
    layer = write_scan(tmp_path, [EXAMPLE[0], [], EXAMPLE[2]])
    layer.peak_pixels(2).unlink()
    assert len(links(merge.run(layer, parameters(UsePixelOverlap=1), threads=1))) == 4


@pytest.mark.parametrize("change", [lambda content: content[:-3], lambda content: content[:6], lambda content: b""])
def test_truncated_pixel_list(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    path = layer.peak_pixels(2)
    path.write_bytes(change(path.read_bytes()))
    fails(layer, FormatError, "_000002_PX.bin.*cut off", UsePixelOverlap=1)


def test_pixel_lists_of_other_peaks(tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    write_pixels(layer.peak_pixels(2), pixel_lists([[(1, 1)]]))
    fails(layer, FormatError, "_000002_PX.bin.*1 peaks.*3 peaks", UsePixelOverlap=1)


@pytest.mark.parametrize("pixel", [(-1, 5), (64, 5), (5, -1), (5, 64)])
def test_pixel_outside_the_detector(pixel: tuple[int, int], tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    write_pixels(layer.peak_pixels(2), pixel_lists([[(1, 1)], [pixel], [(2, 2)]]))
    fails(layer, FormatError, "_000002_PX.bin.*outside the detector", UsePixelOverlap=1)


@pytest.mark.parametrize("skip", [3, 4, -1])
def test_skip_frame_that_leaves_nothing(skip: int, tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    with pytest.raises(ParameterError, match="SkipFrame"):
        merge.run(layer, parameters(SkipFrame=skip), threads=1)


def test_archive_without_frames(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "scan.MIDAS.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("exchange/other/.zarray", "{}")
    with pytest.raises(ArchiveError, match="exchange/data"):
        merge.run(Layer(tmp_path, path), parameters(), threads=1)
    with pytest.raises(StageError, match="archive"):
        merge.run(Layer(tmp_path), parameters(), threads=1)


def test_command_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    name = "MergeOverlappingPeaksAllZarr"
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no archive")
    cases = [
        ([str(tmp_path / "missing.zip"), str(tmp_path)], 1, "missing.zip"),
        ([str(broken), str(tmp_path)], 1, "broken.zip"),
        ([str(layer.archive)], 1, "ResultFolder"),
        ([str(layer.archive), str(tmp_path / "nowhere")], 1, "nowhere"),
    ]
    for arguments, code, culprit in cases:
        assert cli.run(name, arguments) == code
        error = capsys.readouterr().err
        assert culprit in error
        assert error.count("\n") == 1
    assert cli.run(name, [str(layer.archive), str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""
    assert layer.merged(3).read_text() == RESULT.header + EXAMPLE_RESULT
