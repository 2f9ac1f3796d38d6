"""Files that belong together, and what is left of them when the process dies on the way."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from midas.runtime import part_files
from midas.runtime.errors import OutputError
from midas.runtime.files import atomic_output, write_atomic, write_together
from midas.runtime.part_files import part, sweep


def test_all_files_or_none(tmp_path: Path) -> None:
    """The name of a file that cannot be written leaves the earlier ones of all others; nothing else is left behind."""
    first, new, last = (tmp_path / name for name in ("first", "new", "last"))
    first.write_bytes(b"earlier")
    last.mkdir()
    contents = dict.fromkeys((first, new, last), b"now")
    with pytest.raises(OutputError, match="cannot be written") as error:
        write_together(contents)
    assert "last" in str(error.value)
    assert first.read_bytes() == b"earlier"
    assert sorted(tmp_path.iterdir()) == [first, last]
    last.rmdir()
    write_together(contents)
    assert {path.read_bytes() for path in contents} == {b"now"}
    assert sorted(tmp_path.iterdir()) == sorted(contents)


def test_a_pipe_stays_one(tmp_path: Path) -> None:
    """Renaming would put a file in the place of a device; root could do so to /dev/null."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OutputError, match=r"is a device or a pipe, not a file"):
            write_atomic(path, b"content")
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


# Whatever happens on the way


#: what the writing of files is made of, by its module
CALLS = [(os, n) for n in "open dup fstat lstat link replace unlink close fsync".split()] + [(fcntl, "flock")]
OLD, NEW = b"earlier", b"now"


def numbered_calls(monkeypatch: pytest.MonkeyPatch, strike: Callable[[], None], at: int, before: bool) -> list[str]:
    """Have something happen before or after a system call; the calls in order, which grow as they are made."""
    made: list[str] = []

    def wrapped(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            made.append(name)
            mine = len(made) - 1 == at
            if mine and before:
                strike()
            try:
                return call(*args, **kwargs)
            finally:
                if mine and not before:
                    strike()

        return counted

    for module, name in CALLS:
        monkeypatch.setattr(module, name, wrapped(name, getattr(module, name)))
    return made


def files_of_a_run(folder: Path) -> dict[Path, bytes]:
    """Three files that belong together, two of which stand there; the middle one is new."""
    folder.mkdir()
    names = [folder / name for name in ("first", "new", "last")]
    names[0].write_bytes(OLD)
    names[2].write_bytes(OLD)
    return dict.fromkeys(names, NEW)


def states(contents: Iterable[Path]) -> list[bytes]:
    return [path.read_bytes() if path.exists() else b"" for path in contents]


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_every_call(before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is the earlier file or the new one, whenever the process dies; the next writer sweeps the rest."""
    left, number = 0, 0
    while True:
        contents = files_of_a_run(tmp_path / f"{number}")
        child = os.fork()
        if child == 0:
            numbered_calls(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL), number, before)
            write_together(contents)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        first, new, last = states(contents)
        assert first in (OLD, NEW) and new in (b"", NEW) and last in (OLD, NEW)
        if not status:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        left += len(list((tmp_path / f"{number}").glob("*.part")))
        write_together(contents)
        assert states(contents) == [NEW] * 3 and sorted((tmp_path / f"{number}").iterdir()) == sorted(contents)
        number += 1
    assert number > 20 and left > 10, "it was killed often enough"


@pytest.mark.parametrize(("kind", "before"), [(OSError, True), (KeyboardInterrupt, True), (KeyboardInterrupt, False)])
def test_failing_at_every_call(
    kind: type[BaseException], before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error or an interruption all names are what they were, or all are new."""

    def strike() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO)) if kind is OSError else kind

    number = 0
    while True:
        contents = files_of_a_run(tmp_path / f"{number}")
        with monkeypatch.context() as patch:
            made = numbered_calls(patch, strike, number, before)
            try:
                write_together(contents)
                failed = False
            except (OutputError, KeyboardInterrupt):
                failed = True
        if number >= len(made):
            break
        part_files._remove_own()
        assert states(contents) in ([OLD, b"", OLD], [NEW] * 3)
        assert states(contents) == [NEW] * 3 or failed
        name = made[number]
        if name not in ("unlink", "close"):  # an error of the clean-up itself leaves what was to go
            assert sorted((tmp_path / f"{number}").iterdir()) == sorted(path for path in contents if path.exists())
        number += 1
    assert number > 20


