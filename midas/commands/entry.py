"""Entry of every console script: signals are heard from here on, before anything that takes time is imported."""

import os
import sys

from midas.commands.signals import SIGNALS

SIGNALS.listen()

from midas.commands.linear_algebra import take_common  # noqa: E402 - signals come first

take_common(os.environ, os.uname().machine)
# Nothing here is worth threads of the linear algebra, whose start takes time, memory, and sometimes the process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run the command that the process was called by; the launchers in bin/ do it as ``python -m midas NAME ...``."""
    try:
        from midas.commands.run import main
    except (MemoryError, OSError):
        sys.exit("midas: not enough memory to start")

    main()
