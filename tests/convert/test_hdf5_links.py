"""Files that an HDF5 file names: below its own folder, elsewhere only where the user allows it; raw storage never."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import TinyScan

from midas.convert.readers import open_source
from midas.convert.readers.hdf5 import HDF5Frames, has_dataset
from midas.convert.readers.hdf5_metadata import metadata
from midas.convert.source import Reading, made
from midas.runtime.errors import FormatError, MidasError

from .hdf5_files import read, write_eiger, write_fch5, write_virtual
from .raw_files import all_of, pixels

FRAMES = pixels((4, 6, 8))


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of the user's file, and one that is none of its business."""
    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    own.mkdir()
    elsewhere.mkdir()
    with h5py.File(elsewhere / "secret.h5", "w") as file:
        file["d"], file["mask"], file["value"] = FRAMES, np.zeros((6, 8), "u4"), 3.0
    return own, elsewhere


def linked(own: Path, target: str, name: str = "exchange/data", location: str = "d") -> Path:
    with h5py.File(own / "scan.h5", "a") as file:
        if name != "exchange/data" and "exchange/data" not in file:
            file["exchange/data"] = FRAMES
        file[name] = h5py.ExternalLink(target, location)
    return own / "scan.h5"


def refused(path: Path, *words: str, **reading: object) -> None:
    with pytest.raises(FormatError) as caught:
        read(path, **reading)
    assert all(word in str(caught.value) for word in (path.name, *words))


@pytest.mark.parametrize("way", ["absolute", "upwards", "a symbolic link"])
def test_a_link_to_another_folder(places: tuple[Path, Path], way: str) -> None:
    own, elsewhere = places
    target = {"absolute": str(elsewhere / "secret.h5"), "upwards": "../elsewhere/secret.h5"}.get(way, "beside.h5")
    if way == "a symbolic link":
        (own / "beside.h5").symlink_to(elsewhere / "secret.h5")
    path = linked(own, target)
    refused(path, "exchange/data", str(elsewhere / "secret.h5"), "-allowLinks 1")
    assert (read(path, links=True) == FRAMES).all()


def test_links_below_the_folder(places: tuple[Path, Path]) -> None:
    own, elsewhere = places
    (own / "below").mkdir()
    shutil.copy(elsewhere / "secret.h5", own / "below/part.h5")
    path = linked(own, "below/part.h5")
    assert (read(path) == FRAMES).all()
    other = own.parent / "named.h5"  # the file itself may have another name elsewhere
    other.symlink_to(path)
    assert (read(other) == FRAMES).all()


def test_a_link_in_the_file_that_a_link_leads_to(places: tuple[Path, Path]) -> None:
    own, elsewhere = places
    with h5py.File(own / "part.h5", "w") as file:
        file["d"] = h5py.SoftLink("/away/d")
        file["away"] = h5py.ExternalLink(str(elsewhere / "secret.h5"), "/")
    with pytest.raises(FormatError, match=r"part.h5: away: leads to .*secret.h5.* -allowLinks 1"):
        read(linked(own, "part.h5"))


def test_sources_of_virtual_datasets(places: tuple[Path, Path]) -> None:
    own, elsewhere = places
    write_virtual(elsewhere / "scan.h5", FRAMES, 2)
    shutil.move(elsewhere / "scan.h5", own / "scan.h5")
    with h5py.File(own / "scan.h5", "w") as file:
        layout = h5py.VirtualLayout(FRAMES.shape, FRAMES.dtype)
        for number in range(2):
            source = h5py.VirtualSource(str(elsewhere / f"part{number}.h5"), "d", (2, 6, 8))
            layout[2 * number : 2 * number + 2] = source
        file.create_virtual_dataset("exchange/data", layout)
    refused(own / "scan.h5", "exchange/data", "elsewhere/part0.h5", "-allowLinks 1")
    assert (read(own / "scan.h5", links=True) == FRAMES).all()


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("name", ["exchange/data", "exchange/dark", "instrument/detector/pixel_mask", "exchange/omega"])
def test_values_in_files_of_another_kind(places: tuple[Path, Path], name: str, links: bool) -> None:
    """External raw storage: an archive with the content of any file of the user."""
    own, _ = places
    (own / "secret.txt").write_bytes(b"the password is 1234".ljust(4096))
    shapes = {"exchange/data": (4, 6, 8), "exchange/dark": (1, 6, 8), "exchange/omega": (4,)}
    frames = "instrument/detector/data" if name.endswith("mask") else "exchange/data"
    with h5py.File(own / "scan.h5", "w") as file:
        if name != frames:
            file[frames] = FRAMES
        file.require_group("instrument/detector").attrs["NX_class"] = "NXdetector"
        shape = shapes.get(name, (6, 8))
        file.create_dataset(name, shape, "u2", external=[("secret.txt", 0, int(np.prod(shape)) * 2)])
    location = name if name.startswith("exchange/da") else frames
    with pytest.raises(MidasError, match=rf"scan.h5: {name}: has its values in secret.txt, "):
        source = HDF5Frames(own / "scan.h5", Reading(location=location, links=links))
        assert source.omegas is None
        source.masked()


