"""Errors that are the surroundings', not the program's: too little memory, no further threads; each as one line.

Libraries say them in many ways, and some end the process: OpenBLAS loops for ever or exits when its buffer does not
fit, the C++ runtime aborts. So where the address space is limited (``ulimit -v``) a program looks before it loads one
that would, what libraries write to standard error goes nowhere, and the end of the process is heard.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

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
#: bytes that OpenBLAS needs when it is loaded, with the extension that first does so, and for its buffer
_NUMPY, _SCIPY, _BUFFER = 76_000_000, 64_000_000, 34_000_000
_SIZE_OF_BUFFERED = 64  # rows and columns of a product that is too large to go without the buffer
_LOADING = {
    "numpy._core._multiarray_umath": _NUMPY,
    # The first extension after NumPy's core can compute.
    "numpy.linalg._umath_linalg": _BUFFER,
    **dict.fromkeys(
        (
            "scipy.linalg._fblas", "scipy.linalg.cython_blas", "scipy.special._ufuncs", "scipy.optimize._lbfgsb",
            "scipy.sparse.linalg._propack", "scipy.sparse.linalg._dsolve._superlu", "scipy.interpolate._dierckx",
            "scipy.integrate._odepack",
        ),
        _SCIPY + _BUFFER,
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
    """Looks whether an extension that would not survive it has enough memory to load.

    OpenBLAS takes its buffer with the first product of matrices, whenever that is, and asks for ever where it gets
    none; so the buffer is taken here.
    """

    def __init__(self) -> None:
        self._scipy_is_there = False

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Never finds anything; the other finders do.

        Raises
        ------
        MemoryError : instead of loading it
        """
        needed = _LOADING.get(fullname, 0)
        of_scipy = fullname.startswith("scipy.")
        if not needed or (of_scipy and self._scipy_is_there):
            return
        free = room.free_address_space()
        if free is not None and free < needed:
            raise MemoryError
        if fullname == "numpy.linalg._umath_linalg":
            _take_buffer(sys.modules["numpy._core._multiarray_umath"].dot)
        elif of_scipy:
            self._scipy_is_there = True
            _take_buffer(partial(_products_of_scipy().dgemm, 1.0))


def _products_of_scipy() -> Any:
    """The extension with SciPy's products of matrices, without the packages around it."""
    folder = Path(importlib.util.find_spec("scipy").origin).parent / "linalg"  # type: ignore[union-attr,arg-type]
    spec = PathFinder.find_spec("scipy.linalg._fblas", [str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder}: no _fblas")
    products = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(products)
    return products


def _take_buffer(product: Callable[[Any, Any], Any]) -> None:
    zeros = sys.modules["numpy._core._multiarray_umath"].zeros
    product(zeros((_SIZE_OF_BUFFERED,) * 2), zeros((_SIZE_OF_BUFFERED,) * 2))


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
