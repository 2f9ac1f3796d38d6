"""The loop: inputs in forked workers, each with a deadline and a limit of memory, and what was found.

A target is a function ``run(data, folder)`` that may return or raise a `MidasError` of one line. Everything else is a
finding: another exception, a warning, a crash, a hang, memory beyond the limit, a file left open. An input follows from
the seed and its number alone, so that each can be made again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import json
import logging
import mmap
import os
import pkgutil
import random
import resource
import shutil
import signal
import struct
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from midas.runtime import apart
from midas.runtime.errors import MidasError

from .findings import Finding, Outcome

CORPUS = Path(__file__).parent / "corpus"
#: seconds of the processor's time after which an input hangs; and of the clock, on a machine that has other work
DEADLINE, PATIENCE = 5.0, 300.0
#: bytes that an input may take beyond twice its size
MEMORY = 500 << 20
#: inputs of one worker, which is then replaced; and after how many it looks for files left open
BATCH, LOOKED_AFTER = 2_000, 200
_PROGRESS = struct.Struct("<qqqd")

#: from an input, its name in the corpus and a source of random numbers to a mutated one
Mutate = Callable[[bytes, str, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """What is tried.

    Parameters
    ----------
    name : on the command line
    run : ``run(data, folder)``, in an empty folder
    corpus : makes the inputs that are mutated, by name
    mutate : see `Mutate`
    prepare : called once in each worker, before the limits: imports, fixtures
    contained : whether a library works in processes of its own, whose crashes are no harm. Here it works in the worker
        itself, because that is ten times as fast, and an input with which the worker dies is tried again as it is used
    """

    name: str
    run: Callable[[bytes, Path], object]
    corpus: Callable[[], Mapping[str, bytes]]
    mutate: Mutate
    prepare: Callable[[], object] = lambda: None
    contained: bool = False


@cache
def targets() -> dict[str, Target]:
    """Every target of the modules in ``targets/``."""
    package = importlib.import_module(f"{__package__}.targets")
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    return {target.name: target for module in modules for target in getattr(module, "TARGETS", ())}


def made(target: Target, corpus: Mapping[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """Input `number`: the first ones are the corpus itself, unchanged."""
    names = list(corpus)
    if number < len(names):
        return names[number], corpus[names[number]]
    source = random.Random(f"{seed} {number}")
    name = source.choice(names)
    return name, target.mutate(corpus[name], name, source)


def fuzz(
    target: Target, count: int, seed: int = 1, jobs: int = 1, first: int = 0, say: Callable[[str], object] | None = None
) -> Outcome:
    """Run inputs `first` to `count`, and gather what they do."""
    corpus = dict(target.corpus())
    begun = time.monotonic()
    outcome = Outcome()
    waiting = [(start, min(start + BATCH, count)) for start in range(first, count, BATCH)][::-1]
    running: list[_Worker] = []
    told = begun
    with tempfile.TemporaryDirectory(prefix="midas-fuzz-", dir=_memory_folder()) as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_Worker(target, corpus, seed, waiting.pop(), Path(folder)))
            time.sleep(0.005)
            for worker in list(running):
                if worker.over():
                    running.remove(worker)
                    if rest := worker.collect(outcome):
                        waiting.append(rest)
            if say is not None and time.monotonic() - told > 30:
                told = time.monotonic()
                say(f"{target.name}: {outcome.inputs} of {count}, {len(outcome.distinct())} kinds of findings")
    outcome.seconds = time.monotonic() - begun
    return outcome


def check(target: Target, inputs: Mapping[str, bytes]) -> list[Finding]:
    """Run inputs as they are, in one worker (and another one after a crash)."""
    names = list(inputs)
    alone = replace(target, corpus=lambda: inputs, mutate=lambda data, name, source: data, contained=False)
    found = fuzz(alone, len(names)).findings
    return [Finding(-1, f.kind, f.text, f.place, names[f.number] if f.number >= 0 else f.name) for f in found]


def kept(name: str) -> dict[str, bytes]:
    """The inputs that were findings once, by file name."""
    folder = CORPUS / name.replace(":", "_")
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}


def keep(target: Target, outcome: Outcome, seed: int, folder: Path) -> list[Path]:
    """Write the first input of each kind of finding."""
    corpus = dict(target.corpus())
    saved = []
    for signature, (finding, _) in outcome.distinct().items():
        if finding.number >= 0:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{finding.kind}-{signature}"
            path.write_bytes(made(target, corpus, seed, finding.number)[1])
            saved.append(path)
    return saved


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class _Worker:
    """A forked process that runs some inputs, and tells by shared memory which one it is at."""

    def __init__(
        self,
        target: Target,
        corpus: Mapping[str, bytes],
        seed: int,
        part: tuple[int, int],
        folder: Path,
    ) -> None:
        self._part, self._again = part, (target, corpus, seed, folder)
        self._deadline = DEADLINE / 4 if target.contained else DEADLINE
        self._shared = mmap.mmap(-1, _PROGRESS.size)
        self._shared[:] = _PROGRESS.pack(part[0], 0, 0, 0.0)
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._status: int | None = None
        self._hanging = False
        self._pid = os.fork()
        if self._pid == 0:
            code = 70
            try:
                _work(target, corpus, seed, part, self._folder, self._shared)
                code = 0
            except BaseException:
                (self._folder / "broken").write_text(traceback.format_exc())
            finally:
                os._exit(code)
        self._seen = (-1, 0.0, 0.0)

    def over(self) -> bool:
        """Whether the process has ended; one that hangs is ended."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._status = status
            return True
        number = _PROGRESS.unpack(self._shared)[0]
        now, used = time.monotonic(), _processor_time(self._pid)
        if number != self._seen[0]:
            self._seen = (number, now, used)
        elif used - self._seen[2] > self._deadline or now - self._seen[1] > PATIENCE:
            self._hanging = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGABRT)  # faulthandler says where
                time.sleep(0.2)
                os.kill(self._pid, signal.SIGKILL)
            self._status = os.waitpid(self._pid, 0)[1]
            return True
        return False

    def collect(self, outcome: Outcome) -> tuple[int, int] | None:
        """Add what it found; the inputs that are left, if it died."""
        number, accepted, slow, seconds = _PROGRESS.unpack(self._shared)
        broken = self._folder / "broken"
        if broken.exists():
            raise RuntimeError(f"the harness itself fails: {broken.read_text()}")
        log = self._folder / "findings"
        lines = log.read_text().splitlines() if log.exists() else []
        outcome.findings += [Finding(**json.loads(line)) for line in lines]
        outcome.accepted += accepted
        outcome.slowest = max(outcome.slowest, (seconds, slow))
        outcome.inputs += number - self._part[0]
        rest = None
        if self._status or number < self._part[1]:  # some libraries end a process as if nothing was wrong
            outcome.inputs += 1
            if not self._is_contained(number, outcome):
                where = _last_place(self._folder / "faults")
                kind = "hang" if self._hanging else "crash"
                outcome.findings.append(Finding(number, kind, _signal_name(self._status), where))
            rest = (number + 1, self._part[1]) if number + 1 < self._part[1] else None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._shared.close()
        return rest

    def _is_contained(self, number: int, outcome: Outcome) -> bool:
        """Whether the input is refused where the library works in a process of its own."""
        target, corpus, seed, folder = self._again
        if not target.contained:
            return False
        worker = _Worker(replace(target, contained=False), corpus, seed, (number, number + 1), folder)
        while not worker.over():
            time.sleep(0.01)
        alone = Outcome()
        worker.collect(alone)
        outcome.contained += not alone.findings
        outcome.findings += alone.findings
        return True


