"""The first look at the demo scan: as it is, and with one thing wrong in each test."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from midas.commands.run import run
from midas.convert.options import ConversionOptions
from midas.convert.scan import RawScan
from midas.diagnosis.look import findings
from midas.diagnosis.look.levels import hot_pixels
from midas.diagnosis.look.picture import png
from midas.diagnosis.look.run import look_at
from tests.convert.demo_scan import demo_scan


def _write(folder: Path, frames: np.ndarray, dark: np.ndarray | None, **values: object) -> Path:
    """A parameter file with other values, and the frames as an HDF5 file that it names."""
    import h5py

    with h5py.File(folder / "scan_000007.h5", "w") as file:
        file["exchange/data"] = frames
        if dark is not None:
            file["exchange/dark"] = dark
    lines = demo_scan().parameters.splitlines()
    for key, value in values.items():
        lines = [line for line in lines if line.split()[:1] != [key]] + [f"{key} {value}"]
    path = folder / "ps.txt"
    path.write_text("\n".join([*lines, ""]))
    return path


def _look(folder: Path, frames: np.ndarray | None = None, dark: np.ndarray | None = None, **values: object):
    scan = demo_scan()
    given = scan.frames[:120] if frames is None else frames
    path = _write(folder, given, scan.dark if dark is None else dark, **values)
    options = ConversionOptions(parameter_file=path, result_folder=folder, data_file=str(folder / "scan_000007.h5"))
    raw = RawScan.opened(options, threads=1)
    return look_at(raw, raw.parameters.for_stage("look"), threads=1, first=0, count=-1)


def _said(look) -> str:
    return "\n".join(findings.sentences(look))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return _look(tmp_path_factory.mktemp("sound"))


def test_nothing_looks_wrong(sound):
    assert findings.text(sound).endswith("Nothing looks wrong.\n")
    assert sound.observed.scale == 1
    assert set(range(1, 6)) <= set(sound.observed.seen.tolist())
    rings = {one.ring: one for one in sound.observed.offsets.rings}
    assert all(abs(rings[number].micrometres) < 0.2 * sound.detector.px for number in range(1, 6))


def test_projections_are_those_of_numpy(sound):
    scan = demo_scan()
    frames, dark = scan.frames[:120].astype(float), scan.dark.mean(axis=0)
    np.testing.assert_allclose(sound.seen.maximum, frames.max(axis=0) - dark, atol=1e-3)
    np.testing.assert_allclose(sound.seen.mean, frames.mean(axis=0) - dark, atol=1e-3)
    sampled = frames[sound.seen.sampled]
    np.testing.assert_allclose(sound.seen.median, np.median(sampled, axis=0) - dark, atol=1e-3)
    assert sound.seen.sampled[0] == 0 and sound.seen.sampled[-1] == 119


def test_levels_are_those_of_the_simulation(sound):
    """The demo has a background of 20 counts with its Poisson noise, and peaks far above."""
    for level in sound.levels[:5]:
        assert abs(level.level - 20) < 1.5 and abs(level.noise - np.sqrt(20)) < 1.5
        assert level.level + 4 * level.noise < level.suggested < 80
        assert level.peaks > 0 and level.strongest > 100


@pytest.mark.parametrize("lsd", [0.985, 1.045])
def test_a_distance_that_is_far_off(tmp_path, sound, lsd):
    true = sound.detector.lsd
    said = _said(_look(tmp_path, Lsd=true * lsd))
    near = float(re.search(r"Lsd is (?:near|about) (\d+)", said)[1])
    assert abs(near / true - 1) < 0.002


def test_a_distance_that_is_a_little_off(tmp_path, sound):
    said = _said(_look(tmp_path, Lsd=sound.detector.lsd * 1.004))
    about = float(re.search(r"Lsd is about (\d+)", said)[1])
    assert abs(about / sound.detector.lsd - 1) < 0.0012


def test_a_beam_centre_that_is_off(tmp_path):
    look = _look(tmp_path, BC="129 127.2")
    said = _said(look)
    # The true centre lies at +y: rings stand out at eta -90 (y = +R) and fall short at +90.
    sector = re.compile(r"([+-]\d+) \.\.\.\s+[+-]\d+\s+([+-][\d.]+) \(\d+\)")
    offsets = {int(low): float(value) for low, value in sector.findall(findings.text(look))}
    assert offsets[-90] > 300 and offsets[75] < -300
    y, z = map(float, re.search(r"BC is about ([\d.]+) ([\d.]+)", said).groups())
    assert abs(y - 128) < 0.25 and abs(z - 128) < 0.25


def test_the_dark_is_missing(tmp_path):
    scan = demo_scan()
    look = _look(tmp_path, frames=scan.frames[:40], dark=np.zeros_like(scan.dark))
    assert re.search(r"the dark is missing: .* level of 1\d\d counts, and RingThresh begins at 80", _said(look))
    assert "% of its pixels are above RingThresh 80" in _said(look)


def test_hot_pixels_and_saturation(tmp_path):
    frames = demo_scan().frames[:40].copy()
    frames[:, 30, 200] = 3000
    frames[:, 100, 17] = 900
    frames[3, 60:64, 60:63] = 16383
    look = _look(tmp_path, frames=frames, UpperBoundThreshold=14000)
    assert hot_pixels(look.seen, look.where.valid).tolist() == [[30, 200], [100, 17]]
    assert "2 hot pixels (row, column of the raw frame: (30, 200), (100, 17))" in _said(look)
    assert "12 pixels reach 16383 counts, the limit is 14000" in _said(look)


def test_thresholds_that_are_too_low_or_too_high(tmp_path):
    said = _said(_look(tmp_path, RingThresh="1 27\nRingThresh 2 3000"))
    assert re.search(r"ring 1: (RingThresh 27 is inside the noise|[\d.]+ % of its pixels are above)", said)
    assert re.search(r"ring 2: RingThresh 3000 keeps [\d.]+ of [\d.]+ peaks a frame; \d+ is \d+ times the noise", said)


def test_no_ring_on_the_detector(tmp_path):
    look = _look(tmp_path, frames=demo_scan().frames[:10], Wavelength=1.6)
    assert "no ring" in _said(look)
    assert findings.text(look) and png(look)


def test_flips_and_shapes(tmp_path):
    """A frame that is turned by ImTransOpt shows the same rings; a detector that is no square is padded."""
    frames = np.ascontiguousarray(demo_scan().frames[:60, 40:, :])
    look = _look(tmp_path, frames=frames, dark=demo_scan().dark[:, 40:, :], BC="128 88")
    assert findings.text(look).endswith("Nothing looks wrong.\n")
    flipped = frames[:, ::-1]
    # ImTransOpt 2 reverses the rows of the padded square: the rows of the data end up 40 higher
    (tmp_path / "flipped").mkdir()
    look = _look(tmp_path / "flipped", frames=flipped, dark=demo_scan().dark[:, :39:-1], BC="128 128", ImTransOpt=2)
    assert findings.text(look).endswith("Nothing looks wrong.\n")


def test_the_picture(sound):
    picture = Image.open(io.BytesIO(png(sound)))
    assert picture.size == (256, 256)
    colours = {colour for _, colour in picture.getcolors(100000)}
    assert (255, 120, 40) in colours and (90, 220, 90) in colours


def test_the_command_writes_three_files(tmp_path, capsys):
    scan = demo_scan()
    path = _write(tmp_path, scan.frames[:30], scan.dark)
    out = tmp_path / "seen"
    words = [str(path), "-dataFN", str(tmp_path / "scan_000007.h5"), "-resultFolder", str(out), "-count", "20"]
    assert run("ff-look", words) == 0
    printed = capsys.readouterr().out
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 3 and [Path(name).suffix for name in names] == [".html", ".png", ".txt"]
    text = next(out.glob("*.txt")).read_text()
    assert text.strip() in printed and "20 frames" in text
    assert "data:image/png;base64," in next(out.glob("*.html")).read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-count", "0"], 2, "-count"),
        (["-first", "500"], 2, "must lie in 0 ... 29"),
        (["-dataFN", "nowhere.h5"], 1, "nowhere.h5"),
    ],
)
def test_mistakes(tmp_path, capsys, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    scan = demo_scan()
    _write(tmp_path, scan.frames[:30], scan.dark)
    assert run("ff-look", ["ps.txt", "-dataFN", "scan_000007.h5", *words]) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(tmp_path.glob("*_look*"))


def test_without_anything(capsys):
    assert run("ff-look", []) == 2
    assert "needs a parameter file" in capsys.readouterr().err


def test_options_of_the_command(tmp_path, capsys):
    """Frames and dark under other names, a dark file, a part of the scan."""
    import h5py

    scan = demo_scan()
    path = _write(tmp_path, scan.frames[:30], None)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["entry/frames"] = scan.frames[:30]
    with h5py.File(tmp_path / "dark.h5", "w") as file:
        file["entry/dark"] = scan.dark
    words = ["-paramFN", str(path), "-dataFN", str(tmp_path / "other.h5"), "-dataLoc", "entry/frames", "-first", "4"]
    words += ["-darkFN", str(tmp_path / "dark.h5"), "-darkLoc", "entry/dark", "-count", "9", "-nCPUs", "1"]
    assert run("ff-look", [*words, "-resultFolder", str(tmp_path), "-LayerNr", "1"]) == 0
    said = capsys.readouterr().out
    assert "9 frames from number 4, omega -86 to -77" in said and "dark subtracted" in said


def test_the_driver_looks_too(tmp_path, capsys):
    scan = demo_scan()
    path = _write(tmp_path, scan.frames[:60], scan.dark)
    words = ["-paramFN", str(path), "-dataFN", str(tmp_path / "scan_000007.h5"), "-resultFolder", str(tmp_path)]
    assert run("ff-midas", [*words, "-look", "1", "-peakSearchOnly", "1", "-nCPUs", "1"]) == 0
    assert "first_look: " in capsys.readouterr().err
    folder = tmp_path / "LayerNr_1"
    assert len(list(folder.glob("*_look.*"))) == 3
    assert "60 frames" in next(folder.glob("*_look.txt")).read_text()
    assert "Nothing looks wrong." in (folder / "midas_log" / "first_look_out.csv").read_text()


@pytest.mark.parametrize("centre", ["141 128", "110 149"])
def test_a_beam_centre_that_is_far_off(tmp_path, centre):
    """Beyond the windows around the rings: the strongest maxima tell where to look."""
    said = _said(_look(tmp_path, BC=centre))
    y, z = map(float, re.search(r"BC is about ([\d.]+) ([\d.]+)", said).groups())
    assert abs(y - 128) < 0.3 and abs(z - 128) < 0.3
    assert "Lsd" not in said


@pytest.mark.parametrize("centre", ["128 40", "215 200"])
def test_what_cannot_be_told_is_not_told(tmp_path, centre):
    said = _said(_look(tmp_path, BC=centre))
    assert "of the strongest maxima lie on the rings" in said and "is not certain" in said
    assert "about" not in said
