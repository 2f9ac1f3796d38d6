"""``ff-convert``, ``ffGenerateZipRefactor.py``: a raw scan to a ``.MIDAS.zip``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from midas.commands.program import Program
from midas.convert.options import ConversionOptions
from midas.runtime.errors import UsageError
from midas.runtime.options import from_words, options_of
from midas.runtime.parallel import thread_count
from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Path]:
    """Convert a scan."""
    from midas.convert import conversion
    from midas.diagnosis.check import Request, before_run

    for option in ("resultFolder", "paramFN"):
        if not getattr(values, option):
            raise UsageError("is required", key=f"-{option}")
    options = from_words(ConversionOptions, vars(values))
    settings = options.keys()
    flags = {item.metadata["key"]: item.metadata["option"].flag for item in fields(options) if item.metadata}
    request = Request(
        options.parameter_file,
        parts=(),
        data_file=options.data_file,
        layer=options.layer,
        settings=settings,
        options={key: flags[key] for key in settings},
        links=options.allow_links,
    )
    before_run(request)
    result = conversion.run(options, threads=thread_count(None))
    # Scripts parse the last line of stdout; the log has said the rest.
    print(f"OutputZipName: {result.data}")
    return StageResult(result.stage, {}, result.data)


PROGRAMS = (
    Program(
        names=("ff-convert", "ffGenerateZipRefactor.py"),
        does=(
            "Convert a raw scan and its parameter file to a .MIDAS.zip archive, which holds frames, dark, mask and "
            "parameters, and from which all later programs work. The raw file may be GE, TIFF, CBF, EDF, HDF5, a "
            "sparse frame cache or an archive, compressed or not."
        ),
        uses=(
            "The parameters are checked first, as by ff-check. "
            "Frames stream through, so that memory does not grow with the scan; raw files are never changed. The last "
            "line on stdout is 'OutputZipName: <archive>'; an archive of that name that exists is renamed to "
            "<name>.old. "
            "ff-hkls and ff-peaks are next."
        ),
        examples=(
            ("ff-convert -resultFolder . -paramFN ps.txt", "the raw file that ps.txt names"),
            ("ff-convert -resultFolder . -paramFN ps.txt -dataFN scan.h5", "this raw file"),
        ),
        options=options_of(ConversionOptions),
        run=run,
    ),
)