def _work(
    target: Target,
    corpus: Mapping[str, bytes],
    seed: int,
    part: tuple[int, int],
    folder: Path,
    shared: mmap.mmap,
) -> None:
    """The loop in the worker."""
    target.prepare()
    apart._apart = target.contained
    _limits(folder, max(map(len, corpus.values()), default=0))
    inputs = folder / "inputs"
    inputs.mkdir()
    accepted, slow, longest, files = 0, -1, 0.0, -1
    with open(folder / "findings", "w") as log:
        for number in range(*part):
            shared[:] = _PROGRESS.pack(number, accepted, slow, longest)
            name, data = made(target, corpus, seed, number)
            begun = time.process_time()
            finding = _tried(target, data, inputs, number, name)
            if (spent := time.process_time() - begun) > longest:
                slow, longest = number, spent
            accepted += finding is None
            if isinstance(finding, Finding):
                log.write(json.dumps(finding.__dict__) + "\n")
                log.flush()
            _cleared(inputs)
            if number % LOOKED_AFTER == LOOKED_AFTER - 1:
                gc.collect()
                now = len(os.listdir("/proc/self/fd"))
                if 0 <= files < now - 1:
                    log.write(json.dumps(Finding(number, "open", f"{now - files} files", "", name).__dict__) + "\n")
                files = now
        shared[:] = _PROGRESS.pack(part[1], accepted, slow, longest)


