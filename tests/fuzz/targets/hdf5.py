"""Raw HDF5 files of every layout, as the conversion reads them: frames, angles, masks and metadata."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from midas.convert.readers.hdf5 import HDF5Frames
from midas.convert.readers.hdf5_metadata import metadata
from midas.convert.source import Reading, made

from ..harness import Target
from ..mutations import BYTES, mixed
from ..structures import hdf5_block

#: of files: the library may hold one open that has failed
_NUMBERS = count()
FRAMES = np.random.default_rng(3).integers(0, 60, (3, 6, 8)).astype("<u2")


def _aps(file: h5py.File) -> None:
    file.create_dataset("exchange/data", data=FRAMES)
    file.create_dataset("exchange/dark", data=FRAMES[:1], chunks=(1, 6, 8), compression="gzip")
    file.create_dataset("exchange/omega", data=np.arange(3.0)).attrs["units"] = "deg"
    file["measurement/instrument/GSAS2_PVS/Pressure"] = 1.5
    file["measurement/instrument/name"] = "a detector"
    file["measurement/instrument/texts"] = ["one", "two", "three"]
    file["measurement/instrument/again"] = h5py.SoftLink("/measurement")
    file["measurement/instrument/hard"] = file["measurement"]


def _nexus(file: h5py.File) -> None:
    entry = file.create_group("entry")
    file.attrs["default"], entry.attrs["default"] = "entry", "data"
    entry.attrs["NX_class"] = "NXentry"
    data = entry.create_group("data")
    data.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["omega", ".", "."]})
    data.create_dataset("data", data=FRAMES, chunks=(2, 3, 8), compression="gzip", shuffle=True)
    data.create_dataset("omega", data=np.arange(3.0)).attrs["units"] = "rad"
    detector = entry.create_group("instrument/detector")
    detector.attrs["NX_class"] = "NXdetector"
    detector["description"] = "Dectris Eiger"
    detector["pixel_mask"] = np.zeros((6, 8), "u4")
    entry["sample/depends_on"] = "transformations/omega"
    entry["sample/transformations/omega"] = np.arange(3.0)
    entry["sample/transformations/omega"].attrs.update({"transformation_type": "rotation", "depends_on": "."})


def _filters(file: h5py.File) -> None:
    options: dict[str, Mapping[str, Any]] = {
        "data_000001": hdf5plugin.Bitshuffle(cname="lz4"),
        "data_000002": hdf5plugin.LZ4(),
        "data_000003": hdf5plugin.Zstd(),
        "data_000004": hdf5plugin.Blosc(),
        "data_000005": hdf5plugin.Bitshuffle(cname="zstd"),
        "data_000006": {"fletcher32": True, "compression": "lzf"},
    }
    for name, option in options.items():
        file.create_dataset(f"entry/data/{name}", data=FRAMES, chunks=(1, 6, 8), **option)
    file["entry/sample/goniometer/omega"] = np.arange(18.0)


def _virtual(file: h5py.File) -> None:
    file["part"] = FRAMES
    layout = h5py.VirtualLayout(FRAMES.shape, FRAMES.dtype)
    layout[:2] = h5py.VirtualSource(".", "part", FRAMES.shape)[:2]
    layout[2:] = h5py.VirtualSource(".", "part", FRAMES.shape)[2:]
    file.create_virtual_dataset("exchange/data", layout)


def _odd(file: h5py.File) -> None:
    """What no reader expects, in the places that are copied."""
    file["exchange/data"] = FRAMES
    group = file.create_group("instrument")
    group["half"], group["long"] = np.float16(1), np.longdouble(1)
    group["record"] = np.zeros(2, [("a", "i4"), ("b", "f8")])
    group["truth"], group["big"] = np.array([True, False]), np.arange(3, dtype=">f4")
    group["complex"], group["nothing"] = np.complex64(1), h5py.Empty("f4")
    group["reference"] = np.array([file["exchange"].ref], h5py.ref_dtype)
    group["ragged"] = np.array([np.arange(2), np.arange(3)], object).astype(h5py.vlen_dtype("i4"))
    group["choice"] = np.array([0, 1], h5py.enum_dtype({"a": 0, "b": 1}, "i1"))
    group["opaque"], group["type"] = np.void(b"abc"), np.dtype("i4")
    group.create_dataset("scale", data=[1.0, 2.0]).make_scale("x")
    group["lost"], group["away"] = h5py.SoftLink("/nowhere"), h5py.ExternalLink("other.h5", "/x")


WRITERS: dict[str, Callable[[h5py.File], None]] = {
    "aps": _aps, "nexus": _nexus, "filters": _filters, "virtual": _virtual, "odd": _odd,
}  # fmt: skip


def written(write: Callable[[h5py.File], None], library: str = "earliest") -> bytes:
    """The bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.h5")
        with h5py.File(path, "w", libver=library, userblock_size=0) as file:
            write(file)
        return path.read_bytes()


def corpus() -> Mapping[str, bytes]:
    found = {name: written(write) for name, write in WRITERS.items()}
    return found | {f"{name} latest": written(write, "latest") for name, write in WRITERS.items()}


def run(data: bytes, folder: Path) -> None:
    path = folder / f"scan{next(_NUMBERS)}.h5"
    path.write_bytes(data)
    for _ in metadata(path, {"Pressure": "measurement/instrument/GSAS2_PVS/Pressure"}):
        pass
    source = HDF5Frames(path, Reading())
    source.omegas  # noqa: B018
    source.masked()
    for frame in islice(source.frames(), 2):
        made(frame)


_STEPS = (*BYTES, (12, hdf5_block))
TARGETS = (Target("hdf5", run, corpus, mixed(_STEPS), contained=True),)
