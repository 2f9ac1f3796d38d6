"""Commands that are killed and run again: ``python -m tests.reliability.stage_kills --count 10 --seed 1``.

Each command of a stage, at random moments, with one process and with ranks of ``mpirun`` of which one is killed, or the
launcher, and the indexing and the refinement also gone on with (``-resume 1``). The rerun must leave the files that an
undisturbed run leaves, to the byte, and of the killed one no process. Then two runs of ``ff-midas`` with different
parameters begin in one folder: one of them has its own results, the other has said who is first.

The table says how many were killed before their end (``--signal TERM``: ended), how many reruns left the same bytes,
and what was wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.reliability.commands import DRIVEN, Command, command_line, hear_signals, lines_of, mpirun, pristine, table
from tests.reliability.interrupts import members
from tests.robustness.harness import BY_NAME, INDEXED, PARAMETERS, prepare, snapshot

#: the commands of the stages, by the names that the tests of damaged input have for them
STAGES = (
    "GetHKLListZarr", "PeaksFittingOMPZarrRefactor", "MergeOverlappingPeaksAllZarr", "CalcRadiusAllZarr",
    "FitSetupZarr", "SaveBinData", "ProcessGrainsZarr", "ff-pull", "ff-report",
)  # fmt: skip
#: commands that put better ones in place of their inputs: the results are those of one run, or of two
_REWRITING = ("ff-pull",)
#: how often the seeds of the layer stand in SpotsToIndex.csv, for stages that would be over too soon
REPEATS = {"IndexerOMP": 400, "FitPosOrStrainsOMP": 150}
#: seconds: a run that takes longer hangs; until the ranks of a killed launcher are gone
_LONGEST, _GRACE = 120.0, 10.0
#: folders and files of what says when a run was made, not what it found
_VOLATILE = ("midas_log/", f"{DRIVEN}/LayerNr_1/midas_log/", f"{DRIVEN}/LayerNr_1/output/", "layer/midas_log/")


@dataclass(frozen=True)
class Killed:
    """One run that was killed and run again.

    Parameters
    ----------
    what : was killed: the process, a rank, or the launcher; "" where the run was over before
    wrong : why this must not be; "" where all is well
    """

    what: str
    wrong: str


def many_seeds(name: str, source: Path, folder: Path) -> None:
    """The inputs of indexing or refinement, with many seeds."""
    prepare(BY_NAME[name], source, folder)
    for file in ("SpotsToIndex.csv", *(INDEXED if name == "FitPosOrStrainsOMP" else ())):
        (folder / file).write_bytes((folder / file).read_bytes() * REPEATS[name])


def _seeded(name: str, *more: str, ranks: int = 0) -> Command:
    """Indexing or refinement of many seeds; ranks and resume belong to the short names."""
    short = {"IndexerOMP": "ff-index", "FitPosOrStrainsOMP": "ff-refine"}[name]
    label = f"{'mpirun ' if ranks else ''}{short}{' -resume 1' if more else ''}"
    words = ("paramstest.txt", *more) if ranks else ("paramstest.txt", "--threads", "2", *more)
    return Command(short, words, partial(many_seeds, name), label, ranks)


def commands() -> list[Command]:
    """All of the table, those with ranks last."""
    known = {command.title: command for command in table()}
    alone = [known[name] for name in STAGES]
    for name in REPEATS:
        alone += [_seeded(name), _seeded(name, "-resume", "1")]
    driver, peaks = known["ff-midas"], known["PeaksFittingOMPZarrRefactor"]
    alone.append(driver)
    if shutil.which(mpirun()[0]) is None:
        return alone
    several = [replace(peaks, name="ff-peaks", arguments=("scan.MIDAS.zip",), label="mpirun ff-peaks", ranks=2)]
    for name in REPEATS:
        several += [_seeded(name, ranks=2), _seeded(name, "-resume", "1", ranks=2)]
    return [*alone, *several, replace(driver, label="mpirun ff-midas", ranks=2)]


class Trials:
    """The runs of one command, all in one folder, since results may hold its name.

    Parameters
    ----------
    folder : which is emptied for each of them
    source : the finished layer
    """

    def __init__(self, command: Command, source: Path, folder: Path):
        self._command, self._source, self._folder = command, source, folder
        started = time.monotonic()
        code, said = self._run()
        self._seconds = time.monotonic() - started
        if code:
            raise RuntimeError(f"{command.title}: exit {code}: {said}")
        self._wanted = [self._results()]
        if command.name in _REWRITING:  # killed behind its end, it finds its own results
            self._again()
            self._wanted.append(self._results())

    def _fill(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._command.fill(self._source, self._folder)

    def _run(self) -> tuple[int, list[str]]:
        """A run that nobody disturbs, from the beginning."""
        self._fill()
        return self._again()

    def _again(self) -> tuple[int, list[str]]:
        process = self._command.start(self._folder)
        try:
            _, errors = process.communicate(timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return 1, ["hangs"]
        return process.returncode, lines_of(errors)

    def _results(self) -> dict[str, str]:
        return {name: state for name, state in snapshot(self._folder).items() if not name.startswith(_VOLATILE)}

    def killed(self, by: signal.Signals, chance: random.Random) -> Killed:
        """Kill a run at a random moment, and run it again."""
        self._fill()
        process = self._command.start(self._folder)
        time.sleep(chance.uniform(0, self._seconds))
        what = self._kill(process, by, chance) if process.poll() is None else ""
        try:
            process.communicate(timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            return Killed(what, "hangs after the kill")
        deadline = time.monotonic() + _GRACE
        while (left := members(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        if left:
            return Killed(what, f"left: {', '.join(left)}")
        code, said = self._again()
        if code:
            return Killed(what, f"rerun: exit {code}: {said}")
        found = self._results()
        differing = [
            sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)) for wanted in self._wanted
        ]
        return Killed(what, f"differ: {', '.join(min(differing, key=len))}" if all(differing) else "")

    def _kill(self, process: subprocess.Popen[bytes], by: signal.Signals, chance: random.Random) -> str:
        """Kill the process, the launcher, or one of its ranks."""
        ranks = self._ranks(process.pid)
        if not ranks or chance.random() < 0.5:
            process.send_signal(by)
            return "launcher" if self._command.ranks else "process"
        with suppress(ProcessLookupError):  # it is over
            os.kill(chance.choice(ranks), by)
        return "rank"

    def _ranks(self, launcher: int) -> list[int]:
        if not self._command.ranks:
            return []
        try:
            children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        except OSError:
            return []
        return [int(child) for child in children]


def two_at_once(source: Path, folder: Path, count: int, chance: random.Random) -> list[str]:
    """Two runs of the driver with different parameters in one folder, so often; what was wrong with each pair."""
    driver = next(command for command in table() if command.title == "ff-midas")
    arguments = [driver.arguments, tuple("other.txt" if word == PARAMETERS else word for word in driver.arguments)]
    several = [replace(driver, arguments=words) for words in arguments]

    def fill(source: Path, folder: Path) -> None:
        driver.fill(source, folder)
        text = (folder / PARAMETERS).read_text()
        (folder / "other.txt").write_text(f"{text}\nCompleteness 0.9\nMinNrSpots 1\nMarginOme 0.9\n")

    wanted = []
    for command in several:
        Trials(replace(command, fill=fill), source, folder)
        wanted.append(_grains(folder))
    found = []
    for _ in range(count):
        shutil.rmtree(folder)
        folder.mkdir()
        fill(source, folder)
        order = chance.sample(range(2), 2)
        first = several[order[0]].start(folder)
        time.sleep(chance.uniform(0, 0.4))
        second = several[order[1]].start(folder)
        ended = [process.communicate(timeout=_LONGEST)[1] for process in (first, second)]
        found.append(_judged([first.returncode, second.returncode], ended, [wanted[k] for k in order], folder))
    return found


def _grains(folder: Path) -> dict[str, str]:
    """What the two runs differ in."""
    layer = f"{DRIVEN}/LayerNr_1/"
    names = (f"{layer}Grains.csv", f"{layer}SpotMatrix.csv", f"{layer}paramstest.txt", f"{layer}Results/Key.bin")
    states = snapshot(folder)
    return {name: states.get(name, "") for name in names}


def _judged(codes: list[int], errors: list[bytes], wanted: list[dict[str, str]], folder: Path) -> str:
    """What is wrong with a pair of runs."""
    if sorted(codes) != [0, 1]:
        return f"exit codes {codes}: {[lines_of(said) for said in errors]}"
    winner, loser = codes.index(0), codes.index(1)
    said = lines_of(errors[loser])
    if len(said) != 1 or "is in use by ff-midas (pid " not in said[0]:
        return f"said {said}"
    return "" if _grains(folder) == wanted[winner] else "results of the other run"


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; 1 if anything was wrong."""
    parser = command_line(__doc__, 10, "kills")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of runs in one folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signal", default="KILL", help="KILL, TERM, INT, HUP")
    asked = parser.parse_args(words)
    hear_signals()
    by, chance = signal.Signals[f"SIG{asked.signal}"], random.Random(asked.seed)
    source, folder = pristine(asked.folder / "layer"), asked.folder / "work"
    print(f"{'command':36} kills  in time   same  wrong", flush=True)
    wrong = 0
    for command in commands():
        if command.title not in (asked.names or [command.title]):
            continue
        trials = Trials(command, source, folder)
        found = [trials.killed(by, chance) for _ in range(asked.count)]
        bad = [one for one in found if one.wrong]
        killed = sum(bool(one.what) for one in found)
        print(f"{command.title:36} {len(found):5d} {killed:8d} {len(found) - len(bad):6d} {len(bad):6d}", flush=True)
        for one in bad:
            print(f"    {one.what} killed: {one.wrong}", flush=True)
        if not killed:
            print("    nothing was killed: every run was over before", flush=True)
        wrong += len(bad) + (not killed)
    if asked.pairs and (not asked.names or "pairs" in asked.names):
        pairs = two_at_once(source, folder, asked.pairs, chance)
        bad_pairs = [reason for reason in pairs if reason]
        label = "two runs of ff-midas in one folder"
        print(f"{label:36} {len(pairs):5d} {'':8} {len(pairs) - len(bad_pairs):6d} {len(bad_pairs):6d}", flush=True)
        for reason in bad_pairs:
            print(f"    {reason}", flush=True)
        wrong += len(bad_pairs)
    shutil.rmtree(folder, ignore_errors=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
