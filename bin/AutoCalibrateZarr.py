#!/usr/bin/env python3
"""`python AutoCalibrateZarr.py ...`; the legacy driver of the calibration."""

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback before midas hears it

try:
    from midas.commands.entry import main
except ImportError:  # another python than the one with midas: let the launcher find that one
    launcher = os.path.join(os.path.dirname(os.path.realpath(__file__)), "AutoCalibrateZarr")
    os.execv(launcher, [launcher, *sys.argv[1:]])

main()
