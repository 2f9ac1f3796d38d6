"""Commands as processes: interrupts, pipes, locales, names of any kind.

See docs/theory/conventions.md#rules-for-every-program.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from midas.commands.program import GO_ON
from midas.simulation import samples

from .contents import Contents
from .harness import ARCHIVE, BY_NAME, FRAMES, INDEXED, PARAMETERS, REFINED, prepare

#: folder, name, arguments
Command = tuple[str | Path, ...]


def command_line(name: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "midas", name, *map(str, arguments)]


# Interrupts


DEFAULT_SIGNALS = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def interrupted(
    command: list[str], cwd: Path, started: Path, environment: dict[str, str], by: signal.Signals = signal.SIGINT
) -> subprocess.Popen[str]:
    """Run, wait until a file of the name or pattern `started` is there, send a signal; the finished process."""
    # Tests that run in the background inherit ignored signals, which the command would rightly go on ignoring.
    command = [sys.executable, "-c", DEFAULT_SIGNALS, *command]
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not any(started.parent.glob(started.name)):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "it never began to write"
        time.sleep(0.01)
    process.send_signal(by)
    process.wait(timeout=60)
    return process


def check_interrupted(
    process: subprocess.Popen[str], name: str, folder: Path, *outputs: str, code: int = 130, said: str = "interrupted"
) -> None:
    assert process.stderr is not None
    assert (process.returncode, process.stderr.read()) == (code, f"{name}: {said}\n")
    assert not list(folder.rglob("*.part"))
    for output in outputs:
        assert not (folder / output).exists()


IN_AN_IMPORT = """
import os, signal, sys
from midas.commands.signals import SIGNALS
sys.argv = ["/usr/bin/ff-bin"]
SIGNALS.listen()
if {raising}:
    SIGNALS.start_raising()
try:
    import slow
except BaseException as error:
    print("in the import", repr(error))
try:
    import time
    time.sleep(5)
except KeyboardInterrupt:
    print("after the import", slow.done)
"""
SLOW = "import os, signal; os.kill(os.getpid(), signal.SIGINT); done = sum(range(100))"


@pytest.mark.parametrize(
    ("raising", "expected"),
    [(False, (130, "", "ff-bin: interrupted\n")), (True, (0, "after the import 4950\n", ""))],
)
def test_interrupted_in_an_import(raising: bool, expected: tuple[int, str, str], tmp_path: Path) -> None:
    """At the start the process ends at once; later the import comes to its end first."""
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "-c", DEFAULT_SIGNALS, sys.executable, "-c", IN_AN_IMPORT.format(raising=raising)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == expected


@pytest.mark.parametrize(("name", "outputs"), [("IndexerOMP", INDEXED), ("FitPosOrStrainsOMP", REFINED)])
def test_interrupted_among_many_seeds(
    name: str, outputs: tuple[str, ...], pristine: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Ctrl-C ends a long run at once, and nothing is left that looks like its result."""
    repeats, program = 20000, BY_NAME[name]
    folder = prepare(program, pristine, tmp_path / "layer")
    seeds = folder / "SpotsToIndex.csv"
    seeds.write_bytes(seeds.read_bytes() * repeats)
    if name == "FitPosOrStrainsOMP":
        for file in INDEXED:
            content = (folder / file).read_bytes()
            with open(folder / file, "wb") as stream:
                for _ in range(repeats if "Full" not in file else 2000):
                    stream.write(content)
        seeds.write_bytes(seeds.read_bytes()[: 2000 * len((pristine / "SpotsToIndex.csv").read_bytes())])
        repeats = 2000
    started = folder / (f"{INDEXED[0] if name == 'IndexerOMP' else REFINED[-1]}.unfinished")
    command = command_line(name, "paramstest.txt", "0", "1", str(3 * repeats), "1")
    process = interrupted(command, folder, started, environment)
    check_interrupted(process, name, folder, *outputs, said=f"interrupted; {GO_ON}")


