"""The content of one file into another, by the kernel where it can: a file system that shares blocks copies none."""

from __future__ import annotations

import errno
import os
import shutil
from typing import IO

#: bytes that the kernel copies before a signal is looked at, and that are copied here where it cannot
_KERNEL_PIECE, _PIECE = 1 << 28, 1 << 22
#: the kernel cannot, between these file systems or at all
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY)


def copy_content(source: IO[bytes], target: IO[bytes]) -> None:
    """Append what is left of one open file to another."""
    target.flush()
    if not _by_kernel(source, target):
        shutil.copyfileobj(source, target, _PIECE)


def _by_kernel(source: IO[bytes], target: IO[bytes]) -> bool:
    """Whether the kernel has copied everything; files that it makes up as they are read have no size and are left."""
    if not hasattr(os, "copy_file_range") or not os.fstat(source.fileno()).st_size:
        return False
    start = at = source.tell()
    while True:
        try:
            copied = os.copy_file_range(source.fileno(), target.fileno(), _KERNEL_PIECE, offset_src=at)
        except OSError as error:
            if at > start or error.errno not in _CANNOT:
                raise
            return False
        if not copied:
            return at > start
        at += copied
