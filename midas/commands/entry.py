"""Entry of every console script: Ctrl-C is heard from here on, before anything that takes time is imported."""

from midas.commands.signals import SIGNALS

SIGNALS.listen()


def main() -> None:
    """Run the command that the process was called by; the launchers in bin/ do it as ``python -m midas NAME ...``."""
    from midas.commands.run import main

    main()
