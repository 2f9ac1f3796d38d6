"""Every command on a disk that is full at any size: ``python -m tests.reliability.full_disk --count 60``.

A file system in memory holds the inputs and, every second time, the results of an earlier run. It is then made as small
as what it holds and a bit more, from nothing up to what the run needs. At each size the command either succeeds or says
so in one line and ends with exit code 1; no part file is left, and what there is of results is whole. Only root can
make such a file system; for others every file may have so many bytes (``ulimit -f``).
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py

from midas.formats.resolved import GRAIN_QUALITY
from tests.reliability.commands import (
    Command,
    chosen,
    command_line,
    hear_signals,
    in_folder,
    lines_of,
    part_files,
    pristine,
    table,
)

#: bytes: of a page, in which the file system counts, and of one that everything fits into
PAGE, AMPLE = 4096, 1 << 30
PATIENCE = 120.0
#: runs that look for the size at which all fits
#: pages of files that a run needs while it lasts: the lock of the folder, the page of a part file
_PASSING = 4
_HALVINGS = 6
#: files that hold a date, a path or a time, so that no two runs write the same
LOGS = "midas_log"
VOLATILE = (".log", ".h5", ".html", ".png", ".json", ".zip", ".csv.run", "Parameters.txt", ".txt", ".nxs", ".xdmf")


class Disk:
    """A folder of which the room can be chosen."""

    def __init__(self, folder: Path, mounted: bool):
        self.folder, self.mounted, self._limit = folder, mounted, AMPLE

    def resize(self, room: int) -> None:
        """So many bytes are free from now on."""
        self._limit = max(room, 1)
        if self.mounted:
            found = os.statvfs(self.folder)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            size = used + room // PAGE * PAGE
            subprocess.run(["mount", "-o", f"remount,size={max(size, PAGE)}", str(self.folder)], check=True)

    def used(self) -> int:
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def limit_process(self) -> None:
        """In the process that is to run on it."""
        if not self.mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._limit, self._limit))


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """A disk of its own, if we may make one."""
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={AMPLE}", "none", str(folder)], capture_output=True, check=False
        ).returncode
    )
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        else:
            shutil.rmtree(folder)
            folder.mkdir()


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file, without those that differ from run to run."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not (path.name.endswith(VOLATILE) or path.parent.name == LOGS):
            found[str(path.relative_to(folder))] = hashlib.sha1(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    """What a step has written, without the columns that a later one fills in: between the two the table is whole."""
    content = path.read_bytes()
    if path.name != "GrainQuality.csv":
        return content
    first = GRAIN_QUALITY.names.index("SigmaPos")
    return b"\n".join(b"\t".join(line.split(b"\t")[:first]) for line in content.splitlines())


def damaged(folder: Path, whole: Mapping[str, set[str]]) -> list[str]:
    """Results that are neither those of a whole run nor gone; HDF5 files that cannot be opened."""
    bad = [name for name, digest in contents(folder).items() if digest not in whole.get(name, {digest})]
    for path in folder.rglob("*.h5"):
        try:
            with h5py.File(path, "r") as file:
                file.visit(lambda _: None)
        except OSError as error:
            bad.append(f"{path.name} ({error})")
    return bad


def run(command: Command, on: Disk) -> tuple[int, bytes]:
    """Exit code and standard error of a run on the disk."""
    process = command.start(on.folder, preexec_fn=on.limit_process)
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return 124, process.communicate()[1]
    return process.returncode, errors


def verdict(command: Command, folder: Path, code: int, errors: bytes, whole: Mapping[str, set[str]]) -> str:
    """The kind of an end, or what is wrong with it."""
    lines = lines_of(errors)
    if left := part_files(folder):
        return f"left: {', '.join(left)}"
    if bad := damaged(folder, whole):
        return f"damaged: {', '.join(bad)}"
    if code == 0:
        return "enough"
    if code not in (1, 3, 4, 5, 6):
        return f"exit {code}; {lines[-1:]}"
    if len(lines) != 1 or not lines[0].startswith(f"{command.name}: "):
        return f"{len(lines)} lines; {lines[-1:]}"
    return "said"


def trials(command: Command, source: Path, scratch: Path, count: int) -> list[tuple[int, str]]:
    """(room in bytes, kind of the end) at every size, up to a little more than a run needs to succeed."""
    with in_folder(scratch) as state, in_folder(scratch) as folder:
        with disk(folder) as first:
            command.fill(source, folder)
            states = [contents(folder)]
            needed, mounted = _whole_run(command, first), first.mounted
            shutil.copytree(folder, state, symlinks=True, dirs_exist_ok=True)
            states.append(contents(folder))
            _whole_run(command, first)  # what a command works on and replaces (ff-pull its grains) is another then
            states.append(contents(folder))
        whole = {name: {found[name] for found in states if name in found} for name in states[-1]}

        def trial(room: int, again: bool) -> tuple[int, str]:
            with disk(folder) as on:
                if again:  # under the same name, as files hold paths
                    shutil.copytree(state, folder, symlinks=True, dirs_exist_ok=True)
                else:
                    command.fill(source, folder)
                on.resize(room)
                return room, verdict(command, folder, *run(command, on), whole)

        low, high = 0, needed if mounted else max(path.stat().st_size for path in state.rglob("*") if path.is_file())
        found = []
        while len(found) < min(_HALVINGS, count // 2):
            found.append(trial((low + high) // 2, False))
            low, high = (low, found[-1][0]) if found[-1][1] == "enough" else (found[-1][0], high)
        left = count - len(found)
        return found + [trial(int(1.1 * high * k / max(left - 1, 1)), k % 2 == 1) for k in range(left)]


def _whole_run(command: Command, on: Disk) -> int:
    """A run with room enough; the bytes that it has added."""
    before = on.used()
    code, errors = run(command, on)
    if code:
        raise RuntimeError(f"{command.title}: exit {code}: {errors.decode(errors='replace')}")
    return max(on.used() - before, PAGE) + _PASSING * PAGE


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; 1 if anything was wrong."""
    asked = command_line(__doc__, 60, "sizes").parse_args(words)
    hear_signals()
    source = pristine(asked.folder / "layer")
    print(f"{'command':36}  sizes   said enough  wrong  largest, MB", flush=True)
    wrong = 0
    for command in chosen(asked.names, table()):
        found = trials(command, source, asked.folder, asked.count)
        kinds = Counter(kind for _, kind in found)
        bad = [(room, kind) for room, kind in found if kind not in ("said", "enough")]
        counts = f"{len(found):6d} {kinds['said']:6d} {kinds['enough']:6d} {len(bad):6d}"
        print(f"{command.title:36} {counts} {max(room for room, _ in found) / 1e6:12.2f}", flush=True)
        for room, kind in bad:
            print(f"    {room} bytes: {kind}", flush=True)
        wrong += len(bad)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
