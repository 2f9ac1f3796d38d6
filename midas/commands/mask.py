"""``ff-mask``, ``generate_mask.py``: a mask of pixels that measure nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.convert.options import MaskRules
from midas.runtime.errors import UsageError
from midas.runtime.files import keep_inputs
from midas.runtime.options import ALLOW_LINKS, Option, absolute, from_words, options_of
from midas.runtime.parallel import thread_count
from midas.runtime.result import StageResult

if TYPE_CHECKING:
    from midas.convert.pixel_mask import PixelMask


def run(values: argparse.Namespace) -> StageResult[PixelMask]:
    """Find the bad pixels and write the mask."""
    from midas.convert.pixel_mask import find_bad_pixels, write_mask
    from midas.convert.readers import open_source
    from midas.convert.source import Reading
    from midas.convert.sweep import raw_files

    rules = from_words(MaskRules, vars(values))
    if not values.value and all(rule is None for rule in (rules.saturated, rules.above, rules.hot, rules.add)):
        raise UsageError("say what is bad: values of pixels, --saturated, --above, --hot or --add", key="VALUE")
    image = absolute(values.image)
    output = Path(values.o) if values.o else image.with_name(f"{image.stem}_mask.tif")
    reading = Reading(
        location=values.location,
        header=values.header,
        rows=values.rows,
        columns=values.columns,
        scratch=output.parent,
        links=values.allowLinks == 1,
    )
    paths = raw_files(image, 1)
    keep_inputs(output, *paths)
    files = [open_source(path, reading) for path in paths]
    found = find_bad_pixels(files, values.value, rules, threads=thread_count(None))
    write_mask(output, found.masked)
    rows, columns = found.masked.shape
    total = int(found.masked.sum())
    summary: dict[str, object] = {"Frames": f"{found.frames} of {rows} x {columns}, {files[0].dtype.name}"}
    summary |= {f"Pixels: {why}": hits for why, hits in found.reasons.items()}
    summary["Masked"] = f"{total} of {rows * columns} ({100 * total / (rows * columns):.3f} %)"
    summary["Mask"] = output
    return StageResult("mask", summary, found)


PROGRAMS = (
    Program(
        names=("ff-mask", "generate_mask.py"),
        does=(
            "Make a mask of the pixels that measure nothing: those with certain values (gaps and dead pixels of a "
            "detector), those that are hot or saturated in dark frames, those of another mask."
        ),
        uses=(
            "Reads an image or frames in any raw format and writes a TIFF of bytes, 1 = masked, by default "
            "<image>_mask.tif. The key MaskFN of the parameter file names it; the conversion puts it into the archive, "
            "and ff-update into one that is there."
        ),
        examples=(
            ("ff-mask dark.tif -1 -2 -o mask.tif", "gaps and dead pixels by their values"),
            ("ff-mask dark_000012.ge3 --hot 10 --saturated 16000", "hot and saturated pixels of dark frames"),
            ("ff-mask dark.h5 --location exchange/dark --hot 10 --add mask.tif -o mask.tif", "and those of a mask"),
        ),
        arguments=(
            Argument("image", "image or dark frames: a file, a folder of images, or a pattern"),
            Argument("value", "value of a pixel that measures nothing", float, False, several=True),
        ),
        options=(
            Option("-o", "the mask; by default <image>_mask.tif beside the image", str, ""),
            *options_of(MaskRules),
            Option("--location", "dataset of the frames, in HDF5", str, "exchange/data"),
            ALLOW_LINKS,
            Option("--header", "bytes before the first frame, in formats that do not say it (GE)", int, 8192),
            Option("--rows", "of a frame, in formats that do not say it (GE)", int, 2048),
            Option("--columns", "of a frame, in formats that do not say it (GE)", int, 2048),
        ),
        run=run,
        exact=True,
    ),
)
