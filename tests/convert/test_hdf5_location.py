"""Where HDF5 files have their frames: by name, by NeXus, in series of data files, in scans; and what is no answer."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.convert.readers.hdf5 import HDF5Frames
from midas.convert.source import Reading
from midas.runtime.errors import FormatError

from .hdf5_files import read, write, write_bliss, write_eiger, write_fch5, write_virtual
from .raw_files import compressed, pixels, write_hdf5

FRAMES, OTHER = pixels((6, 12, 10)), pixels((6, 12, 10), 1)


def refused(path: Path, match: str, **reading: str) -> str:
    with pytest.raises(FormatError, match=match) as caught:
        HDF5Frames(path, Reading(**reading))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# NeXus


@pytest.mark.parametrize("attributes", [True, False])
def test_the_default_of_nexus(tmp_path: Path, attributes: bool) -> None:
    """By `default` from group to group, or as the only group of its class."""
    path = write(tmp_path / "scan.nxs", entry__plot__image=FRAMES, entry__detector__other=OTHER, entry__plot__x=[1, 2])
    with h5py.File(path, "a") as file:
        if attributes:
            file.attrs["default"], file["entry"].attrs["default"] = "entry", b"plot"
        file["entry"].attrs["NX_class"], file["entry/plot"].attrs["NX_class"] = "NXentry", np.array(["NXdata"], "O")
        file["entry/plot"].attrs["signal"] = "image"
    np.testing.assert_array_equal(read(path), FRAMES)
    refused(path, r"entry/nothing: no dataset of this name; there is entry/", location="entry/nothing")
    np.testing.assert_array_equal(read(path, location="entry/detector"), OTHER)
    np.testing.assert_array_equal(read(path, location="/entry/detector/other"), OTHER)


def test_a_default_in_a_circle_or_to_a_curve_says_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.h5", entry__a=FRAMES, entry__curve=np.arange(5.0))
    with h5py.File(path, "a") as file:
        file.attrs["default"] = "entry"
        file["entry"].attrs.update({"default": "up", "NX_class": "NXdata", "signal": "curve"})
        file["entry/up"] = h5py.SoftLink("/entry")
        file["entry/round"], file["round"] = h5py.SoftLink("/round"), h5py.SoftLink("/entry/round")
        file["entry/hard"] = file["/"]
    np.testing.assert_array_equal(read(path), FRAMES)


def test_several_candidates_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.h5", a__one=FRAMES, b__two=OTHER[:2])
    with h5py.File(path, "a") as file:
        file["same"] = h5py.SoftLink("/a/one")
    message = refused(
        path, "exchange/data: no dataset of this name, and several that could be meant; choose by dataLoc"
    )
    assert "same (6 x 12 x 10, uint16), b/two (2 x 12 x 10, uint16)" in message
    np.testing.assert_array_equal(read(path, location="a/one"), FRAMES)


def test_a_dark_is_not_taken_for_data(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.h5", raw__images=FRAMES, raw__data_dark=OTHER, raw__white=OTHER)
    np.testing.assert_array_equal(read(path), FRAMES)
    refused(write(tmp_path / "none.h5", raw__x=np.arange(3)), "there is none with frames")


# Detectors of Dectris


def test_data_files_of_a_master_are_one_scan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_eiger(tmp_path, FRAMES, 4)
    for location in ("exchange/data", "entry/data", "entry"):
        np.testing.assert_array_equal(read(path, location=location), FRAMES)
        np.testing.assert_array_equal(read(path, 3, location=location), FRAMES[3:])
    assert "is one of" not in caplog.text
    np.testing.assert_array_equal(read(path, location="entry/data/data_000002"), FRAMES[2:4])
    assert "entry/data/data_000002 is one of 4 datasets (data_000001 ... data_000004) of a scan" in caplog.text


def test_a_data_file_that_is_missing(tmp_path: Path) -> None:
    path = write_eiger(tmp_path, FRAMES, 3)
    (tmp_path / "s_data_000002.h5").rename(tmp_path / "away.h5")
    message = "entry/data: 1 of 3 data files are missing: data_000002 in s_data_000002.h5"
    refused(path, message)
    refused(path, message, location="entry/data")
    refused(path, "entry/data/data_000002: links to s_data_000002.h5, which", location="entry/data/data_000002")
    np.testing.assert_array_equal(read(path, location="entry/data/data_000003"), FRAMES[4:])
    write(tmp_path / "s_data_000002.h5", entry__elsewhere=FRAMES)
    refused(path, "data_000002: links to entry/data/data in .*s_data_000002.h5, where it cannot be read")
    with h5py.File(path, "a") as file:
        del file["entry/data/data_000002"]
    refused(path, "there are data_000001 ... data_000003, but not the data sets number 2")


def test_data_files_must_be_alike(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_eiger(tmp_path, FRAMES, 3)
    write(tmp_path / "s_data_000002.h5", entry__data__data=FRAMES[:1])
    assert HDF5Frames(path, Reading()).shape == (5, 12, 10)
    assert "data_000002 has 1 frames, entry/data/data_000001 has 2; is it complete?" in caplog.text
    path = write_eiger(tmp_path, FRAMES)
    write(tmp_path / "s_data_000002.h5", entry__data__data=FRAMES[:, :5])
    refused(path, r"data_000002: has frames of 5 x 10 uint16; those of entry/data/data_000001 have 12 x 10 uint16")


def test_thresholds(tmp_path: Path) -> None:
    """The second layout of Dectris: one virtual dataset of four dimensions, and the names of the channels."""
    both = np.stack([FRAMES, OTHER], 1)
    path = write_virtual(tmp_path / "s_master.h5", both, 2, "entry/data/data", chunks=(1, 1, 12, 10))
    masks = [np.zeros((12, 10), "u4"), np.eye(12, 10).astype("u4")]
    with h5py.File(path, "a") as file:
        file["entry/data/channel"] = np.array(["threshold_1", "difference"], "S")
        for name, mask in zip(("threshold_1", "difference"), masks, strict=True):
            file[f"entry/instrument/detector/{name}_channel/pixel_mask"] = mask
    refused(path, "has the channels threshold_1, difference; choose one by ThresholdChannel")
    refused(path, "has the channels threshold_1, difference; there is no ThresholdChannel 3", channel="3")
    for names, frames, mask in ((("threshold_1", "1"), FRAMES, masks[0]), (("difference", "2"), OTHER, masks[1])):
        for name in names:
            np.testing.assert_array_equal(read(path, channel=name), frames)
            np.testing.assert_array_equal(HDF5Frames(path, Reading(channel=name)).masked(), mask != 0)


def test_the_mask_and_the_gaps_of_a_detector(tmp_path: Path) -> None:
    frames = FRAMES.copy()
    frames[:, 3], frames[2, 5, 5] = 65535, 65535  # a gap; one bright pixel
    mask = np.zeros((12, 10), bool)
    mask[0, 0] = True
    path = write_eiger(tmp_path, frames, mask=mask)
    mask[3] = True
    np.testing.assert_array_equal(HDF5Frames(path, Reading()).masked(), mask)
    assert HDF5Frames(write_hdf5(tmp_path / "other.h5", frames), Reading()).masked() is None
    wide = frames.astype("u4")
    wide[frames == 65535] = 2**32 - 1
    mask[0, 0] = False
    np.testing.assert_array_equal(HDF5Frames(write_hdf5(tmp_path / "wide.h5", wide), Reading()).masked(), mask)
    path = write_eiger(tmp_path, frames, mask=np.zeros((3, 4)))
    with pytest.raises(FormatError, match=r"pixel_mask: has \(3, 4\) pixels, the frames have \(12, 10\)"):
        HDF5Frames(path, Reading()).masked()


# BLISS


def test_scans_by_number(tmp_path: Path) -> None:
    scans = {"1.1": (FRAMES, {}), "2.1": (OTHER, {}), "10.1": (FRAMES[:2], {})}
    path = write_bliss(tmp_path / "sample.h5", scans)
    for scan, (frames, _) in scans.items():
        np.testing.assert_array_equal(read(path, location=f"{scan}/measurement/eiger"), frames)
        for number in (scan, scan.removesuffix(".1")):
            np.testing.assert_array_equal(read(path, scan=number), frames)
            for location in ("1.1/measurement/eiger", "measurement/eiger", "measurement"):
                np.testing.assert_array_equal(read(path, scan=number, location=location), frames)
    refused(path, "choose by ScanNumber: 1.1/measurement/eiger")
    refused(path, "ScanNumber: no scan 3.1; there is 1.1, 2.1, 10.1", scan="3")


# Links and virtual datasets


def test_external_and_soft_links(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw" / "a.h5", deep__down=FRAMES)
    path = write(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file["exchange/data"] = h5py.ExternalLink("raw/a.h5", "deep/down")
        file["group"] = h5py.ExternalLink(str(tmp_path / "raw" / "a.h5"), "deep")
        file["soft"] = h5py.SoftLink("/group/down")
        file["loop"], file["pool"] = h5py.SoftLink("/pool"), h5py.SoftLink("/loop")
    for location in ("exchange/data", "group/down", "soft"):
        np.testing.assert_array_equal(read(path, location=location), FRAMES)
    refused(path, "loop: no dataset of this name; there is soft", location="loop")
    (tmp_path / "raw" / "a.h5").unlink()
    refused(path, "scan.h5: exchange/data: links to raw/a.h5, which is missing; put the file beside this one")
    refused(path, "scan.h5: group: links to .*a.h5, which is missing", location="group/down")


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 12, 10), "compression": "gzip"}])
def test_virtual_datasets(tmp_path: Path, options: dict) -> None:
    path = write_virtual(tmp_path / "scan.h5", FRAMES, 4, **options)
    for first in range(6):
        np.testing.assert_array_equal(read(path, first), FRAMES[first:])
    layout = h5py.VirtualLayout((4, 12, 10), "u2")  # a part, of a virtual dataset, in another order
    layout[:2] = h5py.VirtualSource(path, "exchange/data", FRAMES.shape)[4:6]
    layout[2:] = h5py.VirtualSource(path, "exchange/data", FRAMES.shape)[1:3]
    with h5py.File(tmp_path / "again.h5", "w") as file:
        file.create_virtual_dataset("exchange/data", layout)
    np.testing.assert_array_equal(read(tmp_path / "again.h5"), FRAMES[[4, 5, 1, 2]])


def test_virtual_datasets_that_only_the_library_can_read(tmp_path: Path) -> None:
    """Frames in turns, halves of frames, other types."""
    write(tmp_path / "a.h5", d=FRAMES), write(tmp_path / "b.h5", d=OTHER)
    sources = [h5py.VirtualSource(tmp_path / f"{name}.h5", "d", FRAMES.shape, "u2") for name in "ab"]
    layout = h5py.VirtualLayout((12, 12, 10), "u4")
    layout[::2], layout[1::2] = sources
    halves = h5py.VirtualLayout(FRAMES.shape, "u2")
    halves[:, :7], halves[:, 7:] = sources[0][:, :7], sources[1][:, 7:]
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_virtual_dataset("turns", layout)
        file.create_virtual_dataset("halves", halves)
    np.testing.assert_array_equal(read(tmp_path / "scan.h5", location="turns")[1::2], OTHER)
    np.testing.assert_array_equal(read(tmp_path / "scan.h5", location="halves")[:, 7:], OTHER[:, 7:])
    (tmp_path / "b.h5").unlink()
    for location in ("turns", "halves"):
        refused(tmp_path / "scan.h5", "frames are lost: .*b.h5, which is missing", location=location)


def test_sources_of_a_virtual_dataset_that_are_missing(tmp_path: Path) -> None:
    path = write_virtual(tmp_path / "scan.h5", FRAMES, 3)
    (tmp_path / "part1.h5").unlink()
    refused(path, r"exchange/data: 2 of 6 frames are lost: frames 2 \.\.\. 3 come from part1.h5, which is missing")
    write(tmp_path / "part1.h5", other=FRAMES)
    refused(path, "come from d in .*part1.h5, which is not there")
    write(tmp_path / "part1.h5", d=FRAMES[:1])
    refused(path, "come from d in .*part1.h5, which has only 1 frames")
    layout = h5py.VirtualLayout(FRAMES.shape, "u2")
    layout[:3] = h5py.VirtualSource("three.h5", "d", (3, 12, 10))
    write(tmp_path / "three.h5", d=FRAMES[:3])
    with h5py.File(tmp_path / "hole.h5", "w") as file:
        file.create_virtual_dataset("exchange/data", layout)
    refused(tmp_path / "hole.h5", r"without a source for the frames 3 \.\.\. 5")
    own = h5py.VirtualLayout(FRAMES.shape, "u2")
    own[:] = h5py.VirtualSource("own.h5", "exchange/data", FRAMES.shape)
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file.create_virtual_dataset("exchange/data", own)
    refused(tmp_path / "own.h5", "whose sources lead back to it")


# Compressed files


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
def test_compressed_files(convert, tmp_path: Path, suffix: str) -> None:
    """Decompressed into the folder of the results, and only until the archive is written."""
    (tmp_path / "raw").mkdir()
    plain = write_hdf5(tmp_path / "raw" / "scan.ge5.h5", FRAMES, OTHER[:2])
    with h5py.File(plain, "a") as file:
        file["instrument/name"] = "1-ID"
    path = compressed(plain.with_name(f"scan.ge5.h5{suffix}"), plain.read_bytes())
    plain.unlink()
    with convert(data_file=str(path)) as archive:
        np.testing.assert_array_equal(np.stack(list(archive.frames)), FRAMES)
        np.testing.assert_array_equal(np.stack(list(archive.dark)), OTHER[:2])
        assert archive.dataset("instrument/name").read().tolist() == [b"1-ID"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert [file.name for file in (tmp_path / "out").iterdir() if file.is_file()] == [archive.path.name]


# Sparse caches in HDF5


def test_sparse_frames_in_hdf5(convert, tmp_path: Path) -> None:
    frames = np.where(FRAMES > 250, FRAMES, 0).astype("<i4")
    frames[2] = 0
    begins = 10 - 0.25 * np.arange(6)
    path = write_fch5(tmp_path / "scan.fch5", frames, np.stack([begins, begins - 0.25], 1))
    with convert(data_file=str(path)) as archive:
        np.testing.assert_array_equal(np.stack(list(archive.frames)), frames)
        np.testing.assert_allclose(archive.omegas, begins)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frame_ids": None}, "frame_ids: is missing; is this a sparse frame cache"),
        ({"nframes": 7}, r"frame_ids: has shape \(12,\)"),
        ({"nframes": 0}, "has .* frames of shape"),
        ({"frame_ids": np.full(12, 10**6)}, "frame_ids: leads outside"),
        ({"dtype": "nonsense"}, "dtype: names no type of pixels"),
        ({"shape": np.array([3, 3])}, "0_row: has an index outside 0 ... 2"),
        ({"metadata/omega": np.zeros(6)}, "omega: must hold start and end of 6 frames"),
    ],
)
def test_damaged_caches_in_hdf5(convert, tmp_path: Path, changes: dict, reason: str) -> None:
    path = write_fch5(tmp_path / "scan.fch5", FRAMES, **changes)
    with pytest.raises(FormatError, match=rf"scan\.fch5: {reason}"):
        convert(data_file=str(path))


def test_a_stack_within_a_stack_is_no_set_of_channels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "scan.h5", exchange__data=pixels((1, 20, 12, 10)), flat=pixels((3, 12, 10)))
    refused(path, "If the 20 images are the frames, store them as")
    refused(path, "there is no ThresholdChannel 21", channel="21")
    assert read(path, channel="20").shape == (1, 12, 10)
    assert not caplog.text
    caplog.set_level("INFO")
    assert read(path, location="flat", channel="low").shape == (3, 12, 10)
    assert "flat has no channels; ThresholdChannel low is not used" in caplog.text


def test_a_channel_in_the_name_of_a_stack(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.h5", low__data=FRAMES, high__data=OTHER)
    np.testing.assert_array_equal(read(path, channel="high"), OTHER)
    refused(path, "ThresholdChannel: middle: is in no name of the stacks .*: high/data, low/data", channel="middle")
