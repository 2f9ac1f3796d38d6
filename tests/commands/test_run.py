"""Every command: help, version, wrong command lines, and errors in one line."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from midas.commands.names import MODULES, program
from midas.commands.program import parse
from midas.commands.run import run
from midas.runtime.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(run_command: Call, tmp_path: Path) -> Call:
    """A command as a process of its own, by default in the test's own folder."""

    def run(name: str, *arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return run_command(name, *arguments, cwd=cwd)

    return run


@pytest.fixture
def call_here(in_process: Callable[..., int], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """The same in this process, where the message is the point; that errors end a process is shown by others."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = in_process(name, *arguments, cwd=tmp_path)
        return subprocess.CompletedProcess([name, *arguments], code, *capfd.readouterr())

    return run


@pytest.mark.parametrize("name", sorted(MODULES))
def test_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(name, ["--help"])
    assert stop.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: {name}")
    assert "\nexamples:\n" in out
    does, uses = re.split(r"\n(?:positional|options)", out)[0].split("\n\n")[1:3]
    assert len(does) > 60 and len(uses) > 60  # two paragraphs
    assert err == ""


def test_every_name_is_a_console_script() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.scripts]")[2].partition("\n[")[0]
    scripts = re.findall(r'^"?([\w.-]+)"? = "midas\.commands\.entry:main"$', section, re.M)
    assert sorted(scripts) == sorted(MODULES)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, midas.commands.run; print([m for m in ('numpy', 'mpi4py', 'h5py', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def one_line(result: subprocess.CompletedProcess[str], name: str) -> str:
    assert result.stderr.startswith(f"{name}: ")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


NEED_ARGUMENTS = [name for name in MODULES if any(argument.required for argument in program(name).arguments)]


@pytest.mark.parametrize("name", NEED_ARGUMENTS)
def test_no_arguments_is_a_usage_error(name: str, call: Call) -> None:
    result = call(name)
    assert result.returncode == 2
    assert "required" in one_line(result, name)


@pytest.mark.parametrize("name", ["PeaksFittingOMPZarrRefactor", "IndexerOMP", "FitPosOrStrainsOMP"])
def test_legacy_names_insist_on_legacy_arguments(name: str, call: Call) -> None:
    result = call(name, "file", "0", "1")
    assert result.returncode == 2
    assert "nCPUs" in one_line(result, name)


@pytest.mark.parametrize("name", ["IndexerOMP", "FitPosOrStrainsOMP"])
def test_exact_commands_refuse_surplus_arguments(name: str, call: Call) -> None:
    result = call(name, "paramstest.txt", "0", "1", "18", "2", "surplus")
    assert result.returncode == 2
    assert "surplus" in one_line(result, name)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["p", "x", "1", "18", "2"], "blockNr"),
        (["p", "0", "1", "18", "0"], "nCPUs: 0: must be at least 1"),
        (["p", "2", "2", "18", "1"], "blockNr: 2: must lie in 0 ... 1"),
        (["p", "0", "0", "18", "1"], "nBlocks: 0: must be at least 1"),
    ],
)
def test_bad_numbers(arguments: list[str], reason: str, call: Call) -> None:
    result = call("IndexerOMP", *arguments)
    assert result.returncode == 2
    assert reason in one_line(result, "IndexerOMP")


ARCHIVE_COMMANDS = {
    "ff-hkls": [],
    "ff-peaks": [],
    "ff-merge": [],
    "ff-radius": [],
    "ff-setup": [],
    "ff-grains": [],
    "GetHKLListZarr": [],
    "PeaksFittingOMPZarrRefactor": ["0", "1", "2"],
    "MergeOverlappingPeaksAllZarr": [],
    "CalcRadiusAllZarr": [],
    "FitSetupZarr": [],
    "ProcessGrainsZarr": [],
}


@pytest.mark.parametrize("name", ARCHIVE_COMMANDS)
@pytest.mark.parametrize("kind", ["missing", "empty", "truncated", "foreign"])
def test_bad_archives(tmp_path: Path, name: str, kind: str, call_here: Call) -> None:
    path = tmp_path / "scan.MIDAS.zip"
    if kind == "empty":
        path.touch()
    elif kind == "truncated":
        path.write_bytes(b"PK\x03\x04" + bytes(200))
    elif kind == "foreign":
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hello.txt", "no Zarr in here")
    before = sorted(tmp_path.iterdir())
    result = call_here(name, str(path), *ARCHIVE_COMMANDS[name])
    assert result.returncode == (3 if "eaks" in name.lower()[:8] else 1), result.stderr
    assert "scan.MIDAS.zip" in one_line(result, name)
    assert sorted(tmp_path.iterdir()) == before


TEXT_COMMANDS = {
    "GetHKLList": [],
    "ff-index": [],
    "ff-refine": [],
    "ff-simulate": [],
    "ProcessGrains": [],
    "IndexerOMP": ["0", "1", "18", "2"],
    "FitPosOrStrainsOMP": ["0", "1", "18", "2"],
    "ForwardSimulationCompressed": ["2"],
}


@pytest.mark.parametrize("name", TEXT_COMMANDS)
@pytest.mark.parametrize("kind", ["missing", "empty", "binary", "bad number"])
def test_bad_parameter_files(tmp_path: Path, name: str, kind: str, call_here: Call) -> None:
    path = tmp_path / "ps.txt"
    content = {"empty": b"", "binary": bytes(range(256)), "bad number": b"Lsd 1\nWavelength zero\n"}.get(kind)
    if content is not None:
        path.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    result = call_here(name, "ps.txt", *TEXT_COMMANDS[name])
    assert result.returncode == 1, result.stderr
    one_line(result, name)
    assert sorted(tmp_path.iterdir()) == before


def test_surplus_arguments_are_collected() -> None:
    values = parse(program("ff-merge"), "ff-merge", ["a.zip", "folder", "more"])
    assert (values.archive, values.result_folder, values.surplus) == ("a.zip", "folder", ["more"])
    with pytest.raises(UsageError):
        parse(program("ff-merge"), "ff-merge", ["a.zip", "--no-such-option"])


def test_short_names_share_the_work_without_block_arguments() -> None:
    values = parse(program("ff-index"), "ff-index", ["paramstest.txt"])
    assert isinstance(values, argparse.Namespace)
    assert values.blockNr is None
    assert values.nCPUs is None


def test_unwritable_folder(tmp_path: Path, call: Call) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "ps.txt").write_text(
        "SpaceGroup 225\nLatticeParameter 4 4 4 90 90 90\nWavelength 0.2\nLsd 1e6\nRhoD 2e5\n"
    )
    result = call("ff-hkls", "ps.txt", "file/folder", cwd=tmp_path)  # not even root can make a folder in a file
    assert result.returncode == 1
    assert "file/folder" in one_line(result, "ff-hkls")


def test_unknown_name(call: Call) -> None:
    result = call("NoSuchProgram")
    assert result.returncode == 2
    assert "no command is called NoSuchProgram" in result.stderr


def test_without_a_name(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-P", "-m", "midas"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("midas: name a command: ") and result.stderr.count("\n") == 1


@pytest.mark.parametrize(("words", "code"), [(("--version",), 0), (("--nonsense",), 2), (("none.zip",), 1)])
def test_the_interpreter_is_not_taken_apart_at_the_end(
    words: tuple[str, ...], code: int, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Python handles no signal while it does so; what is registered for the end is done all the same."""
    program = f"""
import atexit, sys
class Apart:
    def __del__(self): print("taken apart")
apart = Apart()
atexit.register(print, "tidied")
sys.argv = ["ff-hkls", *{words!r}]
from midas.commands.run import main
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (code, "tidied")
