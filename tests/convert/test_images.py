"""TIFF, CBF and EDF files as the libraries of the field write them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fabio.cbfimage import CbfImage
from fabio.edfimage import EdfImage
from PIL import Image

from midas.parameters import SCAN
from midas.runtime.errors import FormatError, MidasError, UsageError

from .raw_files import BASE, SHAPE, all_of, compressed, pixels, write_hdf5

SUFFIXES = ["", ".bz2", ".gz", ".zst"]


def tiff(path: Path, frames: np.ndarray, **options: object) -> Path:
    """Pages as tifffile writes them, a page a frame."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, frames, photometric="minisblack", **options)
    return compressed(path, stream.getvalue())


def cbf(path: Path, frame: np.ndarray, *lines: str) -> Path:
    """As fabio writes it, with comments in the way of Pilatus."""
    image = CbfImage(data=frame)
    text = "\r\n".join(["# Detector: PILATUS 300K, S/N 3-0102", *(f"# {line}" for line in lines)])
    image.header |= {"_array_data.header_convention": '"PILATUS_1.2"', "_array_data.header_contents": text}
    plain = path.parent / "plain.cbf.tmp"
    image.write(str(plain))
    compressed(path, plain.read_bytes())
    plain.unlink()
    return path


def edf(path: Path, frames: np.ndarray, headers: list[dict[str, str]] | None = None) -> Path:
    """As fabio writes it: a header before each frame."""
    headers = headers or [{} for _ in frames]
    image = EdfImage(data=frames[0], header=dict(headers[0]))
    for frame, header in zip(frames[1:], headers[1:], strict=True):
        image.append_frame(data=frame, header=dict(header))
    plain = path.parent / "plain.edf.tmp"
    image.write(str(plain))
    compressed(path, plain.read_bytes())
    plain.unlink()
    return path


def only_the_raw_files(folder: Path, *raw: Path) -> None:
    """Nothing was written beside the user's files, and nothing but the archive into the results."""
    assert sorted(p.name for p in folder.iterdir()) == sorted(["out", "ps.txt", *(path.name for path in raw)])
    assert len(list((folder / "out").iterdir())) == 1


# TIFF


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", "u1 i1 u2 i2 u4 i4 f4 f8 >u2 >i2 >u4 >i4 >f4 >f8".split())
def test_pages_of_every_type(convert, tmp_path: Path, dtype: str, suffix: str) -> None:
    frames = pixels(dtype=dtype, high=100)
    if frames.dtype.kind in "if":
        frames[1] = -frames[1]
    order = ">" if dtype.startswith(">") else "<"
    path = tiff(tmp_path / f"scan.tif{suffix}", frames, byteorder=order, bigtiff=frames.dtype.itemsize == 4)
    with convert(data_file=str(path)) as archive:
        assert archive.frames.dtype == frames.dtype.newbyteorder("=")
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    only_the_raw_files(tmp_path, path)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzma"},
        {"compression": "packbits"},
        {"compression": "lzw"},
        {"compression": "zstd"},
        {"tile": (16, 16)},
        {"rowsperstrip": 5},
        {"imagej": True},
        {"contiguous": False, "metadata": None},
    ],
    ids=str,
)
def test_layouts_of_pages(convert, tmp_path: Path, options: dict) -> None:
    if options.get("compression") in ("lzw", "zstd", "packbits") or "predictor" in options:
        pytest.importorskip("imagecodecs", reason="tifffile needs imagecodecs for this compression")
    frames = pixels(dtype="u2")
    with convert(data_file=str(tiff(tmp_path / "scan.tiff", frames, **options))) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


