"""Which folders a command works in, for nobody else to work there (docs/reliability.md#one-run-a-folder)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from midas.runtime import locks
from midas.runtime.parallel import SERIAL, Communicator

#: of the commands that run in this process, the innermost last
_commands: list[ExitStack] = []


@contextmanager
def until_end() -> Iterator[None]:
    """What a command holds in this block it holds until the end of it."""
    with ExitStack() as stack:
        _commands.append(stack)
        try:
            yield
        finally:
            _commands.remove(stack)


def hold(
    folder: str | os.PathLike[str], values: argparse.Namespace, comm: Communicator = SERIAL, *, blocks_of: str = ""
) -> None:
    """Hold a folder until the end of the command; of the ranks of an MPI run the first one does.

    Parameters
    ----------
    values : of the command line
    blocks_of : name of the stage whose legacy blocks may work side by side

    Raises
    ------
    InUseError : another run works there
    """
    alone = comm.size == 1 or comm.connected
    if comm.rank == 0 or not alone:
        work = "" if alone else f"blocks of {blocks_of}"
        _commands[-1].enter_context(locks.folder_lock(folder, values.name, work=work))
    comm.barrier()
