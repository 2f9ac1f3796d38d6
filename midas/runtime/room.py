"""How much disk and memory there is, and errors that say before the work how much it needs.

What is asked for is what is certain to be needed: a run that would have fitted is never refused. A quota of a file
system shows only when a file is written.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path

from midas.runtime.errors import MidasError, OutputError

_MEMORY = Path("/proc/meminfo")
_GROUPS = Path("/proc/self/cgroup")
_GROUP_ROOT = Path("/sys/fs/cgroup")
_STATUS = Path("/proc/self/status")


def size_text(size: float) -> str:
    """A number of bytes for a reader: ``1.61 GB``."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{max(size, 0) / 1e3:.3g} kB"


# Disk


def free_disk(path: str | os.PathLike[str]) -> int | None:
    """Bytes that may still be written where `path` lies or will lie; None where the system does not say."""
    at = _existing(Path(path))
    try:
        found = os.statvfs(at)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize if found.f_blocks else None


def free_files(path: str | os.PathLike[str]) -> int | None:
    """Files that may still be made there; None where the file system has no limit."""
    try:
        found = os.statvfs(_existing(Path(path)))
    except OSError:
        return None
    return found.f_favail if found.f_files else None


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def need_disk(path: str | os.PathLike[str], size: float, what: str, *, files: int = 0) -> None:
    """An error if so many bytes, or files, more cannot fit where `path` lies.

    Raises
    ------
    OutputError : with the number needed and the number there
    """
    free = free_disk(path)
    if free is not None and size > free:
        reason = f"{what} needs at least {size_text(size)} of disk, of which {size_text(free)} are free"
        raise OutputError(f"{reason}; make room, or write elsewhere", file=path)
    places = free_files(path)
    if places is not None and files > places:
        reason = f"{what} makes {files} files, of which the file system has room for {places}"
        raise OutputError(f"{reason}; remove some, or write elsewhere", file=path)


# Memory


def free_memory() -> int | None:
    """Bytes that this process may still take: of the machine, of its control group, of its address space."""
    known = [size for size in (_of_machine(), *_of_groups(), free_address_space()) if size is not None]
    return max(min(known), 0) if known else None


def need_memory(size: float, what: str, advice: str = "") -> None:
    """An error if so many bytes more do not fit into the memory.

    Raises
    ------
    MidasError : with the number needed and the number there
    """
    free = free_memory()
    if free is not None and size > free:
        reason = f"not enough memory: {what} needs at least {size_text(size)}, of which {size_text(free)} are free"
        raise MidasError(f"{reason}; {advice}" if advice else reason)


def address_space() -> tuple[int, int] | None:
    """What ``ulimit -v`` allows, and the most that was in use, bytes; None without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    most = _field(_STATUS, "VmPeak")
    return None if limit == resource.RLIM_INFINITY or most is None else (limit, most)


def free_address_space() -> int | None:
    """What ``ulimit -v`` leaves, bytes; None without a limit."""
    limit, used = resource.getrlimit(resource.RLIMIT_AS)[0], _field(_STATUS, "VmSize")
    return None if limit == resource.RLIM_INFINITY or used is None else limit - used


def _of_machine() -> int | None:
    free, swap = _field(_MEMORY, "MemAvailable"), _field(_MEMORY, "SwapFree")
    return None if free is None else free + (swap or 0)


def _field(path: Path, name: str) -> int | None:
    """Bytes of one line of a table of the kernel, which counts in kB."""
    for line in _lines(path):
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return None


def _of_groups() -> Iterator[int]:
    """What the control groups of this process leave, those above its own among them (Slurm, containers)."""
    swap = _field(_MEMORY, "SwapFree") or 0
    for line in _lines(_GROUPS):
        kinds, _, name = line.partition(":")[2].partition(":")
        if kinds == "":
            root, limit, used = _GROUP_ROOT, "memory.max", "memory.current"
        elif "memory" in kinds.split(","):
            root, limit, used = _GROUP_ROOT / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        own = root / name.lstrip("/")
        for folder in (own, *(above for above in own.parents if above.is_relative_to(root))):
            most, taken = _number(folder / limit), _number(folder / used)
            if most is not None and taken is not None:
                yield most - taken + _cached(folder) + swap


def _cached(folder: Path) -> int:
    """Bytes of files in memory, which make room."""
    fields = dict(line.split() for line in _lines(folder / "memory.stat") if len(line.split()) == 2)
    return sum(int(fields.get(name, 0)) for name in ("inactive_file", "active_file", "slab_reclaimable"))


def _number(path: Path) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> Iterable[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
