"""EDF files as fabio writes them, under any name; and the angles in the headers of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.parameters import SCAN
from midas.runtime.errors import FormatError

from .raw_files import BASE, SUFFIXES, all_of, cbf, edf, only_the_raw_files, pixels, tiff, write_hdf5


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", "u1 i1 u2 i2 u4 i4 f4 f8".split())
def test_edf_of_every_type(convert, tmp_path: Path, dtype: str, suffix: str) -> None:
    """Many frames a file, and a file a frame."""
    frames = pixels(dtype=dtype, high=100)
    path = edf(tmp_path / f"scan.edf{suffix}", frames)
    with convert(data_file=str(path)) as archive:
        assert archive.frames.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    only_the_raw_files(tmp_path, path)
    for i, frame in enumerate(frames):
        edf(tmp_path / f"series_{i:04d}.edf{suffix}", frame[np.newaxis])
    with convert(data_file=str(tmp_path / f"series_0000.edf{suffix}"), files_per_scan=4) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


def test_edf_of_the_other_byte_order(convert, tmp_path: Path) -> None:
    frames = pixels(dtype="i4")
    content = edf(tmp_path / "scan.edf", frames.byteswap()).read_bytes()
    swapped = content.replace(b"LowByteFirst ;\n", b"HighByteFirst;\n")
    assert swapped != content
    (tmp_path / "scan.edf").write_bytes(swapped)
    with convert(data_file=str(tmp_path / "scan.edf")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


def test_edf_under_the_name_of_a_detector(convert, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    frames = pixels()
    with convert(data_file=str(edf(tmp_path / "scan.ge5", frames))) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    assert "scan.ge5: is read as EDF, which it begins like" in caplog.text


def test_edf_that_are_none(convert, tmp_path: Path, caplog) -> None:
    path = edf(tmp_path / "scan.edf", pixels())
    whole = path.read_bytes()
    second = whole.index(b"{", 10)
    with_other = edf(tmp_path / "x.edf", pixels((1, 12, 11))).read_bytes()
    for content, reason in (
        (whole[:-50], "ends 50 bytes before the end of frame 4; is it complete"),
        (whole[: second + 100], "ends in the middle of the header after frame 1"),
        (whole[:second] + with_other, "frame 2 has another size or type than the first one"),
        (whole.replace(b"UnsignedShort", b"NothingKnown "), "cannot be read as EDF"),
        (whole.replace(b"Dim_1 = 10", b"Dim_1 = 00"), "shape|cannot be read"),
        (whole.replace(b"HeaderID", b"Compression = gzip ;\nHeaderID", 1), "frame 1 is compressed inside the file"),
        (b"{ no header", "cannot be read as EDF"),
        (b"", "cannot be read as EDF"),
    ):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=reason) as caught:
            convert(data_file=str(path))
        assert caught.value.file == str(path) and "\n" not in str(caught.value)
        assert not list((tmp_path / "out").glob("*"))
    assert "fabio" not in {record.name.split(".")[0] for record in caplog.records}


def headers_of(kind: str, omegas: np.ndarray) -> list[dict[str, str]]:
    """One for each frame."""
    if kind == "motor":
        return [{"motor_mne": "samx diffrz samy", "motor_pos": f"1.5 {omega:.4f} -3"} for omega in omegas]
    return [{kind: f"{omega:.4f}"} for omega in omegas]


STEPPED = 10 - 0.25 * np.arange(4)


@pytest.mark.parametrize("kind", ["motor", "Omega", "OmegaStart"])
def test_angles_in_edf_headers(convert, tmp_path: Path, kind: str, caplog) -> None:
    frames = pixels()
    path = str(edf(tmp_path / "scan.edf", frames, headers_of(kind, STEPPED)))
    with convert(data_file=path) as archive:
        assert archive.dataset(f"{SCAN}omegaCenter") is None
        np.testing.assert_allclose(archive.omegas, STEPPED)
    assert "begins at omega" not in caplog.text
    moved = STEPPED.copy()
    moved[2] += 0.02
    path = str(edf(tmp_path / "scan.edf", frames, headers_of(kind, moved)))
    with convert(data_file=path) as archive:
        np.testing.assert_allclose(archive.omegas, moved)
    assert "frame 2 begins at omega 9.5, by the raw file at 9.52; the raw file counts" in caplog.text
    with convert(f"{BASE}\nOmegaMotor none", data_file=path) as archive:
        np.testing.assert_allclose(archive.omegas, STEPPED)


def test_the_motor_by_name(convert, tmp_path: Path) -> None:
    path = str(edf(tmp_path / "scan.edf", pixels(), [{"motor_mne": "phi", "motor_pos": f"{o}"} for o in STEPPED + 1]))
    with convert(data_file=path) as archive:
        np.testing.assert_allclose(archive.omegas, STEPPED)
    with convert(f"{BASE}\nOmegaMotor phi", data_file=path) as archive:
        np.testing.assert_allclose(archive.omegas, STEPPED + 1)
    with pytest.raises(FormatError, match=r"scan\.edf: chi: no motor or key of this name in the header; there is phi"):
        convert(f"{BASE}\nOmegaMotor chi", data_file=path)
    path = str(edf(tmp_path / "scan.edf", pixels(), [{"Omega": "unknown"}] * 4))
    with pytest.raises(FormatError, match="omega: is no number: 'unknown'; name another motor"):
        convert(data_file=path)


@pytest.mark.parametrize("fraction", [4, 3])
def test_angles_in_the_headers_of_a_series(convert, tmp_path: Path, fraction: int, caplog) -> None:
    """As Pilatus writes them, with four decimals: a step of a third of a degree is as given."""
    frames = pixels((6, 12, 10), dtype="i4")
    omegas = -90 + np.arange(6) / fraction
    for i, frame in enumerate(frames):
        lines = (f"Start_angle {omegas[i]:.4f} deg.", f"Angle_increment {1 / fraction:.4f} deg.")
        cbf(tmp_path / f"scan_{i:05d}.cbf", frame, *lines)
        text = "\r\n".join(f"# {line}" for line in lines)
        tiff(tmp_path / f"scan_{i:05d}.tif", frame, description=text, metadata=None)
    for pattern in ("scan_*.cbf", "scan_*.tif"):
        with convert(BASE.replace("OmegaStep -0.25", ""), data_file=str(tmp_path / pattern)) as archive:
            assert archive.parameters["OmegaStep"] == pytest.approx(1 / fraction, abs=1e-4)
            np.testing.assert_allclose(archive.omegas, omegas, atol=1e-4)
        text = BASE.replace("OmegaStep -0.25", f"OmegaStep {1 / fraction:.9f}").replace("10\n", "-90\n")
        with convert(text, data_file=str(tmp_path / pattern)) as archive:
            assert archive.dataset(f"{SCAN}omegaCenter") is None
            np.testing.assert_allclose(archive.omegas, omegas, atol=1e-7)
    assert "begins at omega" not in caplog.text


def test_a_motor_that_did_not_turn_is_not_omega(convert, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    path = str(edf(tmp_path / "scan.edf", pixels(), [{"Omega": "4.5"}] * 4))
    with convert(data_file=path) as archive:
        np.testing.assert_allclose(archive.omegas, STEPPED)
    assert "omega is 4.5 in every frame; that is not used" in caplog.text


@pytest.mark.parametrize("kind", ["tif", "edf", "cbf", "edf.gz"])
@pytest.mark.parametrize("chunks", [-1, 3])
def test_thresholds_and_darks_of_other_formats(convert, tmp_path: Path, kind: str, chunks: int) -> None:
    frames, dark = pixels(dtype="i4", high=3000), pixels((3, 12, 10), 1, "i4")
    write_hdf5(tmp_path / "dark.h5", None, dark)
    for i in range(3):
        cbf(tmp_path / f"dark_{i}.cbf", dark[i])
    tiff(tmp_path / "dark.tif.bz2", dark)
    if kind == "cbf":
        for i, frame in enumerate(frames):
            cbf(tmp_path / f"scan_{i}.cbf", frame)
        data = tmp_path / "scan_*.cbf"
    else:
        data = (tiff if kind == "tif" else edf)(tmp_path / f"scan.{kind}", frames)
    mean = dark.mean(axis=0)
    expected = np.where(frames < mean + 7, 0, np.maximum(frames - mean.astype(int), 0))
    for name in ("dark.h5", "dark_*.cbf", "dark.tif.bz2"):
        with convert(f"{BASE}\nDark {name}", data_file=str(data), frame_chunks=chunks, threshold=7) as archive:
            np.testing.assert_array_equal(all_of(archive.frames), expected)
        with convert(data_file=str(data), dark_file=str(tmp_path / name)) as archive:
            np.testing.assert_array_equal(all_of(archive.dark), dark)


def test_real_images_where_they_are(convert) -> None:
    """The test images of fabio, which its packages do not always carry."""
    from fabio.test.utilstest import UtilsTest

    home = UtilsTest.resources.data_home
    folders = [Path("/usr/share/doc/python3-fabio"), Path("/usr/share/fabio"), *([Path(home)] if home else [])]
    found = [path for folder in folders for kind in ("edf", "cbf") for path in folder.rglob(f"*.{kind}")]
    if not found:
        pytest.skip("no test images of fabio on this computer")
    import fabio

    for path in found:
        with fabio.open(path) as image, convert(data_file=str(path)) as archive:
            np.testing.assert_array_equal(archive.frames[0], image.data)
