"""Whether two versions of the suite write the same bytes.

    python tests/compare_versions.py OLD/bin/ff-midas NEW/bin/ff-midas [ARCHIVE ...]

runs both on each archive and on the demo, each time in the same folder, and lists the files that differ. Logs, which
hold times, are left out, and so are the bins for legacy programs where only one of the two writes them. The exit code
is the number of differing files, at most 100.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: a matter of `WriteLegacyBins`, whose default has changed
BINS = {"Data.bin", "nData.bin"}
#: folders of a layer whose files hold times and durations
LOGS = {"midas_log", "output"}


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, but for the logs."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not LOGS & set(path.relative_to(folder).parts)
    }


def outputs(program: Path, arguments: list[str], folder: Path) -> dict[str, str]:
    """What a run of the driver in an empty folder leaves there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run([program, *arguments, "-nCPUs", "2"], cwd=folder, check=True, capture_output=True)
    return digests(folder)


def differing(old: Path, new: Path, arguments: list[str], folder: Path) -> list[str]:
    """Files that the two versions write differently, or only one of them writes."""
    before, after = (outputs(program, arguments, folder) for program in (old, new))
    names = sorted(before.keys() | after.keys())
    both = before.keys() & after.keys()
    names = [name for name in names if name in both or Path(name).name not in BINS]
    return [name for name in names if before.get(name) != after.get(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="ff-midas of the one version")
    parser.add_argument("new", type=Path, help="ff-midas of the other")
    parser.add_argument("archives", type=Path, nargs="*", help="scans to analyse; the demo is always compared")
    values = parser.parse_args()
    runs = {"demo": ["demo", "scan"]}
    for archive in values.archives:
        runs[archive.name] = ["-dataFN", str(archive.absolute()), "-convertFiles", "0"]
    count = 0
    with tempfile.TemporaryDirectory() as work:
        for name, arguments in runs.items():
            files = differing(values.old.absolute(), values.new.absolute(), arguments, Path(work) / "run")
            print(f"{name}: {'the same bytes' if not files else f'{len(files)} files differ'}")
            print("".join(f"  {file}\n" for file in files), end="")
            count += len(files)
    return min(count, 100)


if __name__ == "__main__":
    sys.exit(main())
