"""Whose elementary functions kernels call: their own or the C library's (docs/theory/elementary.md#legacy-digits)."""
import threading
from contextlib import contextmanager

cdef bint c_library = False

_changed = threading.Condition()
_users = {}                     # identity of a thread: how many of its blocks are open


@contextmanager
def functions_of(*, bint c_library):
    """A block in which all kernels of this process call the C library's elementary functions, or their own.

    The choice is the process's, since a kernel's threads share it: a block that wants other functions than the blocks
    of other threads waits until these are over.
    """
    me = threading.get_ident()
    with _changed:
        _changed.wait_for(lambda: _may_choose(me, c_library))
        before = _choose(c_library)
        _users[me] = _users.get(me, 0) + 1
    try:
        yield
    finally:
        with _changed:
            _users[me] -= 1
            if not _users[me]:
                del _users[me]
            _choose(before if _users.keys() <= {me} else c_library)
            _changed.notify_all()


def calls_c_library():
    """Whether kernels call the C library's functions now."""
    return bool(c_library)


def _may_choose(me, wanted):
    return bool(c_library) == bool(wanted) or _users.keys() <= {me}


def _choose(wanted):
    global c_library
    before = bool(c_library)
    c_library = bool(wanted)
    return before
