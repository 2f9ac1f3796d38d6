"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("MIDAS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with specification and golden data; tests that need it are skipped without it."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"needs the golden data in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``golden("au3")``: the unpacked folder of a legacy run. Read only: copy what a test changes."""
    unpacked: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in unpacked:
            base = tmp_path_factory.mktemp("golden")
            with tarfile.open(shared / "golden" / f"{name}.tar.xz") as archive:
                archive.extractall(base, filter="data")
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
