"""The launchers in bin/: from any folder, linked or copied, with and without midas on the PATH's python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from midas.commands.names import MODULES

BIN = Path(__file__).resolve().parents[2] / "bin"


def call(path: Path, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **variables}
    return subprocess.run([path, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_command_has_a_launcher(name: str) -> None:
    assert os.access(BIN / name, os.X_OK)


def test_works_where_the_legacy_folder_stood(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "FF_HEDM").mkdir()
    linked = tmp_path / "FF_HEDM" / "bin"
    linked.symlink_to(BIN)
    copied = tmp_path / "copy with blanks"
    shutil.copytree(BIN, copied, symlinks=True)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "midas").mkdir(parents=True)  # not the package
    for folder in (linked, copied):
        for name in ("IndexerOMP", "ff_MIDAS.py"):
            variables = {"MIDAS_PYTHON": sys.executable, "PYTHONPATH": environment["PYTHONPATH"]}
            result = call(folder / name, "--help", cwd=elsewhere, **variables)
            assert result.returncode == 0, result.stderr
            assert result.stdout.startswith(f"usage: {name}" if name == "IndexerOMP" else "usage: ff")
            assert result.stderr == ""


def test_says_what_to_do_without_an_interpreter(tmp_path: Path) -> None:
    copied = tmp_path / "bin"
    shutil.copytree(BIN, copied, symlinks=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "basename", "readlink"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    result = call(copied / "IndexerOMP", cwd=tmp_path, PATH=str(tools), MIDAS_PYTHON="")
    assert result.returncode == 1
    assert "MIDAS_PYTHON" in result.stderr
