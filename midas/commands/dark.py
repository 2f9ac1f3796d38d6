"""``ff-dark``, ``GenMedianDark``: the median of dark frames."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.runtime.errors import FormatError, UsageError
from midas.runtime.files import keep_inputs
from midas.runtime.options import ALLOW_LINKS, Option
from midas.runtime.parallel import thread_count
from midas.runtime.result import StageResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas.archive import Pixel
    from midas.convert.source import FrameSource

#: dType -> pixels of a raw file, and pixels of the result
_RAW = {1: ("<u2", "<u2"), 2: ("<f8", "<f8"), 3: ("<f4", "<f4"), 4: ("<u4", "<f8"), 5: ("<i4", "<f8")}
_TIFF, _HDF5 = (6, 9), 8


def run(values: argparse.Namespace) -> StageResult[NDArray[Pixel]]:
    """Take the median and write it."""
    from midas.convert.median import check_extension, median, write_frame

    _fill(values)
    if values.dType is not None and values.dType not in (*_RAW, *_TIFF, _HDF5):
        raise UsageError("must be 1 to 6, 8 or 9 (see --help)", key="dType", value=values.dType)
    if values.dType is None:
        check_extension(Path(values.OutFN))
    keep_inputs(values.OutFN, values.InFN)
    files, first = _files(values)
    keep_inputs(values.OutFN, *(file.path for file in files))
    threads = thread_count(values.nCPUs)
    found, count = median(files, first, threads=threads, memory=max(1, int(values.memory * 2**20)))
    write_frame(Path(values.OutFN), _in_type(found, values), plain=values.dType is not None)
    rows, columns = found.shape
    summary = {"Frames": f"{count} of {rows} x {columns}, {found.dtype.name}", "Median dark": values.OutFN}
    return StageResult("dark", summary, found)


def _fill(values: argparse.Namespace) -> None:
    """What was not given."""
    values.Hdf5DatasetName = values.location or values.Hdf5DatasetName or "exchange/data"
    values.skipFrames = next((n for n in (values.skip, values.skipFrames) if n is not None), 0)
    for name in ("NrPixelsY", "NrPixelsZ"):
        setattr(values, name, 2048 if getattr(values, name) is None else getattr(values, name))


def _files(values: argparse.Namespace) -> tuple[list[FrameSource], int]:
    """The files of the frames, and the number of the first frame that counts."""
    import numpy as np

    from midas.convert.readers import open_source
    from midas.convert.readers.ge import GEFrames
    from midas.convert.source import Reading
    from midas.convert.sweep import raw_files

    rows, columns, skipped = values.NrPixelsZ, values.NrPixelsY, values.skipFrames
    for name, number, least in (("NrPixelsY", columns, 1), ("NrPixelsZ", rows, 1), ("skipFrames", skipped, 0)):
        if number < least:
            raise UsageError(f"must be at least {least}", key=name, value=number)
    path, scratch = Path(values.InFN), Path(values.OutFN).parent
    if values.dType in _RAW:
        if not path.is_file():
            raise FormatError("is missing", file=path)
        pixel = np.dtype(_RAW[values.dType][0])
        return [GEFrames(path, Reading(header=skipped, pixel=pixel, rows=rows, columns=columns))], 0
    reading = Reading(
        values.Hdf5DatasetName, values.header, rows=rows, columns=columns, scratch=scratch, links=values.allowLinks == 1
    )
    files = [open_source(file, reading) for file in raw_files(path, 1)]
    if values.dType is not None and files[0].shape[1:] != (rows, columns):
        reason = f"has frames of {files[0].shape[1]} x {files[0].shape[2]} pixels (rows, columns)"
        raise UsageError(f"{reason}, not NrPixelsZ x NrPixelsY", file=path, value=f"{rows} x {columns}")
    return files, skipped


def _in_type(found: NDArray[Pixel], values: argparse.Namespace) -> NDArray[Pixel]:
    """The median in the type that the legacy program writes."""
    import numpy as np

    if values.dType in _RAW:
        return found.astype(_RAW[values.dType][1])
    if values.dType != _HDF5 or values.native:
        return found
    lowest, highest = found.min(), found.max()
    if not (lowest >= 0 and highest <= np.iinfo("u2").max):  # NaN, too
        reason = f"has medians from {lowest} to {highest}, which dType 8 cannot hold; add --native"
        raise UsageError(reason, file=values.InFN)
    return np.floor(found + 0.5).astype("<u2") if found.dtype.kind == "f" else found.astype("<u2")


PROGRAMS = (
    Program(
        names=("ff-dark", "GenMedianDark"),
        does=(
            "Take the median of dark frames, pixel by pixel: a dark without the hits of single frames. Of an even "
            "number of frames the lower of the two values in the middle is taken: every value was measured."
        ),
        uses=(
            "Reads any raw format, in parts when the frames do not fit into its share of the memory. With a dType it "
            "writes the pixels alone, as the legacy program; without one the extension of the output says what it is: "
            ".tif, .h5 (exchange/dark), .ge1 to .ge5 with a header of 8192 bytes, .bin or none for the pixels alone. "
            "The key Dark names it next."
        ),
        examples=(
            ("ff-dark dark_000012.ge3 dark_median.ge3", "a GE file"),
            ("ff-dark scan.h5 dark.tif --location exchange/dark", "the dark frames of an HDF5 file"),
            ("GenMedianDark dark_000012.ge3 dark.bin 1 2048 2048 exchange/data 8192", "pixels of two bytes"),
        ),
        arguments=(
            Argument("InFN", "file of the frames; without dType also a folder of images, or a pattern"),
            Argument("OutFN", "file of the median"),
            Argument(
                "dType",
                "1: raw uint16, 2: float64, 3: float32, 4: uint32, 5: int32 (4, 5: float64 is written), 6, 9: TIFF, 8: "
                "HDF5 (uint16 is written); without it the file's name says what it is",
                int,
                False,
                True,
            ),
            Argument("NrPixelsY", "columns of a raw or GE file (2048)", int, False),
            Argument("NrPixelsZ", "rows of a raw or GE file (2048)", int, False),
            Argument("Hdf5DatasetName", "dataset of the frames (exchange/data)", str, False),
            Argument("skipFrames", "dType 1 to 5: bytes of the header; else: frames to leave out (0)", int, False),
            Argument("nCPUs", "threads; by default every core that the process may use", int, False),
        ),
        options=(
            Option("--location", "as Hdf5DatasetName"),
            ALLOW_LINKS,
            Option("--skip", "as skipFrames", int),
            Option("--header", "bytes before the first frame of a GE file, without dType", int, 8192),
            Option("--native", "with dType 8: the type of the frames instead of uint16", bool, False),
            Option("--memory", "for the pixels that are sorted at once, MiB", float, 512.0),
        ),
        run=run,
    ),
)