@pytest.mark.parametrize(
    ("by", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_interrupted_simulation(
    by: signal.Signals, code: int, said: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Ctrl-C, the scheduler of a cluster, a closed terminal."""
    samples.write("demo", tmp_path, NrPixels=1024, BC=(512, 512))
    command = command_line("ForwardSimulationCompressed", PARAMETERS, "1")
    archive = tmp_path / "sim.analysis.MIDAS.zip"
    process = interrupted(command, tmp_path, archive.with_name(archive.name + ".*.part"), environment, by)
    check_interrupted(process, "ForwardSimulationCompressed", tmp_path, archive.name, code=code, said=said)


def test_interrupted_peak_search(tmp_path: Path, pristine: Path, environment: dict[str, str]) -> None:
    """What a frame has is complete; a frame that was not searched has nothing."""
    program = BY_NAME["PeaksFittingOMPZarrRefactor"]
    folder = prepare(program, pristine, tmp_path / "layer")
    contents = Contents(folder / ARCHIVE)
    count = 6000
    for frame in range(FRAMES, count):
        contents.members[f"exchange/data/{frame}.0.0"] = contents.members[f"exchange/data/{frame % FRAMES}.0.0"]
    contents.describe("exchange/data", shape=[count, 256, 256])
    contents.save()
    started = folder / "Temp" / f"{ARCHIVE}_000001_PS.csv"
    process = interrupted(command_line(program.name, ARCHIVE, "0", "1", "2"), folder, started, environment)
    check_interrupted(process, program.name, folder)
    found = sorted((folder / "Temp").iterdir())
    assert 0 < len(found) < 2 * count
    for path in found:
        assert path.read_bytes() == b"" or path.suffix == ".bin" or path.read_bytes().endswith(b"\n")


# Streams


@pytest.mark.parametrize("name", ["GetHKLListZarr", "IndexerOMP", "ProcessGrainsZarr"])
@pytest.mark.parametrize("stdout", ["left", "closed", "full"])
def test_standard_output_that_cannot_be_written(
    name: str, stdout: str, pristine: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The results are files: they are written whoever reads the log. Only a full disk is an error."""
    program = BY_NAME[name]
    folder = prepare(program, pristine, tmp_path / "layer")
    command = command_line(name, *program.arguments)
    if stdout == "closed":
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    elif stdout == "full":
        command = ["sh", "-c", 'exec "$@" >/dev/full', "sh", *command]
    # Unbuffered: every line meets the closed pipe, not only the last flush.
    environment = {**environment, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.wait(timeout=60)
    if stdout == "full":
        assert (process.returncode, errors) == (1, f"{name}: standard output: No space left on device\n")
    else:
        assert (process.returncode, errors) == (0, "")
    for output in program.outputs:
        assert (folder / output).stat().st_size


def test_help_into_a_closed_pipe(tmp_path: Path, environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        command_line("ff-midas", "--help"),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0


# Names and locales

NAMES = {
    "blanks": b"a folder  with blanks",
    "letters": "Ergebnisse für Größe 日本 µ".encode(),
    "no UTF-8": b"r\xe9sultats",
    "quotes": b'it\'s "$HOME" & 1; %d {0}',
    "long": b"d" * 200 + b"/" + b"e" * 200,
    "dash": b"-r",
}
LOCALES: dict[str, dict[str, str]] = {
    "as it is": {},
    "C": {"LC_ALL": "C"},
    "unset": {"LANG": "", "LC_ALL": ""},
    "ASCII only": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Latin": {"PYTHONIOENCODING": "latin-1"},
}
CASES = [(name, "as it is") for name in NAMES] + [("letters", name) for name in LOCALES] + [("no UTF-8", "ASCII only")]

QUICK = [("letters", "as it is"), ("no UTF-8", "ASCII only")]

#: plain ASCII, where no process has to encode anything: the commands run in this one
PLAIN = {kind for kind, name in NAMES.items() if name.isascii()}


#: commands that follow each other in one process, which decodes its arguments as each of them would: "+" ends one
SEVERAL = """
import os, sys
from midas.commands.run import run
from midas.runtime import streams
streams.prepare()
words = iter(sys.argv[1:])
for folder in words:
    os.chdir(folder)
    code = run(next(words), list(iter(words.__next__, "+")))
    if code:
        sys.exit(code)
"""


@pytest.fixture
def said(
    kind: str, language: str, environment: dict[str, str], in_process: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., str]:  # fmt: skip
    """``said((folder, "ff-merge", "scan.MIDAS.zip"), ...)``: what commands that must succeed write to stdout.

    A single one is the whole process, several share one.
    """

    def here(*commands: Command) -> str:
        codes, (out, err) = [in_process(*command, cwd=cwd) for cwd, *command in commands], capfd.readouterr()
        assert not any(codes), err
        assert commands[0][1] == "ff-midas" or err == ""
        return out

    def process(*commands: Command) -> str:
        words = [str(word) for command in commands for word in (*command, "+")]
        line = command_line(*commands[0][1:]) if len(commands) == 1 else [sys.executable, "-P", "-c", SEVERAL, *words]
        variables = {**environment, **LOCALES[language]}
        result = subprocess.run(line, cwd=commands[0][0], env=variables, capture_output=True, timeout=60, check=False)
        assert result.returncode == 0, result.stderr.decode("latin-1")
        assert commands[0][1] == "ff-midas" or result.stderr == b""
        return os.fsdecode(result.stdout)

    return here if kind in PLAIN else process


@pytest.mark.parametrize(
    ("kind", "language"),
    [pytest.param(*case, marks=[] if case in QUICK else pytest.mark.slow) for case in dict.fromkeys(CASES)],
)
def test_any_name_in_any_locale(
    kind: str,
    language: str,
    pristine: Path,
    tmp_path: Path,
    said: Callable[..., str],
) -> None:
    """The whole pipeline, and each command on its own, in folders with names of every kind."""
    folder = tmp_path / os.fsdecode(NAMES[kind])
    folder.mkdir(parents=True)
    parameters, archive = (folder / f"{folder.name[:40]} {name}" for name in (PARAMETERS, ARCHIVE))
    shutil.copy(pristine / PARAMETERS, parameters)
    with open(parameters, "ab") as stream:
        stream.write(b"\n# Gr\xf6\xdfe\nResultFolder " + os.fsencode(folder) + b"\n")
    shutil.copy(pristine / ARCHIVE, archive)
    layer = folder / "LayerNr_1"
    files = ("-paramFN", f"./{parameters.name}", "-dataFN", f"./{archive.name}")
    said((folder, "ff-midas", *files, "-convertFiles", "0", "-nCPUs", "1"))
    first = {path.name: path.read_bytes() for path in layer.iterdir() if path.suffix in (".csv", ".txt")}
    assert len(first) > 10
    copied = layer / archive.name
    block = ("paramstest.txt", "0", "1", "3", "1")
    raw = folder / f"raw {folder.name[:40]}.h5"
    shutil.copy(pristine / "raw.h5", raw)
    printed = said(
        (folder, "GetHKLListZarr", copied), (folder, "MergeOverlappingPeaksAllZarr", copied),
        (folder, "CalcRadiusAllZarr", copied), (folder, "FitSetupZarr", copied), (layer, "SaveBinData"),
        (layer, "IndexerOMP", *block), (layer, "FitPosOrStrainsOMP", *block),
        (layer, "ProcessGrainsZarr", f"./{archive.name}"),
        (folder, "ff-convert", "-resultFolder", folder, "-paramFN", parameters, "-dataFN", f"./{raw.name}"),
    )  # fmt: skip
    assert {name: (layer / name).read_bytes() for name in first} == first
    converted = folder / f"raw {folder.name[:40]}_000001.MIDAS.zip"
    assert converted.is_file()
    if language != "Latin":  # which has no letters for this name
        assert printed.rstrip("\n").rpartition("OutputZipName: ")[2] == str(converted)


def test_a_path_that_is_too_long(pristine: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    program = BY_NAME["GetHKLList"]
    folder = prepare(program, pristine, tmp_path / "layer")
    for path in ("x" * 300, "/".join(["y" * 200] * 30)):
        result = subprocess.run(
            command_line(program.name, path), cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert "File name too long" in result.stderr
