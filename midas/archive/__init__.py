"""The ``.MIDAS.zip`` archive of a scan: reading, writing, replacing one dataset."""

from midas.archive.editing import set_dataset, set_datasets
from midas.archive.frameless import without_frames
from midas.archive.reader import Archive, FrameStack
from midas.archive.writer import BRIGHT, DARK, DATA, FLOOD, MASK, ArchiveWriter
from midas.archive.zarr_array import Pixel

__all__ = [
    "BRIGHT",
    "DARK",
    "DATA",
    "FLOOD",
    "MASK",
    "Archive",
    "ArchiveWriter",
    "FrameStack",
    "Pixel",
    "set_dataset",
    "set_datasets",
    "without_frames",
]
