"""Whose elementary functions kernels call: their own or the C library's (docs/theory/elementary.md#legacy-digits)."""
import os
import threading
from contextlib import contextmanager

cdef bint c_library = False

_changed = threading.Condition()
_open = {}                      # identity of a thread: how many blocks it is in; all of them want what `c_library` says


@contextmanager
def functions_of(*, bint c_library):
    """A block in which all kernels of this process call the C library's elementary functions, or their own.

    The choice is the process's, since a kernel's threads share it. Blocks that want the same may overlap in any order;
    one that wants other functions than the blocks of other threads waits until all of these are over. While no block is
    open, kernels call their own functions.

    Raises
    ------
    RuntimeError : the block stands within one of the same thread that wants the other functions
    """
    me = threading.get_ident()
    with _changed:
        _changed.wait_for(lambda: not _open or me in _open or calls_c_library() == c_library)
        if _open and calls_c_library() != c_library:
            raise RuntimeError("a block of elementary functions within one that wants the other ones")
        _open[me] = _open.get(me, 0) + 1
        _choose(c_library)
    try:
        yield
    finally:
        with _changed:
            _open[me] -= 1
            _forget([] if _open[me] else [me])


def calls_c_library():
    """Whether kernels call the C library's functions now."""
    return bool(c_library)


def _choose(wanted):
    global c_library
    c_library = bool(wanted)


def _forget(threads):
    """These threads are in no block any more."""
    for thread in threads:
        del _open[thread]
    if not _open:
        _choose(False)
        _changed.notify_all()


def _stay_alone():
    """In a forked process only the thread is left that has forked."""
    global _changed
    _changed = threading.Condition()
    with _changed:
        _forget([thread for thread in _open if thread != threading.get_ident()])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stay_alone)
