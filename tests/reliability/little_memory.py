"""Every command with an address space that ends early: ``python -m tests.reliability.little_memory --count 12``.

The limits (``prlimit --as``) are spread from what the interpreter itself hardly starts with up to what is enough. At
each a command either succeeds, or says in one line that there is not enough memory, ends with exit code 1 within its
time, and leaves no part file. An interpreter that does not start says so itself; those limits are left out.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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

#: seconds within which a command that lacks memory has ended
PATIENCE = 60.0
LOWEST, HIGHEST = 30, 900
MB = 10**6


def run(command: Command, source: Path, folder: Path, limit: int) -> str:
    """Run it within so many bytes: "enough", "said", or what is wrong."""
    command.fill(source, folder)
    process = command.start(folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"no end within {PATIENCE:g} s"
    return verdict(command, folder, process.returncode, errors)


def verdict(command: Command, folder: Path, code: int, errors: bytes) -> str:
    """The kind of an end, or what is wrong with it."""
    lines = lines_of(errors)
    if left := part_files(folder):
        return f"left: {', '.join(left)}"
    if code == 0:
        return "enough"
    if code != 1:
        return f"exit {code}; {lines[-1:]}"
    if len(lines) != 1 or "memory" not in lines[0] and "threads" not in lines[0]:
        return f"{len(lines)} lines; {lines[-1:]}"
    return "said" if lines[0].startswith((f"{command.name}: ", "midas: ")) else lines[0]


def limits(count: int, lowest: int = LOWEST, highest: int = HIGHEST) -> list[int]:
    """Bytes, in even ratios."""
    ratio = (highest / lowest) ** (1 / max(count - 1, 1))
    return [round(lowest * ratio**k) * MB for k in range(count)]


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; 1 if anything was wrong."""
    asked = command_line(__doc__, 12, "limits").parse_args(words)
    hear_signals()
    source = pristine(asked.folder / "layer")
    print(f"{'command':36} limits   said enough  wrong  slowest, s", flush=True)
    wrong = 0
    for command in chosen(asked.names, table()):
        found, slowest = [], 0.0
        for limit in limits(asked.count):
            start = time.monotonic()
            with in_folder(asked.folder) as folder:
                found.append((limit, run(command, source, folder, limit)))
            slowest = max(slowest, time.monotonic() - start)
        kinds = Counter(kind for _, kind in found)
        bad = [(limit, kind) for limit, kind in found if kind not in ("said", "enough")]
        line = (
            f"{command.title:36} {len(found):6d} {kinds['said']:6d} {kinds['enough']:6d} {len(bad):6d} {slowest:10.2f}"
        )
        print(line, flush=True)
        for limit, kind in bad:
            print(f"    {limit // MB} MB: {kind}", flush=True)
        wrong += len(bad)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
