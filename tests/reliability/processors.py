"""The same scan on processors with other instructions: every file must be the same to the byte.

The C library, NumPy and OpenBLAS choose their routines by what the processor can do, and can be told that it can less;
kernels can be compiled for one processor. The program runs the driver and the commands behind it with each of these and
compares every file with those of the ordinary run.

``python -m tests.reliability.processors [NAME ...] [--march x86-64-v3 ...]``
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests import tiny_scan

ROOT = Path(__file__).resolve().parents[2]

#: what each processor is told that it cannot do
PROCESSORS: dict[str, dict[str, str]] = {
    "ordinary": {},
    "C library without FMA": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"},
    "NumPy without AVX512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL"},
    "NumPy without AVX2": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL"},
    "OpenBLAS for Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "OpenBLAS for Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "OpenBLAS for Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "OpenBLAS for Zen": {"OPENBLAS_CORETYPE": "Zen"},
    "all of 2008": {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}
COMMANDS = (
    ("ff-midas", ["-paramFN", "ps.txt", "-dataFN", "scan_000001.h5"]),
    ("ff-geometry", ["LayerNr_1", "-certificate", "0", "-refine", "Lsd,BC,tx,ty,tz"]),
    ("ff-stress", ["LayerNr_1", "-material", "nickel"]),
    ("ff-export", ["LayerNr_1"]),
    ("ff-track", ["LayerNr_1", "LayerNr_1"]),
    ("ff-compare", ["LayerNr_1/Grains.csv", "LayerNr_1/Grains.csv", "-page", "compared.html"]),
)
#: all in one process; first, which digits the C library, NumPy and OpenBLAS have here
PROGRAM = """
import midas.commands.entry  # what it sets comes before NumPy
import hashlib, math
import numpy
x = numpy.arange(1, 40001) / 1997.0
a = (x[:3600].reshape(60, 60) * 7919.0) % 1.0
for values in (numpy.array([math.exp(-v) for v in x]), numpy.sin(x) + numpy.exp(-x), a @ a.T):
    print(hashlib.sha256(values.tobytes()).hexdigest()[:8])
from midas.commands.run import run
for words in {commands!r}:
    assert run(*words) == 0, words
"""
MASKABLE = ("exp of the C library", "sin and exp of NumPy", "product of matrices")


def run(
    scan: tiny_scan.TinyScan,
    folder: Path,
    processor: Mapping[str, str],
    *,
    commands: object = COMMANDS,
    tree: Path = ROOT,
) -> tuple[list[str], dict[str, str]]:
    """Run the commands in a folder of always the same name: digits of the libraries, digests of all files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(scan.parameters, folder / "ps.txt")
    (folder / "scan_000001.h5").symlink_to(scan.raw)
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONPATH": str(tree)} | dict(processor)
    command = [sys.executable, "-P", "-c", PROGRAM.format(commands=commands)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr or done.stdout)
    return done.stdout.splitlines()[: len(MASKABLE)], digests(folder)


def digests(folder: Path) -> dict[str, str]:
    """What every file holds, without the logs, which say how long everything took."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"midas_log", "output"} & set(path.relative_to(folder).parts)
    }


def changed(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Files that differ, or that only one run has."""
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def built_for(march: str, folder: Path) -> Path:
    """A copy of the package whose kernels are compiled for one processor."""
    for name in ("midas", "setup.py", "pyproject.toml", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    environment = os.environ | {"CFLAGS": f"-march={march}"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder


def table(names: Iterable[str], marches: Iterable[str], keep: Path | None = None) -> int:
    """Print what differs on each processor; the number of processors on which something does."""
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "scan"
        made.mkdir()
        scan = tiny_scan.make(made)
        cases = [(name, PROCESSORS[name], ROOT) for name in ("ordinary", *names)]
        cases += [(f"kernels for {march}", {}, built_for(march, Path(temporary) / march)) for march in marches]
        libraries, files = [], {}
        for name, processor, tree in cases:
            digits, found = run(scan, Path(temporary) / "run", processor, tree=tree)
            if keep is not None:
                shutil.copytree(Path(temporary) / "run", keep / name.replace(" ", "_"), symlinks=True)
            if not files:
                libraries, files = digits, found
            others = ", ".join(what for what, a, b in zip(MASKABLE, libraries, digits, strict=True) if a != b)
            differences = changed(files, found)
            bad += bool(differences)
            print(f"{name}: {len(differences)} of {len(found)} differ {differences or ''}; other: {others or '-'}")
            sys.stdout.flush()
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(list(PROCESSORS)[1:])}; all by default"
    )
    parser.add_argument("--march", nargs="*", default=[], help="kernels compiled for these processors as well")
    parser.add_argument("--keep", type=Path, help="folder to keep the results in")
    arguments = parser.parse_args()
    return int(table(arguments.names or list(PROCESSORS)[1:], arguments.march, arguments.keep) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
