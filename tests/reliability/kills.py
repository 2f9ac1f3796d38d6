"""Runs of ``ff-midas`` that are killed at any moment, from the conversion to the report, and gone on with.

``python -m tests.reliability.kills --count 100 --seed 1 [--signal TERM]`` prints a table: when each run was killed, in
which step, what the run with ``-resume 1`` cost, and whether all results are those of a run that nobody disturbed, to
the byte. What differs from run to run by its nature is left out: the logs, with the record of the run and the ledger,
and the part of the report that shows that record.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from midas.formats.layer import Layer
from midas.formats.ledger import COMPLETE, read_ledger
from tests.tiny_scan import TinyScan, make

#: folders of what says when and how a run came about, not what it found
LOGS = ("midas_log", "output")
#: the part of the report that says what took how long
_OF_RECORD = re.compile(rb'<section id="run">.*?</section>', re.DOTALL)
#: seconds between two looks at the time that a process has used
_PAUSE = 0.001
#: a run that takes longer hangs
_LONGEST = 300.0


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its code, CPU seconds, and what it said."""

    code: int
    seconds: float
    said: str


@dataclass(frozen=True)
class Kill:
    """A run that was killed, and the one that went on.

    Parameters
    ----------
    after : CPU seconds after which the first one was killed; -1: it had ended before
    step : the last one that it had begun, and whether that was complete
    left : files in the folder beside those of a complete run, when it was killed
    resumed : the run that went on
    differing : files that are not those of the undisturbed run
    """

    after: float
    step: str
    left: int
    resumed: Finished
    differing: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the run that went on ended well, with all results as they must be."""
        return self.resumed.code == 0 and not self.differing


class Harness:
    """One scan, one folder of results, as all runs have it.

    Parameters
    ----------
    folder : for both
    scan : made by the caller
    """

    def __init__(self, folder: Path, scan: TinyScan):
        self.work, self.scan = folder / "work", scan

    def command(self, *more: str) -> list[str]:
        """The command line of every run."""
        named = ["-paramFN", str(self.scan.parameters), "-dataFN", str(self.scan.raw), "-resultFolder", str(self.work)]
        return [sys.executable, "-m", "midas", "ff-midas", *named, "-nCPUs", "1", "-resume", "1", *more]

    def start(self) -> subprocess.Popen[bytes]:
        """A run in its own process group."""
        own = {"OMP_NUM_THREADS": "1", "SOURCE_DATE_EPOCH": "0", "PYTHONHASHSEED": "0"}
        self.work.mkdir(exist_ok=True)
        said = open(self.work.parent / "said.txt", "wb")  # noqa: SIM115 - the process has it
        try:
            return subprocess.Popen(
                self.command(), stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **own}, start_new_session=True
            )
        finally:
            said.close()

    def run(self) -> Finished:
        """A run that nobody disturbs."""
        return self.finish(self.start())

    def finish(self, process: subprocess.Popen[bytes]) -> Finished:
        """Wait for a run; one that hangs is killed."""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said = (self.work.parent / "said.txt").read_text(errors="replace")
        return Finished(process.returncode, used.ru_utime + used.ru_stime, said)

    def clear(self) -> None:
        """Leave no results."""
        shutil.rmtree(self.work, ignore_errors=True)

    def digests(self) -> dict[str, str]:
        """The hash of every result."""
        return {
            str(path.relative_to(self.work)): hashlib.sha256(_content(path)).hexdigest()
            for path in sorted(self.work.rglob("*"))
            if path.is_file() and not set(LOGS).intersection(path.relative_to(self.work).parts)
        }

    def killed(self, after: float, how: signal.Signals) -> float:
        """Start a run and end it when it has used so many CPU seconds; those that it had, or -1 if it was over."""
        process, end = self.start(), time.monotonic() + _LONGEST
        while process.poll() is None and time.monotonic() < end:
            used = _used(process.pid)
            if used >= after:
                process.send_signal(how)
                process.wait()
                return used
            time.sleep(_PAUSE)
        return -1.0

    def trial(self, after: float, how: signal.Signals, wanted: dict[str, str]) -> Kill:
        """A run that is killed, and the one that goes on."""
        self.clear()
        reached = self.killed(after, how)
        step, left = self._last_step(), len(set(self.digests()) - set(wanted))
        resumed = self.run()
        found = self.digests()
        differing = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        return Kill(reached, step, left, resumed, tuple(differing))

    def _last_step(self) -> str:
        entries = read_ledger(Layer(self.work / "LayerNr_1").ledger).entries.values()
        last = max(entries, key=lambda entry: entry.number, default=None)
        if last is None:
            return "before the first step"
        return f"behind {last.step}" if last.state == COMPLETE else f"in {last.step}"


def _content(path: Path) -> bytes:
    """What of a file is the same for every run."""
    content = path.read_bytes()
    return _OF_RECORD.sub(b"", content) if path.suffix == ".html" else content


def _used(pid: int) -> float:
    """CPU seconds of a process so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def trials(folder: Path, scan: TinyScan, count: int, seed: int, how: signal.Signals) -> tuple[Finished, list[Kill]]:
    """An undisturbed run, and so many that are killed at moments spread over its CPU time at random."""
    harness, random_moment = Harness(folder, scan), random.Random(seed)
    harness.run()  # once for the caches of the interpreter and of the file system
    harness.clear()
    whole = harness.run()
    if whole.code:
        raise SystemExit(f"the undisturbed run failed:\n{whole.said}")
    wanted, kills = harness.digests(), []
    for number in range(count):
        kill = harness.trial(random_moment.uniform(0.0, whole.seconds), how, wanted)
        kills.append(kill)
        print(_row(number + 1, kill), flush=True)
        if not kill.same:
            print(f"     differing: {', '.join(kill.differing)}\n{kill.resumed.said}", flush=True)
    return whole, kills


