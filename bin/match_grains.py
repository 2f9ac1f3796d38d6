#!/usr/bin/env python3
"""`python match_grains.py match|stitch ...`: the same as `ff-match` and `ff-stitch`; its functions can be imported."""

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback before midas hears it

try:
    from midas.commands.entry import main
    from midas.formats.matched import write_matches as write_output
    from midas.results.matching.pairs import compute_cost_matrix, match_grains, stitch_layers
    from midas.results.matching.sets import aggregate_grains, fit_affine_from_points, load_grains
except ImportError:  # another python than the one with midas: let the launcher find that one
    if __name__ != "__main__":
        raise
    here, words = os.path.dirname(os.path.realpath(__file__)), sys.argv[1:]
    stitching = words[:1] == ["stitch"]
    launcher = os.path.join(here, "ff-stitch" if stitching else "ff-match")
    os.execv(launcher, [launcher, *(words[1:] if words[:1] in (["match"], ["stitch"]) else words)])

__all__ = [
    "aggregate_grains", "compute_cost_matrix", "fit_affine_from_points", "load_grains", "match_grains", "stitch_layers",
    "write_output",
]  # fmt: skip

if __name__ == "__main__":
    main()
