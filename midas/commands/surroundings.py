"""Errors that are the surroundings', not the program's: too little memory, no further threads; each as one line.

Libraries say them in many ways, and some end the process: OpenBLAS loops for ever or exits when its buffer does not
fit, the C++ runtime aborts. So where the address space is limited (``ulimit -v``) a program looks before it loads one
that would, what libraries write to standard error goes nowhere, and the end of the process is heard.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

from midas.commands.signals import SIGNALS
from midas.runtime import room

#: what libraries say when they get no memory
_NO_MEMORY = re.compile(
    r"failed to map segment|cannot allocate memory|unable to allocate|memory allocation|bad_alloc|out of memory|"
    r"not enough memory|cannot create shared object",
    re.IGNORECASE,
)
_NO_THREAD = re.compile(r"can't start new thread|cannot start .*thread|thread creation failed", re.IGNORECASE)
#: the address space is used up when less than this is left of it: libraries ask for large pieces
_NEAR = 128 << 20
#: bytes that OpenBLAS needs when it is loaded, with the extension that first does so
_NUMPY, _SCIPY = 76_000_000, 64_000_000
_LOADING = {
    "numpy._core._multiarray_umath": _NUMPY,
    **dict.fromkeys(
        (
            "scipy.linalg._fblas", "scipy.linalg.cython_blas", "scipy.special._ufuncs", "scipy.optimize._lbfgsb",
            "scipy.sparse.linalg._propack", "scipy.sparse.linalg._dsolve._superlu", "scipy.interpolate._dierckx",
            "scipy.integrate._odepack",
        ),
        _SCIPY,
    ),
}  # fmt: skip


def prepare(name: str) -> None:
    """Where the address space is limited: be ready for its end. Standard error is that of Python alone from here on."""
    space = room.address_space()
    if space is None:
        return
    sys.meta_path.insert(0, _Look())
    try:
        import midas._ext.numerics.ending as ending
    except ImportError:
        return
    errors = os.dup(2)
    with open(os.memfd_create("stderr"), "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = open(errors, "w", 1, sys.stderr.encoding, sys.stderr.errors)  # noqa: SIM115 - as long as the process lives
    SIGNALS.errors = errors
    logging.lastResort = logging.NullHandler()  # of libraries
    line = f"{name}: {_not_enough()}\n".encode("utf-8", "backslashreplace")
    ending.watch_memory(line, errors, space[0])


def finish() -> None:
    """All is done: the end of the process that comes is its own."""
    if ending := sys.modules.get("midas._ext.numerics.ending"):
        ending.end_regularly()


class _Look(MetaPathFinder):
    """Looks whether an extension that would not survive it has enough memory to load."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Never finds anything; the other finders do.

        Raises
        ------
        MemoryError : instead of loading it
        """
        needed = _LOADING.get(fullname, 0)
        if needed == _SCIPY and any(name in sys.modules for name, size in _LOADING.items() if size == _SCIPY):
            return  # the library is there
        free = room.free_address_space()
        if free is not None and free < needed:
            raise MemoryError


def explained(error: BaseException) -> str | None:
    """What to say to the user if the surroundings are at fault, else None."""
    for cause in _causes(error):
        text = str(cause)
        if _NO_THREAD.search(text) and room.address_space() is None:
            return "no more threads can be started here; give a smaller -nCPUs, or raise the limit (ulimit -u)"
        lacking = isinstance(cause, OSError) and cause.errno == errno.ENOMEM
        if isinstance(cause, MemoryError) or lacking or _NO_MEMORY.search(text) or _NO_THREAD.search(text):
            return _not_enough()
    return _not_enough() if _is_used_up() else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it came of."""
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__


def _is_used_up() -> bool:
    space = room.address_space()
    return space is not None and space[0] - space[1] < _NEAR


def _not_enough() -> str:
    space = room.address_space()
    if space is None:
        return "not enough memory; a smaller -nCPUs needs less"
    limit = room.size_text(space[0])
    reason = f"not enough memory: {limit} of address space are allowed (ulimit -v)"
    return f"{reason}; raise the limit, or give a smaller -nCPUs"
