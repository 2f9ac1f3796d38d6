"""The image of pixels not to use: which images are one, and what an error says about the others."""

from __future__ import annotations

import builtins
import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from midas.convert.mask import read_mask
from midas.runtime.errors import FormatError

from .raw_files import BASE, cbf, edf, pixels, write_hdf5

SHAPE = (60, 50)
MARKED = np.zeros(SHAPE, bool)
MARKED[3, 4:7] = MARKED[17:19, 20] = MARKED[-1, -1] = True
INTEGERS = ("u1", "i1", "<u2", "<i2", ">u2", "<u4", "<i4", "<u8", "<i8")


def image_of(dtype: str) -> np.ndarray:
    """Nonzero where masked, with the smallest and the largest number of the type among them."""
    image = MARKED.astype(dtype)
    kind = image.dtype
    if kind.kind in "iu":
        image[3, 4:6] = np.iinfo(kind).min or 2, np.iinfo(kind).max
    elif kind.kind == "f":
        image[3, 4:7] = -1, 255, 1
    return image


def reason_for(path: Path, shape: tuple[int, int] = SHAPE) -> str:
    with pytest.raises(FormatError) as caught:
        read_mask(path, shape, np.dtype("u2"))
    text = str(caught.value)
    assert text.startswith(f"{path}: MaskFN: ") and "\n" not in text
    return text


@pytest.mark.parametrize("dtype", ["?", *INTEGERS, "<f2", "<f4", "<f8"])
@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"compression": "lzma"}, {"tile": (16, 16)},
     {"tile": (32, 16), "compression": "zlib"}, {"rowsperstrip": 7}, {"bigtiff": True}, {"byteorder": ">"}],
    ids=str,
)  # fmt: skip
def test_any_number_but_0_masks(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", image_of(dtype), **options)
    for pixel in ("<u2", "<i4", "<f4"):
        mask = read_mask(tmp_path / "mask.tif", SHAPE, np.dtype(pixel))
        assert mask.dtype == np.dtype(pixel) and mask.shape == (1, *SHAPE)
        np.testing.assert_array_equal(mask[0], MARKED)


def test_predictors_and_one_image_of_a_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", image_of("<u2"), compression="zlib", predictor=True)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", SHAPE, np.dtype("u1"))[0], MARKED)
    tifffile.imwrite(tmp_path / "mask.tif", image_of("<u2")[np.newaxis])
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", SHAPE, np.dtype("u1"))[0], MARKED)


def test_floats_that_are_no_numbers_mask(tmp_path: Path) -> None:
    image = np.zeros(SHAPE, np.float32)
    image[3, 4:7] = np.nan, np.inf, -np.inf
    image[17:19, 20] = 1e-30, -0.5
    image[-1, -1] = 1
    image[0, 0] = -0.0
    tifffile.imwrite(tmp_path / "mask.tif", image)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", SHAPE, np.dtype("u2"))[0], MARKED)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_the_stored_numbers_count_not_their_brightness(tmp_path: Path, photometric: str) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", image_of("u1"), photometric=photometric)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", SHAPE, np.dtype("u2"))[0], MARKED)


def test_a_mask_of_most_pixels_may_be_inverted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for image, warned in ((MARKED, False), (~MARKED, True)):
        caplog.clear()
        tifffile.imwrite(tmp_path / "mask.tif", image)
        with caplog.at_level(logging.WARNING):
            mask = read_mask(tmp_path / "mask.tif", SHAPE, np.dtype("u2"))
        np.testing.assert_array_equal(mask[0], image)
        assert ("masks 2994 of 3000 pixels; is it inverted?" in caplog.text) == warned


@pytest.mark.parametrize(
    ("shape", "options", "reason"),
    [
        ((50, 60), {}, "has (50, 60) pixels, the frames have (60, 50)"),
        ((60, 49), {}, "has (60, 49) pixels, the frames have (60, 50)"),
        ((2, 60, 50), {"photometric": "minisblack"}, "holds 2 images; a mask is a single one"),
        ((60, 50, 3), {"photometric": "rgb"}, "is a colour image (3 values per pixel)"),
        ((3, 60, 50), {"photometric": "rgb", "planarconfig": "separate"}, "is a colour image (3 values per pixel)"),
        ((60, 50, 4), {"photometric": "rgb"}, "is a colour image (4 values per pixel)"),
        ((60, 50, 2), {"photometric": "minisblack", "planarconfig": "contig"}, "is a colour image (2 values per"),
        ((16, 60, 50), {"volumetric": True, "tile": (16, 16, 16)}, "is a volume of 16 x 60 x 50 values"),
    ],
)
def test_images_of_another_kind(tmp_path: Path, shape: tuple[int, ...], options: dict[str, Any], reason: str) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", np.zeros(shape, np.uint8), **options)
    assert reason in reason_for(tmp_path / "mask.tif")


def test_types_that_are_no_mask(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", np.zeros(SHAPE, np.complex64))
    assert "has pixels of type complex64" in reason_for(tmp_path / "mask.tif")


def test_compressions_that_need_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, image_of("u1"))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["Compression"].overwrite(5)
    monkeypatch.setattr(type(tifffile.TIFF.DECOMPRESSORS), "__contains__", lambda self, key: key in (1, 8))
    assert "is compressed by LZW, which needs the package imagecodecs: pip install" in reason_for(path)


PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x32\0\0\0\x3c\x08\0\0\0\0\x15\xb0\x90\x2f\0\0\0\x0bIDAT"
    + zlib.compress(bytes(51 * 60))
)  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"no image", PNG, b"II*\0", b"II*\0\x08\0\0\0", b"MM\0*\xff\xff\xff\xff"])
def test_files_that_are_no_tiff(tmp_path: Path, content: bytes) -> None:
    for name in ("mask.tif", "mask.png"):
        (tmp_path / name).write_bytes(content)
        text = reason_for(tmp_path / name)
        assert "TIFF image (" in text or "holds 0 images" in text, text


def test_a_mask_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    assert "is missing" in reason_for(tmp_path / "mask.tif")
    assert "is missing" in reason_for(tmp_path)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}, {"rowsperstrip": 7}], ids=str)
def test_an_incomplete_copy_is_no_mask(tmp_path: Path, options: dict[str, Any]) -> None:
    """What is not there must not count as valid pixels."""
    path = tmp_path / "mask.tif"
    image = np.random.default_rng(1).integers(0, 2, SHAPE).astype(np.uint8)
    tifffile.imwrite(path, image, metadata=None, **options)
    content = path.read_bytes()
    for length in (len(content) - 1, len(content) * 3 // 4, len(content) // 2, 100, 9):
        path.write_bytes(content[:length])
        reason_for(path)
    tifffile.imwrite(path, image, **options)
    name = "TileByteCounts" if "tile" in options else "StripByteCounts"
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages.first.tags[name]
        tag.overwrite((0,) * tag.count if tag.count > 1 else 0)
    assert "is incomplete" in reason_for(path)


def test_a_size_that_is_many_numbers(tmp_path: Path) -> None:
    """Damage of one byte in the count of a tag."""
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, image_of("<u2"))
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags["ImageWidth"]
        place = tag.offset + 4  # the count, behind code and type
    content = bytearray(path.read_bytes())
    content[place] = 200
    path.write_bytes(content)
    assert "no sensible size" in reason_for(path)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_is_more_than_an_error_message(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    tifffile.imwrite(path, image_of("<u2"), compression=data.draw(st.sampled_from([None, "zlib"])))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content) - 1, 400)))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.Logger, "handle", lambda self, record: pytest.fail(record.getMessage()))
        try:
            mask = read_mask(path, SHAPE, np.dtype("u2"))
        except FormatError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
            return
    assert mask.shape == (1, *SHAPE)


# In a conversion


@pytest.mark.parametrize("dtype", ["u1", "?", "<f4"])
def test_the_archive_holds_1_wherever_the_image_is_not_0(convert, tmp_path: Path, dtype: str) -> None:
    image = np.zeros((12, 10), dtype)
    image[3, 4:7] = [1, 255, 2]
    tifffile.imwrite(tmp_path / "mask.tif", image)
    path = write_hdf5(tmp_path / "scan.h5", pixels(dtype="<i4"))
    with convert(f"{BASE}\nMaskFN mask.tif", data_file=str(path)) as archive:
        np.testing.assert_array_equal(archive.mask[0], image != 0)
        assert archive.mask.dtype == np.int32 and archive.mask.shape == (1, 12, 10)


def test_no_archive_is_written_with_a_mask_that_does_not_fit(convert, tmp_path: Path) -> None:
    path = str(write_hdf5(tmp_path / "scan.h5", pixels()))
    text = f"{BASE}\nMaskFN {tmp_path / 'mask.tif'}"
    with pytest.raises(FormatError, match="MaskFN: is missing"):
        convert(text, data_file=path)
    tifffile.imwrite(tmp_path / "mask.tif", np.zeros((10, 12), np.uint8))
    with pytest.raises(FormatError, match=r"has \(10, 12\) pixels, the frames have \(12, 10\)"):
        convert(text, data_file=path)
    (tmp_path / "mask.tif").write_bytes(PNG)
    with pytest.raises(FormatError, match="is no TIFF image"):
        convert(text, data_file=path)
    assert not list((tmp_path / "out").iterdir())


def test_pillow_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no dependency of this project, even where another package brings it along."""
    found = builtins.__import__

    def refusing(name: str, *arguments: Any, **options: Any) -> Any:
        assert name.partition(".")[0] != "PIL"
        return found(name, *arguments, **options)

    tifffile.imwrite(tmp_path / "mask.tif", image_of("u1"))
    monkeypatch.setattr(builtins, "__import__", refusing)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", SHAPE, np.dtype("u2"))[0], MARKED)


@pytest.mark.golden
def test_the_mask_of_a_pilatus(shared: Path) -> None:
    path = shared / "golden/calibration/mask_pilatus2m_deflate.tif"
    image = tifffile.imread(path)
    np.testing.assert_array_equal(read_mask(path, image.shape, np.dtype("i4"))[0], image != 0)
    assert 0 < np.count_nonzero(image) < image.size


@pytest.mark.parametrize("write", [edf, cbf])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_masks_of_other_formats(tmp_path: Path, write: Callable[..., Path], suffix: str) -> None:
    image = np.zeros(SHAPE, "i4")
    image[2, 3], image[4, 5] = 1, -1
    path = tmp_path / f"mask.{write.__name__}{suffix}"
    write(path, image if write is cbf else image[np.newaxis])
    np.testing.assert_array_equal(read_mask(path, SHAPE, np.dtype("u2"))[0], (image != 0).astype("u2"))
    with pytest.raises(FormatError, match="MaskFN: has .* pixels, a mask is one image of"):
        read_mask(path, (SHAPE[0], SHAPE[1] + 1), np.dtype("u2"))
