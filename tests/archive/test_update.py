"""``ff-update``, ``updateZarrDset.py``: docs/theory/archive.md#changing-a-value."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from midas.archive import BRIGHT, DARK, DATA, FLOOD, MASK, Archive, set_dataset
from midas.parameters import ANALYSIS, SCAN

Call = Callable[..., int]
Written = Callable[..., Path]
FRAMES = np.random.default_rng(0).integers(0, 1000, (4, 6, 5)).astype("<u2")
DARKS = np.full((2, 6, 5), 7, "<u2")


@pytest.fixture
def path(written: Written) -> Path:
    return written(FRAMES, DARKS)


@pytest.fixture
def change(path: Path, in_process: Call) -> Callable[..., int]:
    """``change("Lsd", 900000)``: the command on the archive of the test."""

    def run(key: str, *words: object, name: str = "updateZarrDset.py") -> int:
        return in_process(name, "-fn", path.name, "-keyToUpdate", key, "-updatedValue", *words, cwd=path.parent)

    return run


def stored(path: Path, name: str) -> np.ndarray:
    """As the library of the format reads it."""
    store = zarr.storage.ZipStore(path, mode="r")
    try:
        return np.asarray(zarr.open_group(store, mode="r", zarr_format=2)[name])
    finally:
        store.close()


@pytest.mark.parametrize(
    ("key", "words", "dataset", "expected"),
    [
        ("Lsd", ["900000"], "Lsd", np.array([900000.0])),
        ("/" + ANALYSIS + "Lsd", ["9e5"], "Lsd", np.array([900000.0])),
        (ANALYSIS + "SpaceGroup", ["194"], "SpaceGroup", np.array([194], "<i4")),
        ("PixelSize", ["-1e-3"], None, None),
        ("px", ["150.5"], "PixelSize", np.array([150.5])),
        (ANALYSIS + "YCen", ["-12.5"], "YCen", np.array([-12.5])),
        (ANALYSIS + "ImTransOpt", ["1", "2", "0"], "ImTransOpt", np.array([1, 2, 0], "<i4")),
        ("ImTransOpt", ["-1"], None, None),
        (ANALYSIS + "OmegaRanges", ["-60", "-10", "10", "6e1"], "OmegaRanges", np.array([[-60.0, -10], [10, 60]])),
        ("RingThresh", ["1", "80", "3", "60"], "RingThresh", np.array([[1.0, 80], [3, 60]])),
        (ANALYSIS + "BoxSizes", ["-1", "1", "-2", "2"], "BoxSizes", np.array([[-1.0, 1, -2, 2]])),
        ("ResultFolder", ["/data/my results/1"], "ResultFolder", np.array([b"/data/my results/1"])),
        (ANALYSIS + "Mine", ["3"], "Mine", np.array([3], "<i4")),
        (ANALYSIS + "Mine", ["3", "4.5"], "Mine", np.array([3, 4.5])),
        (ANALYSIS + "dataNote", ["two words"], "dataNote", np.array([b"two words"])),
    ],
)
def test_type_and_shape_that_readers_expect(
    key: str, words: list[str], dataset: str | None, expected: np.ndarray | None, path: Path, change: Callable[..., int]
) -> None:
    before = path.read_bytes()
    code = change(key, *words)
    if dataset is None or expected is None:
        assert code == 2
        assert path.read_bytes() == before
        return
    assert code == 0
    found = stored(path, ANALYSIS + dataset)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(stored(path, DATA), FRAMES)
    assert path.read_bytes()[: len(before) // 2] == before[: len(before) // 2]  # nothing was moved


@pytest.mark.parametrize(
    ("key", "words", "reason"),
    [
        ("Lsd", ["500"], "looks like mm"),
        (f"{ANALYSIS}Lsd", ["500"], "looks like mm"),
        ("Completeness", ["80"], "looks like percent"),
        ("OmegaRange", ["90", "-90"], "is reversed"),
        ("LatticeParameter", "4 4 4 90 90 0".split(), "LatticeParameter"),
        ("Lsdd", ["900000"], "Lsdd: is no parameter, and the archive has no such dataset; did you mean Lsd?"),
        (f"{ANALYSIS}Wavelenght", ["0.2"], "did you mean Wavelength?"),
        ("whatever", ["1"], "has no such dataset (--new makes a new one)"),
    ],
)
def test_what_the_check_refuses(
    key: str, words: list[str], reason: str, path: Path, change: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.read_bytes()
    assert change(key, *words) != 0
    assert reason in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_new_dataset_has_to_be_meant(path: Path, change: Callable[..., int]) -> None:
    name = f"{ANALYSIS}Wavelenght"
    assert change(name, "3", "--new") == 0
    assert change(name, "4") == 0  # it is there now
    assert stored(path, name) == 4


def test_what_it_says(path: Path, change: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert change("Lsd", "900000") == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0].startswith("Initial value: ")
    assert first[1:] == [f"Updated value: {ANALYSIS}Lsd:900000.0", "(1,)"]
    assert change("a/new/name", "1") == 0
    assert capsys.readouterr().out.splitlines()[0] == "Key did not exist, will add to the file."
    assert change("Lsd", "900000", "--unknown") == 2


def test_the_centre_of_the_beam_is_two_datasets(path: Path, change: Callable[..., int]) -> None:
    assert change("BC", "2.5", "3.5", name="ff-update") == 0
    with Archive(path) as archive:
        assert archive.parameters["BC"] == (2.5, 3.5)


def test_the_omega_of_the_first_frame_follows(path: Path, change: Callable[..., int]) -> None:
    assert change("OmegaStep", "-0.5") == 0
    assert change("OmegaStart", "30") == 0
    assert change("SkipFrame", "2") == 0
    with Archive(path) as archive:
        np.testing.assert_allclose(archive.omegas, [31, 30.5, 30, 29.5])
    assert change(f"{SCAN}start", "10") == 0
    with Archive(path) as archive:
        np.testing.assert_allclose(archive.omegas, [10, 9.5, 9, 8.5])


def test_a_damaged_value_is_repaired_by_a_new_one(path: Path, change: Callable[..., int]) -> None:
    set_dataset(path, f"{ANALYSIS}Lsd", np.array([b"far away"]))
    assert change("Lsd", "1e6") == 0
    with Archive(path) as archive:
        assert archive.parameters["Lsd"] == 1e6


def test_an_alias_in_the_archive_does_not_win(path: Path, change: Callable[..., int]) -> None:
    """Some archives hold a key under two spellings; the later one counts."""
    set_dataset(path, f"{ANALYSIS}LatticeConstant", np.array([4.0, 4, 4, 90, 90, 90]))
    assert change("LatticeParameter", *"5 5 5 90 90 90".split()) == 0
    with Archive(path) as archive:
        assert archive.parameters["LatticeParameter"][0] == 5.0


@pytest.mark.parametrize("name", [DATA, DARK])
def test_frames_from_a_raw_file(name: str, path: Path, change: Callable[..., int]) -> None:
    """The legacy name of such a file tells its sizes; other members stay in their order, the frames in one piece."""
    order = [m for m in zipfile.ZipFile(path).namelist() if not m.startswith(f"{name}/")]
    frames = FRAMES[::-1].repeat(2, 0)[:7]
    (path.parent / "new_7x6x5.raw").write_bytes(frames.tobytes())
    assert change(name, "new_7x6x5.raw") == 0
    np.testing.assert_array_equal(stored(path, name), frames)
    np.testing.assert_array_equal(stored(path, DARK if name == DATA else DATA), DARKS if name == DATA else FRAMES)
    members = zipfile.ZipFile(path).namelist()
    assert [m for m in members if not m.startswith(f"{name}/")] == order
    at = [i for i, m in enumerate(members) if m.startswith(f"{name}/") and not m.endswith(".zarray")]
    assert at == list(range(at[0], at[0] + 7))
    assert [members[i] for i in at] == [f"{name}/{i}.0.0" for i in range(7)]


def test_other_images(path: Path, change: Callable[..., int]) -> None:
    import h5py

    mask = np.zeros((6, 5), np.uint8)
    mask[2, 3] = 255
    tifffile.imwrite(path.parent / "mask.tif", mask)
    with h5py.File(path.parent / "more.h5", "w") as file:
        file[BRIGHT] = DARKS[:1] + 1
        file[FLOOD] = np.full((6, 5), 0.5, "f4")
    assert change(MASK, "mask.tif") == 0
    assert change(BRIGHT, "more.h5") == 0
    assert change(FLOOD, "more.h5") == 0
    with Archive(path) as archive:
        assert archive.mask is not None and archive.flood is not None
        np.testing.assert_array_equal(archive.mask[0], mask != 0)
        assert archive.mask.dtype == np.uint16
        np.testing.assert_array_equal(archive.flood[0], np.full((6, 5), 0.5))
    np.testing.assert_array_equal(stored(path, BRIGHT), DARKS[:1] + 1)


@pytest.mark.parametrize(
    ("key", "words", "reason"),
    [
        ("Lsd", ["far"], "Lsd: far: is not a number"),
        ("Lsd", ["1", "2"], "Lsd: 1 2: needs 1 number, not 2"),
        ("RingThresh", ["1", "2", "3"], "RingThresh: 1 2 3: needs a multiple of 2 numbers, not 3"),
        ("SpaceGroup", ["2.5"], "SpaceGroup: 2.5: must be a whole number"),
        ("SpaceGroup", ["300"], "SpaceGroup: 300: must lie in 1 ... 230"),
        (ANALYSIS + "YCen", ["1", "2"], "YCen: 1 2: needs one number"),
        (SCAN + "start", ["x"], "start: x: holds numbers"),
        (SCAN + "datatype", ["uint8"], "cannot be replaced alone"),
        ("analysis", ["1"], "analysis: is a group"),
        (ANALYSIS + "Lsd/more", ["1"], "which is a dataset"),
        ("../out", ["1"], "cannot be the name of a dataset"),
        ("a//b", ["1"], "cannot be the name of a dataset"),
        ("x/exchange/data/y", ["1"], "which legacy readers would take for the dataset of that name"),
        ("exchange/other", ["1"], "holds images"),
        (DATA, ["none.h5"], "none.h5: exchange/data: is missing"),
        (DATA, ["short_3x6x5.raw"], "short_3x6x5.raw: has 10 bytes, too few"),
        (DATA, ["wide_1x1x5.raw"], "has frames of (1, 5) pixels, the archive has (6, 5)"),
        (MASK, ["short_3x6x5.raw"], "is no TIFF image"),
    ],
)
def test_mistakes_leave_the_archive_alone(
    key: str, words: list[str], reason: str, path: Path, change: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (path.parent / "short_3x6x5.raw").write_bytes(bytes(10))
    (path.parent / "wide_1x1x5.raw").write_bytes(bytes(10))
    before = path.read_bytes()
    assert change(key, *words) in (1, 2)
    errors = capsys.readouterr().err
    assert reason in errors and errors.count("\n") == 1, errors
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.part"))


def test_angles_of_single_frames_must_fit(
    path: Path, change: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    set_dataset(path, f"{SCAN}omegaCenter", np.arange(4.0))
    (path.parent / "new_1x6x5.raw").write_bytes(bytes(60))
    assert change(DATA, "new_1x6x5.raw") == 1
    assert "omegaCenter: holds 4 angles; 1 frames would not fit" in capsys.readouterr().err
    assert change("OmegaStart", "10") == 0
    assert "which count" in capsys.readouterr().out


def test_folders_of_the_user_beside_the_archive_stay(path: Path, change: Callable[..., int], tmp_path: Path) -> None:
    """They have the names of the groups of the archive, which is not unpacked into them."""
    mine = [folder / name for folder in (path.parent, tmp_path) for name in ("analysis", "exchange", "measurement")]
    for folder in mine:
        (folder / "process").mkdir(parents=True, exist_ok=True)
        (folder / "notes.txt").write_text("mine")
    before = sorted(p for p in tmp_path.rglob("*"))
    for key, value in (("Lsd", 900000), (f"{ANALYSIS}ImTransOpt", 2), (f"{SCAN}start", -10)):
        assert change(key, value) == 0
    assert sorted(p for p in tmp_path.rglob("*")) == before
    assert all((folder / "notes.txt").read_text() == "mine" for folder in mine)


def test_wider_pixels_do_not_fit(written: Written, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    import h5py

    path = written(FRAMES)
    with h5py.File(path.parent / "f.h5", "w") as file:
        file[DATA] = FRAMES.astype("f4")
    assert in_process("ff-update", "-fn", path, "-keyToUpdate", DATA, "-updatedValue", "f.h5", cwd=path.parent) == 1
    assert "pixels of type float32, the archive of uint16" in capsys.readouterr().err


def test_folder_of_archive_and_file(path: Path, in_process: Call, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tifffile.imwrite(path.parent / "mask.tif", np.ones((6, 5), np.uint8))
    line = ["-fn", path.name, "-folder", path.parent, "-keyToUpdate", MASK, "-updatedValue", "mask.tif"]
    assert in_process("updateZarrDset.py", *line, cwd=elsewhere) == 0
    assert stored(path, MASK).all()
    for missing in ("-fn", "-keyToUpdate", "-updatedValue"):
        at = line.index(missing)
        assert in_process("ff-update", *line[:at], *line[at + 2 :], cwd=elsewhere) == 2
