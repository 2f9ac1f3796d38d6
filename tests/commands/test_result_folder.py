"""The folder that an archive names: used where that is surely meant (docs/security.md#what-is-written-where)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_archive import PARAMETERS, frames_of

from midas.archive import DATA, ArchiveWriter, set_dataset
from midas.parameters import ANALYSIS

Call = Callable[..., int]
NAMED = f"{ANALYSIS}ResultFolder"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """In a folder of its own, beside the current one."""
    path = tmp_path / "data" / "scan.MIDAS.zip"
    path.parent.mkdir()
    (tmp_path / "here").mkdir()
    frames = frames_of()
    with ArchiveWriter(path, frames.shape, frames.dtype) as writer:
        writer.add_frames(DATA, frames.shape, iter(frames))
        writer.add_parameters(PARAMETERS)
    return path


def everything(folder: Path) -> list[Path]:
    """What is there but logs and locks of the run."""
    return sorted(path for path in folder.rglob("*") if "midas_log" not in path.parts)


@pytest.fixture
def hkls(
    archive: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[Path, str]]:
    """Name a folder in the archive and run ff-hkls: where hkls.csv is, and what was said about the folder."""

    def run(named: str | bytes, *arguments: object) -> tuple[Path, str]:
        set_dataset(archive, NAMED, np.array([os.fsencode(named)]))
        code = in_process("ff-hkls", archive, *arguments, cwd=tmp_path / "here")
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        (found,) = tmp_path.rglob("hkls.csv")
        found.unlink()
        return found.parent, "\n".join(line for line in said.out.splitlines() if "ResultFolder" in line)

    return run


def test_the_folder_of_the_command_line(hkls: Callable[..., tuple[Path, str]], tmp_path: Path) -> None:
    assert hkls("/data/elsewhere", tmp_path / "new" / "one") == (tmp_path / "new" / "one", "")


def test_the_folder_in_which_the_archive_lies(hkls: Callable[..., tuple[Path, str]], tmp_path: Path) -> None:
    """Whoever may write there: the user has put the archive there."""
    (tmp_path / "data").chmod(0o777)
    assert hkls(tmp_path / "data") == (tmp_path / "data", "")


def test_one_that_exists_and_belongs_to_the_user(hkls: Callable[..., tuple[Path, str]], tmp_path: Path) -> None:
    """Scripts rely on it; a line says so."""
    (tmp_path / "results").mkdir()
    found, said = hkls(f"{tmp_path}/results/")
    assert found == tmp_path / "results" and said.startswith(f"The results go to {found}/, the ResultFolder of ")
    found, said = hkls("../results")
    assert found == tmp_path / "results" and said.startswith("The results go to ../results")
    assert hkls(".") == (tmp_path / "here", "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "which does not exist"),
        ("gone/below", "which does not exist"),
        ("../../../no/such/folder", "which does not exist"),
        ("~", "which does not exist"),
        ("line\nbreak\x1b[31m", "which does not exist"),
        (b"no text \xff\xfe", "which does not exist"),
        ("x" * 10_000, "which cannot be reached (File name too long)"),
        ("file", "which is not a folder"),
        ("open", "which may be written to by everybody"),
        ("of another", "which belongs to another user"),
        ("of another scan", "which is that of another scan (other.MIDAS.zip)"),
        ("copy", "which has an archive scan.MIDAS.zip of its own"),
    ],
)
def test_the_current_folder_else(
    name: str | bytes, reason: str, hkls: Callable[..., tuple[Path, str]], tmp_path: Path, archive: Path
) -> None:
    (tmp_path / "here" / "file").touch()
    for folder in ("open", "of another", "of another scan", "copy"):
        (tmp_path / "here" / folder).mkdir()
    (tmp_path / "here" / "open").chmod(0o777)
    if os.geteuid() == 0:
        os.chown(tmp_path / "here" / "of another", 12345, -1)
    elif name == "of another":
        pytest.skip("only root can give a folder away")
    (tmp_path / "here" / "of another scan" / "other.MIDAS.zip").touch()
    (tmp_path / "here" / "copy" / archive.name).write_bytes(archive.read_bytes())
    before = everything(tmp_path)
    found, said = hkls(name)
    assert found == tmp_path / "here"
    assert said.startswith("warning: ") and said.count("\n") == 0 and said.isprintable() and len(said) < 1000
    assert reason in said and "; the current folder is used (an argument names another one)" in said
    assert everything(tmp_path) == before


def test_text_that_can_be_no_path(
    archive: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    set_dataset(archive, NAMED, np.array([b"a\0b"]))
    assert in_process("ff-hkls", archive, cwd=tmp_path / "here") == 1
    said = capsys.readouterr().err
    assert (
        said.endswith("ResultFolder: a\\x00b: holds a NUL or letters that no path can have\n") and said.count("\n") == 1
    )


# Links in a layer that came from somebody else


def test_a_link_in_a_layer(tmp_path: Path, archive: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """Temp/ may be a link to the user's own scratch folder, of which a line says so, and to nothing else."""
    here, scratch = tmp_path / "here", tmp_path / "scratch"
    scratch.mkdir()
    set_dataset(archive, NAMED, np.array([b"."]))
    assert in_process("ff-hkls", archive, cwd=here) == 0
    (here / "Temp").symlink_to(scratch)
    capsys.readouterr()
    assert in_process("ff-peaks", archive, "--threads", 1, cwd=here) == 0
    assert f"Temp is a link: what belongs there goes to {scratch}" in capsys.readouterr().out
    assert list(scratch.glob("*_PS.csv"))
    for path in scratch.iterdir():
        path.unlink()
    for target, reason in ((tmp_path / "gone", "does not exist"), (scratch, "may be written to by everybody")):
        scratch.chmod(0o777)
        (here / "Temp").unlink()
        (here / "Temp").symlink_to(target)
        assert in_process("ff-peaks", archive, "--threads", 1, cwd=here) in (1, 4)
        said = capsys.readouterr().err
        assert f"Temp: is a link to {target}, which {reason}; put a folder in its place" in said
        assert said.count("\n") == 1 and not list(scratch.iterdir()) and not (tmp_path / "gone").exists()