def test_images_of_another_library(convert, tmp_path: Path) -> None:
    """Pillow writes through libtiff."""
    frames = pixels()
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / "scan.tif", save_all=True, append_images=images[1:], compression="tiff_adobe_deflate")
    with convert(data_file=str(tmp_path / "scan.tif")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    Image.fromarray(frames[0].astype("f4")).save(tmp_path / "scan.tif")
    with convert(data_file=str(tmp_path / "scan.tif")) as archive:
        assert archive.frames.dtype == np.float32
        np.testing.assert_array_equal(all_of(archive.frames), frames[:1])


def test_images_that_imagej_does_not_list(convert, tmp_path: Path) -> None:
    """Behind the only page of a large stack the others follow without pages of their own."""
    frames = pixels((7, 12, 10), dtype=">u2")
    tifffile.imwrite(tmp_path / "scan.tif", frames, imagej=True)
    content = bytearray((tmp_path / "scan.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "scan.tif") as file:
        page = file.pages.first
        end = page.offset + 2 + 12 * len(page.tags)
    content[end : end + 4] = bytes(4)  # no further page
    (tmp_path / "scan.tif").write_bytes(content)
    with convert(data_file=str(tmp_path / "scan.tif")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_series_of_images(convert, tmp_path: Path, suffix: str) -> None:
    """Named by first file and number, by the keys of the parameter file, by a pattern, or by the folder."""
    folder = tmp_path / "raw"
    folder.mkdir()
    frames = pixels(dtype="<i4")
    for i, frame in enumerate(frames):
        tiff(folder / f"au_{i + 8:05d}.tif{suffix}", frame)
    numbered = f"{BASE}\nRawFolder {folder}\nFileStem au\nExt .tif{suffix}\nPadding 5\nStartFileNrFirstLayer 8\n"
    first = str(folder / f"au_00008.tif{suffix}")
    for text, options in (
        (BASE, {"data_file": first, "files_per_scan": 4}),
        (f"{numbered}NrFilesPerSweep 4", {}),
        (BASE, {"data_file": str(folder)}),
        (BASE, {"data_file": str(folder / "au_*")}),
        (BASE, {"data_file": str(folder / f"au_000??.tif{suffix}"), "files_per_scan": 4}),
    ):
        with convert(text, **options) as archive:
            np.testing.assert_array_equal(all_of(archive.frames), frames)
            np.testing.assert_allclose(archive.omegas, 10 - 0.25 * np.arange(4))
    with convert(f"{BASE}\nSkipFrame 2", data_file=str(folder)) as archive:
        assert archive.frames.shape[0] == 4 and archive.omegas[2] == 10
    assert len(list(folder.iterdir())) == 4


def test_series_that_are_none(convert, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"raw: is a folder without images \(.tif .tiff .cbf .edf\)"):
        convert(data_file=str(folder))
    for i in range(3):
        tiff(folder / f"a_{i}.tif", pixels((12, 10)))
    for options, reason in (
        ({"data_file": str(folder), "files_per_scan": 4}, "has 3 files, numFilesPerScan or NrFilesPerSweep is 4"),
        ({"data_file": str(folder / "a_0.tif"), "files_per_scan": 4}, r"a_3\.tif: is missing"),
        ({"data_file": str(folder / "b*.tif")}, "no file fits this pattern"),
    ):
        with pytest.raises(MidasError, match=reason):
            convert(**options)
    with pytest.raises(FormatError, match="the scan has 3 frames, SkipFrame is 3"):
        convert(f"{BASE}\nSkipFrame 3", data_file=str(folder))
    cbf(folder / "a_3.cbf", pixels((12, 10), dtype="i4"))
    with pytest.raises(UsageError, match="holds images of several kinds"):
        convert(data_file=str(folder))
    tiff(folder / "a_2.tif", pixels((12, 11)))
    with pytest.raises(FormatError, match=r"a_2\.tif: has frames of \(12, 11\) pixels"):
        convert(data_file=str(folder / "a*.tif"))


def test_images_that_are_none(convert, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    tiff(path, pixels())
    whole = path.read_bytes()
    for content, reason in (
        (whole[:-100], "cannot be read as TIFF"),
        (whole[:400], "is incomplete"),
        (b"no TIFF", "cannot be read as TIFF"),
        (b"", "cannot be read as TIFF"),
    ):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=reason) as caught:
            convert(data_file=str(path))
        assert caught.value.file == str(path) and "\n" not in str(caught.value)
    tifffile.imwrite(path, np.zeros((12, 10, 3), "u1"), photometric="rgb")
    with pytest.raises(FormatError, match="is a colour image"):
        convert(data_file=str(path))
    tifffile.imwrite(path, np.zeros((2, 12, 10), "f2"), photometric="minisblack")
    with pytest.raises(FormatError, match="pixels of type float16"):
        convert(data_file=str(path))
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((12, 10), "u2"))
        writer.write(np.zeros((12, 11), "u2"))
    with pytest.raises(FormatError, match=r"page 2 has \(12, 11\) pixels of type uint16, the first one \(12, 10\)"):
        convert(data_file=str(path))
    assert not list((tmp_path / "out").glob("*"))


# CBF


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", "u1 i1 u2 i2 u4 i4".split())
def test_cbf_of_every_type(convert, tmp_path: Path, dtype: str, suffix: str) -> None:
    frames = pixels(dtype=dtype, high=100)
    frames[:, 3, 4] = np.iinfo(dtype).max // 2  # a step that a byte does not hold
    paths = [cbf(tmp_path / f"scan_{i}.cbf{suffix}", frame) for i, frame in enumerate(frames)]
    with convert(data_file=str(paths[0]), files_per_scan=4) as archive:
        assert archive.frames.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        assert archive.mask is None
    only_the_raw_files(tmp_path, *paths)


def test_marked_pixels_are_masked(convert, tmp_path: Path, caplog) -> None:
    """Gaps and bad pixels in every frame; what is marked in one frame only was saturated there."""
    caplog.set_level("INFO")
    frames = pixels((3, 12, 10), dtype="i4")
    frames[:, 5, :] = -1
    frames[:, 2, 3] = -2
    frames[1, 0, 0] = -1
    for i, frame in enumerate(frames):
        cbf(tmp_path / f"scan_{i}.cbf", frame)
    expected = np.zeros((12, 10), bool)
    expected[5] = expected[2, 3] = True
    with convert(data_file=str(tmp_path / "scan_*.cbf")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        np.testing.assert_array_equal(archive.mask[0] != 0, expected)
    assert "11 pixels are masked that the detector marks as gap or bad" in caplog.text
    mask = np.zeros((12, 10), "u1")
    mask[0, 0] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    with convert(f"{BASE}\nMaskFN mask.tif", data_file=str(tmp_path / "scan_*.cbf")) as archive:
        np.testing.assert_array_equal(archive.mask[0] != 0, expected | (mask != 0))
    unsigned = np.where(frames < 0, 2**32 + frames.astype("i8"), frames).astype("u4")
    for i, frame in enumerate(unsigned):
        cbf(tmp_path / f"scan_{i}.cbf", frame)
    with convert(data_file=str(tmp_path / "scan_*.cbf")) as archive:
        np.testing.assert_array_equal(archive.mask[0] != 0, expected)


def test_marked_pixels_of_other_formats(convert, tmp_path: Path) -> None:
    """TIFF and EDF of a photon counter; not of any other detector, where -1 is a number."""
    frame = pixels((12, 10), dtype="i4")
    frame[7] = -1
    tiff(tmp_path / "a.tif", frame, description="# Detector: PILATUS 300K, S/N 3-0102", metadata=None)
    edf(tmp_path / "a.edf", frame[np.newaxis], [{"Detector": "Pilatus3 X CdTe 2M"}])
    tiff(tmp_path / "b.tif", frame)
    edf(tmp_path / "b.edf", frame[np.newaxis])
    for name in ("a.tif", "a.edf"):
        with convert(data_file=str(tmp_path / name)) as archive:
            np.testing.assert_array_equal(archive.mask[0] != 0, frame < 0)
    for name in ("b.tif", "b.edf"):
        with convert(data_file=str(tmp_path / name)) as archive:
            assert archive.mask is None


def test_cbf_that_are_none(convert, tmp_path: Path, caplog) -> None:
    path = cbf(tmp_path / "scan.cbf", pixels((12, 10), dtype="i4"))
    whole = path.read_bytes()
    start = whole.index(b"\x0c\x1a\x04\xd5")
    for content, reason in (
        (whole[: start + 20], "ends after 16 of [0-9]+ bytes of its image; is it complete"),
        (whole[: start + 20] + bytes(10) + whole[start + 30 :], "the checksum of its image is wrong"),
        (whole.replace(b"x-CBF_BYTE_OFFSET", b"x-CBF_PACKED     "), "is compressed by x-CBF_PACKED"),
        (
            whole.replace(b"signed 32-bit integer", b"signed 32-bit complex"),
            "no type of pixels: 'signed 32-bit complex'",
        ),
        (whole.replace(b"Fastest-Dimension: 10", b"Fastest-Dimension: 11"), "pixels instead of 132|cannot be read"),
        (whole.replace(b"Fastest-Dimension: 10", b"Fastest-Dimension: xx"), "cannot be read as CBF"),
        (b"###CBF: VERSION 1.5", "is no CBF image"),
        (b"", "is no CBF image"),
    ):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=reason) as caught:
            convert(data_file=str(path))
        assert caught.value.file == str(path) and "\n" not in str(caught.value)
        assert not list((tmp_path / "out").glob("*"))
    assert "fabio" not in {record.name.split(".")[0] for record in caplog.records}


# EDF


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


# Angles in headers


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
    with pytest.raises(FormatError, match="chi: no motor or key of this name in the header; there is phi"):
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


# Darks, masks, thresholds


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


def test_shape_of_the_samples() -> None:
    """The images above are not square, so that no reader can mix up rows and columns."""
    assert SHAPE[1] != SHAPE[2]
