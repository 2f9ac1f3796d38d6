"""``ff-look``: a first look at a scan, before anything is analysed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.diagnosis.look.options import LookOptions
from midas.runtime.errors import UsageError
from midas.runtime.options import absolute, from_words, options_of
from midas.runtime.parallel import thread_count

if TYPE_CHECKING:
    from midas.diagnosis.look.findings import Look
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Look]:
    """Look at a scan."""
    from midas.diagnosis.look import run as look

    words = dict(vars(values))
    if words["parameter_file"] and words["paramFN"]:
        raise UsageError("is given twice, by its place and by -paramFN", key="parameter file")
    words["paramFN"] = words["paramFN"] or words["parameter_file"] or ""
    options = from_words(LookOptions, words, result_folder=absolute(words["resultFolder"] or "."))
    options.check_numbers()
    threads = thread_count(options.threads)
    scan = options.opened(threads)
    return look.run(scan, options.result_folder, threads=threads, first=options.first, count=options.count)


PROGRAMS = (
    Program(
        names=("ff-look",),
        does=(
            "Look at a scan before it is analysed: maximum, mean and median of its frames with the predicted rings, "
            "the profile along 2theta, by how much the rings lie beside their places (ring by ring, and what that says "
            "about Lsd and BC), levels and noise, a threshold for every ring, hot pixels, saturation, a missing dark."
        ),
        uses=(
            "Reads a parameter file and the raw scan that it or -dataFN names, or an archive; writes "
            "<scan>_look.html (a page for any browser), <scan>_look.png and <scan>_look.txt into -resultFolder and "
            "prints the text. Nothing is converted. ff-check looks at the parameters alone; ff-midas is next."
        ),
        examples=(
            ("ff-look ps.txt", "the scan that ps.txt names"),
            ("ff-look ps.txt -dataFN scan.h5 -first 0 -count 100", "the first hundred frames of this file"),
            ("ff-look -dataFN scan.MIDAS.zip", "an archive, with its own parameters"),
        ),
        arguments=(Argument("parameter_file", "parameter file; not needed for an archive", str, False),),
        options=options_of(LookOptions),
        run=run,
    ),
)