def _tried(target: Target, data: bytes, folder: Path, number: int, name: str) -> Finding | bool | None:
    """None if the input is accepted, True if it is refused as it should be, else the finding."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        target.run(data, folder)
        result: Finding | bool | None = None
    except MidasError as error:
        result = _judged(error, number, name)
    except BaseException as error:
        kind = "memory" if _out_of_memory(error) else "exception"
        text = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
        return Finding(number, kind, text[:500], _place(error), name)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if grown > 2 * len(data) + MEMORY // 2:
        return Finding(number, "memory", f"{grown >> 20} MiB for {len(data)} bytes", "", name)
    return result


def _judged(error: MidasError, number: int, name: str) -> Finding | bool:
    """Whether a message of ours is one line of text, and has not come from memory that was not there."""
    if _out_of_memory(error):
        return Finding(number, "memory", str(error)[:500], _place(error), name)
    if bad := next((line for line in error.lines if not line.isprintable()), None):
        return Finding(number, "lines", repr(bad)[:500], _place(error), name)
    return True


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out somewhere on the way to this exception, also where `from None` hides it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError):
            return True
        error = error.__context__
    return False


def _place(error: BaseException) -> str:
    """The last line of ours, and the last line at all."""
    stack = traceback.extract_tb(error.__traceback__)
    ours = [one for one in stack if "/midas/" in one.filename]
    named = [f"{one.filename.rpartition('/')[2]}:{one.name}" for one in (*ours[-1:], *stack[-1:])]
    return " ".join([type(error).__name__, *dict.fromkeys(named)])


def _limits(folder: Path, size: int) -> None:
    """Everything that is no error is an error; memory is bounded; what is printed goes nowhere."""
    warnings.simplefilter("error")
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    faults = os.open(folder / "faults", os.O_CREAT | os.O_WRONLY, 0o600)
    faulthandler.enable(faults)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    gc.freeze()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * mmap.PAGESIZE + MEMORY + 2 * size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _cleared(folder: Path) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)


def _processor_time(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _signal_name(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit code {os.waitstatus_to_exitcode(status)}"


def _last_place(faults: Path) -> str:
    """Where Python was when the process died, as faulthandler wrote it."""
    lines = faults.read_text(errors="replace").splitlines() if faults.exists() else []
    frames = [line.strip() for line in lines if line.startswith("  File ")]
    ours = next((line for line in frames if "/midas/" in line), "")
    return " ".join(dict.fromkeys(line.rpartition("/")[2] for line in (*frames[:1], ours) if line))