def test_a_file_system_without_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    contents = files_of_a_run(tmp_path / "files")
    first, _, last = contents
    first.unlink()
    first.symlink_to("elsewhere")
    monkeypatch.setattr(os, "link", refused)
    last.unlink()
    last.mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_together(contents)
    assert os.readlink(first) == "elsewhere"
    last.rmdir()
    write_together(contents)
    assert states(contents) == [NEW] * 3 and len(list((tmp_path / "files").iterdir())) == 3


# Parts


def test_a_part_is_made_anew_and_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands under the name of a part in a folder of somebody else is neither written nor followed."""
    target, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_bytes(OLD)
    numbers = iter([b"\1" * 4, b"\1" * 4, b"\2" * 4])
    (tmp_path / "file.01010101.part").symlink_to(victim)
    monkeypatch.setattr(os, "urandom", lambda _: next(numbers))
    with atomic_output(target) as stream:
        assert stream.name == str(tmp_path / "file.02020202.part")
        stream.write(NEW)
    assert (target.read_bytes(), victim.read_bytes()) == (NEW, OLD)
    assert (tmp_path / "file.01010101.part").is_symlink()


def test_a_link_under_the_name_is_replaced(tmp_path: Path) -> None:
    target, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_bytes(OLD)
    target.symlink_to(victim)
    write_atomic(target, NEW)
    assert not target.is_symlink() and (target.read_bytes(), victim.read_bytes()) == (NEW, OLD)


def test_leftovers_go_and_parts_in_use_stay(tmp_path: Path) -> None:
    """The next writer of a name removes what nobody holds, and only what is called like a part of this name."""
    stay = ["file.0123456.part", "other.01234567.part", "file.01234567.parts", "file.part", "file.ABCDEF01.part"]
    for name in (*stay, "file.01234567.part"):
        (tmp_path / name).touch()
    (tmp_path / "file.89abcdef.part").mkdir()
    (tmp_path / "file.89abcdee.part").symlink_to("other.01234567.part")
    os.mkfifo(tmp_path / "file.89abcded.part")
    with part(tmp_path / "file") as held:
        assert not (tmp_path / "file.01234567.part").exists() and held.path.exists()
        sweep(tmp_path)
        assert held.path.exists() and not (tmp_path / "other.01234567.part").exists()
        code = "import sys; from midas.runtime.files import *; write_atomic(sys.argv[1], b'other')"
        subprocess.run([sys.executable, "-c", code, tmp_path / "file"], check=True)
        assert held.path.exists(), "another process, which writes the same file, leaves it alone"
        held.take_name()
    assert (tmp_path / "file").read_bytes() == b""
    odd = {"file.89abcdef.part", "file.89abcdee.part", "file.89abcded.part"}
    assert {path.name for path in tmp_path.iterdir()} == {*stay, *odd, "file"} - {"other.01234567.part"}


def test_an_interruption_at_the_wrong_moment_leaves_nothing(tmp_path: Path) -> None:
    """Between the making of a part and the first line that could tidy it up."""
    code = (
        "import os, sys\n"
        "from midas.runtime import part_files\n"
        "opened = os.open\n"
        "def struck(*args):\n"
        "    opened(*args)\n"
        "    raise KeyboardInterrupt\n"
        "part_files.os.open = struck\n"
        "part_files.Part(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "file"], capture_output=True, check=False)
    assert b"KeyboardInterrupt" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a" * 255, "\u00e4" * 127, "x" * 240 + ".csv", "line\nbreak", "\udcff"])
def test_names_of_every_length(name: str, tmp_path: Path) -> None:
    write_atomic(tmp_path / name, NEW)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a" * 256, "nul\0", "\ud800"])
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(tmp_path / name, NEW)
    assert not list(tmp_path.iterdir())


def test_the_earlier_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another name, in place of what is kept from before; an error leaves both as they were."""
    path, old = tmp_path / "file", tmp_path / "file.old"
    path.write_bytes(b"2")
    old.write_bytes(b"1")
    with pytest.raises(ZeroDivisionError), atomic_output(path, keep_old=True):
        raise ZeroDivisionError
    assert (path.read_bytes(), old.read_bytes()) == (b"2", b"1")
    with atomic_output(path, keep_old=True) as stream:
        stream.write(b"3")
    assert (path.read_bytes(), old.read_bytes()) == (b"3", b"2") and len(list(tmp_path.iterdir())) == 2

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    with atomic_output(path, keep_old=True) as stream:
        stream.write(b"4")
    assert (path.read_bytes(), old.read_bytes()) == (b"4", b"3") and len(list(tmp_path.iterdir())) == 2


def test_a_reader_keeps_the_file_that_it_has_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with open(path, "rb") as reader:
        write_together({path: NEW, tmp_path / "other": NEW})
        assert reader.read() == OLD