def test_metadata_from_elsewhere_are_left_out_with_a_warning(
    places: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    own, elsewhere = places
    path = linked(own, str(elsewhere / "secret.h5"), "instrument/away", "value")
    with h5py.File(path, "a") as file:
        file["instrument/here"] = 5.0
    with caplog.at_level(logging.WARNING):
        assert [name for name, _ in metadata(path, {})] == ["instrument/here"]
    assert "instrument/away" in caplog.text and "-allowLinks 1" in caplog.text
    assert len(metadata(path, {}, links=True)) == 2


def test_masters_of_eiger_keep_their_data_files(tmp_path: Path) -> None:
    master = write_eiger(tmp_path, FRAMES)
    assert (read(master, location="entry/data") == FRAMES).all()
    away = tmp_path / "away"
    away.mkdir()
    shutil.move(tmp_path / "s_data_000002.h5", away / "s_data_000002.h5")
    (tmp_path / "deep").mkdir()
    with h5py.File(tmp_path / "deep/s_master.h5", "w") as file:
        file["entry/data/data_000001"] = h5py.ExternalLink("../s_data_000001.h5", "entry/data/data")
    refused(tmp_path / "deep/s_master.h5", "entry/data/data_000001", "-allowLinks 1", location="entry/data")


def test_sparse_caches_follow_the_same_rules(places: tuple[Path, Path]) -> None:
    own, elsewhere = places
    path = write_fch5(elsewhere / "scan.fch5", FRAMES)
    assert (all_of(made(frame) for frame in open_source(path, Reading()).frames()) == FRAMES).all()
    with h5py.File(own / "scan.fch5", "w") as file:
        file.attrs["HEXRD_FRAMECACHE_VERSION"] = 1
        for name in ("shape", "nframes", "dtype", "data", "indices", "frame_ids"):
            file[name] = h5py.ExternalLink(str(path), name)
    with pytest.raises(FormatError, match="-allowLinks 1"):
        open_source(own / "scan.fch5", Reading())
    assert open_source(own / "scan.fch5", Reading(links=True)).shape == FRAMES.shape


def test_a_pipe_is_no_file(places: tuple[Path, Path]) -> None:
    own, _ = places
    os.mkfifo(own / "pipe.h5")
    refused(linked(own, "pipe.h5"), "pipe.h5")


def test_filters_are_not_loaded_from_the_folder_of_the_data(tmp_path: Path) -> None:
    script = "import midas.formats.hdf5, os\nfrom h5py import h5pl\n"
    script += "print([os.fsdecode(h5pl.get(i)) for i in range(h5pl.size())])"
    environment = {**os.environ, "HDF5_PLUGIN_PATH": f".:relative:{tmp_path}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['{tmp_path}']"


def test_the_dark_in_a_file_elsewhere(places: tuple[Path, Path]) -> None:
    own, elsewhere = places
    path = linked(own, str(elsewhere / "secret.h5"), "exchange/dark", "d")
    with pytest.raises(FormatError, match="-allowLinks 1"):
        has_dataset(path, "exchange/dark")
    assert has_dataset(path, "exchange/dark", links=True)


def test_the_option(places: tuple[Path, Path], convert) -> None:
    own, elsewhere = places
    path = linked(own, str(elsewhere / "secret.h5"))
    with pytest.raises(FormatError, match="-allowLinks 1"):
        convert(data_file=str(path))
    with convert(data_file=str(path), allow_links=True) as archive:
        assert (all_of(archive.frames) == FRAMES).all()


def test_the_option_of_other_commands(
    places: tuple[Path, Path], in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    own, elsewhere = places
    linked(own, str(elsewhere / "secret.h5"))
    for command in (["ff-dark", "scan.h5", "dark.tif"], ["ff-mask", "scan.h5", 1, "-o", "mask.tif"]):
        assert in_process(*command, cwd=own) == 1
        assert "-allowLinks 1" in capsys.readouterr().err
        assert in_process(*command, "-allowLinks", 1, cwd=own) == 0


def test_the_option_of_the_driver(
    scan: TinyScan, tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(tmp_path / "scan_000001.h5", "w") as file:
        file["exchange/data"] = h5py.ExternalLink(str(scan.raw), "exchange/data")
    arguments = ["ff-midas", "-paramFN", scan.parameters, "-dataFN", "scan_000001.h5", "-peakSearchOnly", 1]
    assert in_process(*arguments, cwd=tmp_path) == 1
    assert "-allowLinks 1" in capsys.readouterr().err
    assert in_process(*arguments, "-allowLinks", 1, "-nCPUs", 1, cwd=tmp_path) == 0


def virtual(file: h5py.File, name: str, source: str, dataset: str, shape: tuple[int, ...] = (8,)) -> None:
    """A virtual dataset of whole numbers, of which `source` names the file as HDF5 stores it: ``%%`` is a ``%``."""
    layout = h5py.VirtualLayout(shape, "u1")
    layout[...] = h5py.VirtualSource(source, dataset, shape=shape)
    file.create_virtual_dataset(name, layout)


#: ways from a virtual dataset to values elsewhere, at one remove or more: file and name of its source
WAYS = {
    "raw storage": ("inner.h5", "raw"),
    "virtual": ("inner.h5", "virtual"),
    "twice virtual": ("inner.h5", "twice"),
    "a link": ("inner.h5", "link"),
    "a link to a group": ("inner.h5", "group/x"),
    "a soft link": ("inner.h5", "soft"),
    "the same file": (".", "other/own"),
    "a doubled %": ("%%/../../elsewhere/x.h5", "x"),
    "the current folder": ("x.h5", "x"),
    "a pattern": ("inner%b.h5", "x"),
    "a circle": ("inner.h5", "circle"),
    "nothing": ("none.h5", "x"),
    "no dataset": ("inner.h5", "none"),
}


@pytest.fixture
def remote(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, tuple[int, ...]], Path]:
    """A file whose dataset has its values elsewhere, in one of the `WAYS`."""
    own, elsewhere = places
    monkeypatch.chdir(elsewhere)
    (own / "%").mkdir()

    def make(way: str, name: str, shape: tuple[int, ...] = (8,)) -> Path:
        away, size = str(elsewhere / "x.h5"), int(np.prod(shape))
        (elsewhere / "secret.txt").write_bytes(b"password".ljust(size))
        with h5py.File(elsewhere / "x.h5", "w") as file:
            file["x"] = np.full(shape, 77, "u1")
        with h5py.File(own / "inner0.h5", "w") as file:
            file["x"] = np.full(shape, 66, "u1")
        with h5py.File(own / "inner.h5", "w") as file:
            file.create_dataset("raw", shape, "u1", external=[(str(elsewhere / "secret.txt"), 0, size)])
            virtual(file, "virtual", away, "x", shape)
            virtual(file, "twice", ".", "virtual", shape)
            virtual(file, "circle", ".", "circle", shape)
            file["link"], file["group"] = h5py.ExternalLink(away, "x"), h5py.ExternalLink(away, "/")
            file["soft"] = h5py.SoftLink("/group/x")
        with h5py.File(own / "scan.h5", "w") as file:
            file["exchange/data"] = FRAMES
            file.require_group("instrument/detector").attrs["NX_class"] = "NXdetector"
            file["other/own"] = h5py.ExternalLink("inner.h5", "link")
            if way == "a pattern":
                layout, unlimited = h5py.h5p.create(h5py.h5p.DATASET_CREATE), h5py.h5s.UNLIMITED
                space = h5py.h5s.create_simple(shape, (unlimited,))
                space.select_hyperslab((0,), (unlimited,), shape, shape)
                layout.set_virtual(space, b"inner%b.h5", b"x", h5py.h5s.create_simple(shape))
                h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_UINT8, space, layout)
            else:
                virtual(file, name, *WAYS[way], shape)
        return own / "scan.h5"

    return make


@pytest.mark.parametrize("way", WAYS)
def test_metadata_from_elsewhere_at_any_remove(
    remote: Callable[..., Path], caplog: pytest.LogCaptureFixture, way: str
) -> None:
    path = remote(way, "instrument/away")
    with caplog.at_level(logging.WARNING):
        assert [name for name, _ in metadata(path, {})] == []
    assert "it is not copied" in caplog.text
    allowed = way not in ("raw storage", "a pattern", "a circle", "nothing", "no dataset")
    assert ("-allowLinks 1" in caplog.text) == allowed
    found = dict(metadata(path, {}, links=True))
    assert ("instrument/away" in found) == allowed
    assert all((values == 77).all() for values in found.values())


@pytest.mark.parametrize("way", ["raw storage", "virtual", "a link to a group"])
@pytest.mark.parametrize("name", ["instrument/detector/pixel_mask", "exchange/omega"])
def test_masks_and_angles_from_elsewhere_at_any_remove(remote: Callable[..., Path], way: str, name: str) -> None:
    path = remote(way, name, (6, 8) if name.endswith("mask") else (4,))
    if name.endswith("mask"):
        with h5py.File(path, "a") as file:
            file.move("exchange/data", "instrument/detector/data")
    location = "instrument/detector/data" if name.endswith("mask") else "exchange/data"
    with pytest.raises(MidasError, match="inner.h5"):
        source = HDF5Frames(path, Reading(location=location))
        assert source.omegas is None
        source.masked()


def test_sources_below_the_folder_at_any_remove(places: tuple[Path, Path]) -> None:
    own, _ = places
    (own / "50%").mkdir()
    with h5py.File(own / "50%" / "part.h5", "w") as file:
        file["x"] = np.arange(8, dtype="u1")
    with h5py.File(own / "inner.h5", "w") as file:
        virtual(file, "x", "50%%/part.h5", "x")
    with h5py.File(own / "scan.h5", "w") as file:
        virtual(file, "instrument/here", "inner.h5", "x")
    ((name, found),) = metadata(own / "scan.h5", {})
    assert (name, found.tolist()) == ("instrument/here", list(range(8)))
