"""Signals at any moment of every command: ``python -m tests.reliability.interrupts --count 40 --seed 1``.

Of each command a run without a signal says how long it takes. Then signals come: every 5 ms in the first 400 ms, then
at random moments up to its end. What must hold is in `verdict`; the table counts what ended how, and the slowest end.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.commands import (
    Command,
    chosen,
    command_line,
    hear_signals,
    in_folder,
    lines_of,
    mpirun,
    part_files,
    pristine,
    ranks,
    table,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: seconds from the signal to the end
AT_ONCE = 2.0
#: seconds until what a launcher has started or killed is gone
_GRACE = 0.5
#: seconds: of the fine steps at the start, in which the first line of midas may not have run, and between two of them
START, STEP = 0.4, 0.005


@dataclass(frozen=True)
class Ended:
    """How a run came to its end.

    Parameters
    ----------
    by : the signal
    after : seconds from the start until it came
    seconds : from the signal to the end
    code : of the process, negative after a signal that it did not hear
    lines : on standard error, without the log of the driver
    left : part files, and processes
    """

    by: signal.Signals
    after: float
    seconds: float
    code: int
    lines: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Said in one line, unheard before the first line of midas, or finished before the signal took effect."""
        return "finished" if self.code == 0 else "unheard" if not self.lines else "said"


def run(command: Command, source: Path, folder: Path, by: signal.Signals, after: float) -> Ended:
    """Start the command, and send it the signal after so many seconds."""
    command.fill(source, folder)
    process = command.start(folder)
    time.sleep(after)
    sent = time.monotonic()
    process.send_signal(by)
    _, errors = process.communicate(timeout=60)
    seconds = time.monotonic() - sent
    lines, left = tuple(lines_of(errors)), part_files(folder)
    deadline = time.monotonic() + _GRACE
    while (running := members(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return Ended(by, after, seconds, process.returncode, lines, (*left, *running))


def members(session: int) -> list[str]:
    """Processes that are left of a session."""
    left = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                words = (entry / "cmdline").read_text()
                if words:  # else it is gone, and only nobody has asked how
                    left.append(f"process {entry.name}: {words[:80]!r}")
        except OSError:
            continue
    return left


def verdict(command: Command, ended: Ended) -> str:
    """What is wrong; empty if nothing is."""
    if ended.seconds > AT_ONCE:
        return f"{ended.seconds:.2f} s until the end"
    if any("Traceback" in line for line in ended.lines):
        return "a traceback"
    if ended.left:
        return f"left: {', '.join(ended.left)}"
    if ended.code == 0:
        return "" if not ended.lines else f"exit 0 and {ended.lines[0]}"
    if command.ranks:
        return ""  # the launcher has an exit code and words of its own
    if ended.code not in (128 + ended.by, -ended.by):
        return f"exit {ended.code}"
    if not ended.lines and ended.after >= START:
        return "ended without a word"
    if len(ended.lines) > 1:
        return f"{len(ended.lines)} lines"
    if ended.lines and not ended.lines[0].startswith(f"{command.name}: "):
        return ended.lines[0]
    return ""


def moments(seconds: float, count: int, chance: random.Random) -> list[float]:
    """Fine steps at the start, or as many of them as there may be, then random moments: seconds from the start."""
    steps = [STEP * k for k in range(round(START / STEP) + 1)]
    early = steps if count >= len(steps) + 10 else chance.sample(steps, min(count // 2, len(steps)))
    return early + [chance.uniform(0, seconds) for _ in range(count - len(early))]


def duration(command: Command, source: Path, folder: Path) -> float:
    """Seconds of a run that nothing disturbs; of one that fails, an error."""
    command.fill(source, folder)
    start = time.monotonic()
    process = command.start(folder)
    _, errors = process.communicate(timeout=600)
    if process.returncode != 0:
        raise RuntimeError(f"{command.title}: exit {process.returncode}: {errors.decode(errors='replace')}")
    return time.monotonic() - start


def trials(command: Command, source: Path, scratch: Path, count: int, chance: random.Random) -> list[Ended]:
    """All signals of one command."""
    with in_folder(scratch) as folder:
        seconds = duration(command, source, folder)
    found = []
    for after in moments(seconds, count, chance):
        with in_folder(scratch) as folder:
            found.append(run(command, source, folder, chance.choice(SIGNALS), after))
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; 1 if anything was wrong."""
    parser = command_line(__doc__, 40, "signals")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(words)
    hear_signals()
    chance, source = random.Random(asked.seed), pristine(asked.folder / "layer")
    several = ranks() if shutil.which(mpirun()[0]) else []
    print(f"{'command':36} signals   said unheard finished  wrong  slowest end, s", flush=True)
    wrong = 0
    for command in chosen(asked.names, (*table(), *several)):
        found = trials(command, source, asked.folder, asked.count, chance)
        bad = [(ended, reason) for ended in found if (reason := verdict(command, ended))]
        kinds, slowest = Counter(ended.kind for ended in found), max(ended.seconds for ended in found)
        counts = " ".join(f"{kinds[kind]:7d}" for kind in ("said", "unheard", "finished"))
        print(f"{command.title:36} {len(found):7d} {counts} {len(bad):7d} {slowest:10.2f}", flush=True)
        for ended, reason in bad:
            print(f"    {ended.by.name} after {ended.after:.3f} s: {reason}; {ended.lines[-1:]}", flush=True)
        wrong += len(bad)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