def _row(number: int, kill: Kill) -> str:
    when = f"{kill.after:6.2f} s" if kill.after >= 0 else "it ended"
    verdict = "same bytes" if kill.same else f"code {kill.resumed.code}, {len(kill.differing)} files differ"
    return f"{number:4d}  {when}  {kill.step:<28} resumed with {kill.resumed.seconds:5.2f} s  {verdict}"


def reason(kills: Sequence[Kill]) -> str:
    """What is wrong; empty if nothing is: all results are as they must be, and something was killed at all."""
    if differing := sum(not kill.same for kill in kills):
        return f"{differing} resumed runs were wrong"
    return "" if any(kill.after >= 0 for kill in kills) else "nothing was killed: every run had ended before"


def summary(whole: Finished, kills: Sequence[Kill]) -> str:
    """What all kills together show."""
    same = sum(kill.same for kill in kills)
    spent = [kill.resumed.seconds for kill in kills]
    mean, behind = sum(spent) / len(spent), [k for k in kills if k.after > whole.seconds / 2]
    lines = [f"{same} of {len(kills)} resumed runs gave the bytes of the undisturbed one"]
    lines.append(f"CPU seconds: rerun {whole.seconds:.2f}, resume {mean:.2f} on average ({mean / whole.seconds:.0%})")
    if behind:
        late = sum(kill.resumed.seconds for kill in behind) / len(behind)
        lines.append(f"killed in the second half: resume {late:.2f} ({late / whole.seconds:.0%})")
    return "\n".join(lines)


def main() -> int:
    """The harness as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT"), default="KILL")
    parser.add_argument("--folder", type=Path, help="for scan and results; by default a temporary one")
    parser.add_argument("--side", type=int, default=256, help="pixels of a frame along each side")
    parser.add_argument("--step", type=float, default=1.0, help="degrees of omega of each frame")
    values = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(values.folder or temporary)
        (folder / "scan").mkdir(parents=True, exist_ok=True)
        scan = make(folder / "scan", values.side, values.step)
        whole, kills = trials(folder, scan, values.count, values.seed, signal.Signals[f"SIG{values.signal}"])
    print(summary(whole, kills), reason(kills), sep="\n")
    return 1 if reason(kills) else 0


if __name__ == "__main__":
    sys.exit(main())
