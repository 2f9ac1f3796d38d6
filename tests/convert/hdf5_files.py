"""HDF5 files as detectors and beamlines write them, made with h5py and hdf5plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from midas.convert.readers.hdf5 import HDF5Frames
from midas.convert.source import Reading


def read(path: Path, first: int = 0, block: int = -1, **reading: Any) -> np.ndarray:
    """All frames of a file through its reader."""
    frames = HDF5Frames(path, Reading(**reading)).frames(first, block)
    return np.stack([frame() if callable(frame) else frame for frame in frames])


def omegas(path: Path, **reading: Any) -> np.ndarray | None:
    return HDF5Frames(path, Reading(**reading)).omegas


def write(path: Path, **datasets: Any) -> Path:
    """Datasets by name, ``__`` for a slash."""
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return path


def write_eiger(
    folder: Path, frames: np.ndarray, files: int = 2, omega: np.ndarray | None = None, mask: np.ndarray | None = None
) -> Path:
    """A master of Dectris' first layout and its data files."""
    parts = np.array_split(frames, files)
    with h5py.File(folder / "s_master.h5", "w") as master:
        master.create_group("entry").attrs["NX_class"] = "NXentry"
        master.create_group("entry/data").attrs["NX_class"] = "NXdata"
        for number, part in enumerate(parts, 1):
            name = f"s_data_{number:06d}.h5"
            with h5py.File(folder / name, "w") as file:
                file.create_dataset("entry/data/data", data=part, chunks=(1, *part.shape[1:]), compression="gzip")
            master[f"entry/data/data_{number:06d}"] = h5py.ExternalLink(name, "entry/data/data")
        master["entry/instrument/detector/description"] = "Dectris Eiger2 16M"
        if mask is not None:
            master["entry/instrument/detector/detectorSpecific/pixel_mask"] = mask.astype("u4")
        if omega is not None:
            master["entry/sample/goniometer/omega"] = omega
    return folder / "s_master.h5"


def write_virtual(path: Path, frames: np.ndarray, files: int = 3, name: str = "exchange/data", **options: Any) -> Path:
    """A virtual dataset over files ``part<i>.h5`` beside it."""
    layout = h5py.VirtualLayout(frames.shape, frames.dtype)
    first = 0
    for number, part in enumerate(np.array_split(frames, files)):
        with h5py.File(path.with_name(f"part{number}.h5"), "w") as file:
            file.create_dataset("d", data=part, **options)
        layout[first : first + len(part)] = h5py.VirtualSource(f"part{number}.h5", "d", part.shape)
        first += len(part)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset(name, layout)
    return path


def write_bliss(path: Path, scans: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]) -> Path:
    """A master of BLISS: each scan has frames of a detector ``eiger`` in files of Lima, and its motors."""
    with h5py.File(path, "w") as file:
        file.attrs["NX_class"] = "NXroot"
        for scan, (frames, motors) in scans.items():
            lima = write_virtual(path.with_name(f"unused_{scan}.h5"), frames, 1)
            lima.with_name("part0.h5").rename(path.with_name(f"eiger_{scan}.h5"))
            lima.unlink()
            layout = h5py.VirtualLayout(frames.shape, frames.dtype)
            layout[:] = h5py.VirtualSource(f"eiger_{scan}.h5", "d", frames.shape)
            file.create_group(scan).attrs["NX_class"] = "NXentry"
            file.create_group(f"{scan}/instrument/eiger").attrs["NX_class"] = "NXdetector"
            file.create_virtual_dataset(f"{scan}/instrument/eiger/data", layout)
            file[f"{scan}/measurement/eiger"] = h5py.SoftLink(f"/{scan}/instrument/eiger/data")
            for name, values in motors.items():
                file[f"{scan}/measurement/{name}"] = values
    return path


def write_fch5(path: Path, frames: np.ndarray, ranges: np.ndarray | None = None, **changes: Any) -> Path:
    """A sparse frame cache of HEXRD's layout in HDF5."""
    numbers, rows, columns = np.nonzero(frames)
    ends = np.searchsorted(numbers, np.arange(len(frames) + 1))
    content = {
        "shape": np.array(frames.shape[1:]),
        "nframes": len(frames),
        "dtype": frames.dtype.name,
        "data": frames[numbers, rows, columns][:, np.newaxis],
        "indices": np.stack([rows, columns], 1).astype("u2"),
        "frame_ids": np.stack([ends[:-1], ends[1:]], 1).ravel(),
        "metadata/omega": ranges,
        **changes,
    }
    with h5py.File(path, "w") as file:
        file.attrs["HEXRD_FRAMECACHE_VERSION"] = 1
        for name, values in content.items():
            if values is not None:
                file[name] = values
    return path
