"""Archives that other tools wrote, or that lack or garble something (docs/theory/archive.md#situations)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numcodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from midas.parameters import ANALYSIS, SCAN, readers
from midas.parameters.table import KEYS

from .contents import Contents, Members
from .harness import ARCHIVE, BY_NAME, FRAMES, Outcome, Program, Sound, call, prepare

DATA, DARK, MASK = "exchange/data", "exchange/dark", "exchange/mask"

#: the programs that read an archive, and the keys without default that each needs (docs/theory/archive.md#missing-keys)
NEEDED = {
    "GetHKLListZarr": ("SpaceGroup", "LatticeParameter", "Wavelength", "Lsd", "RhoD"),
    "PeaksFittingOMPZarrRefactor": ("RingThresh",),
    "MergeOverlappingPeaksAllZarr": (),
    "CalcRadiusAllZarr": ("RingThresh", "Lsd", "PixelSize", "step", "Width"),
    "FitSetupZarr": (
        *("RingThresh", "LatticeParameter", "Wavelength", "Lsd", "RhoD", "PixelSize", "YCen"),
        *("Rsample", "Hbeam", "OverallRingToIndex"),
    ),
    "ProcessGrainsZarr": ("LatticeParameter", "Wavelength"),
}
STAGES = {
    "GetHKLListZarr": "hkls",
    "PeaksFittingOMPZarrRefactor": "peaks",
    "MergeOverlappingPeaksAllZarr": "merge",
    "CalcRadiusAllZarr": "radius",
    "FitSetupZarr": "fit_setup",
    "ProcessGrainsZarr": "grains",
}
READERS = [BY_NAME[name] for name in NEEDED]

#: frames to search for peaks with one odd value after the other
FEW = 6


@pytest.fixture
def edited(pristine: Path, tmp_path: Path) -> Callable[..., Path]:
    """``edited(program, change)``: a folder for the program whose archive went through `change`."""

    def make(program: Program, change: Callable[[Contents], object]) -> Path:
        folder = prepare(program, pristine, tmp_path / "layer")
        contents = Contents(folder / ARCHIVE)
        change(contents)
        contents.save()
        return folder

    return make


@pytest.fixture(scope="module")
def lean(pristine: Path) -> Members:
    """The archive without most of its frames, which are frames of fill values then: quick to write many times."""
    members = Contents(pristine / ARCHIVE).members
    late = {f"{DATA}/{frame}.0.0" for frame in range(FEW, FRAMES)}
    return {name: content for name, content in members.items() if name not in late}


# Parameters


@pytest.mark.parametrize("program", READERS, ids=str)
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<i8", ">i2", "<f4", "u1"])
def test_any_type_of_number_is_converted(program: Program, dtype: str, edited, sound: Sound) -> None:
    changed = []

    def change(contents: Contents) -> None:
        for path in contents.parameters():
            values = contents.value(path)
            if values.dtype.kind not in "iuf":
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                converted = values.astype(dtype)
            if (converted.astype(np.float64) == values).all() and values.dtype != converted.dtype:
                contents.set(path, converted)
                changed.append(path)

    outcome = call(program, edited(program, change))
    outcome.must_be_clean(program)
    assert changed
    assert outcome.code == 0, outcome.stderr
    expected = sound(program)
    for name in program.outputs:
        assert outcome.after[name] == expected.after[name], name


@pytest.mark.parametrize("program", READERS, ids=str)
@pytest.mark.parametrize("kind", ["U", "O", "scalar"])
def test_other_kinds_of_text_and_scalars(program: Program, kind: str, edited, sound: Sound) -> None:
    def change(contents: Contents) -> None:
        for path in contents.parameters():
            values = contents.value(path)
            if values.dtype.kind == "S" and kind != "scalar":
                contents.set(path, values.astype("U").astype(kind))
            elif values.shape == (1,) and kind == "scalar":
                contents.set(path, values.reshape(()))

    outcome = call(program, edited(program, change))
    outcome.must_be_clean(program)
    assert outcome.code == 0, outcome.stderr
    expected = sound(program)
    for name in program.outputs:
        assert outcome.after[name] == expected.after[name], name


@pytest.mark.parametrize(
    ("program", "key"), [(BY_NAME[name], key) for name, keys in NEEDED.items() for key in keys], ids=str
)
def test_missing_key_is_named(program: Program, key: str, edited) -> None:
    outcome = call(program, edited(program, lambda contents: contents.remove(key)))
    spelling = {"PixelSize": "px", "YCen": "BC", "step": "OmegaStep", "OverallRingToIndex": "OverAllRingToIndex"}
    outcome.must_fail(program, spelling.get(key, key))
    assert ARCHIVE in outcome.stderr


BAD_VALUES = {
    "nothing": np.empty(0),
    "nan": np.array([np.nan]),
    "huge": np.array([1e300]),
    "negative": np.array([-1.0]),
    "fraction": np.array([0.5]),
    "zero": np.array([0]),
    "text": np.array([b"many"]),
    "many": np.arange(7.0),
    "complex": np.array([1j]),
    "bool": np.array([True]),
}


@pytest.mark.parametrize("kind", BAD_VALUES)
def test_unreadable_values_of_every_parameter(kind: str, pristine: Path, lean: Members, tmp_path: Path) -> None:
    """The reader of parameters is the same for all programs, so one of them will do."""
    program = BY_NAME["GetHKLListZarr"]
    for path in Contents(pristine / ARCHIVE).parameters():
        _run_with(program, path, BAD_VALUES[kind], lean, pristine, tmp_path)


@pytest.mark.parametrize(
    "value", [0, -1, 1e18, *(pytest.param(x, marks=pytest.mark.slow) for x in (2147483647, 1e-300))]
)
@pytest.mark.parametrize("program", READERS, ids=str)
def test_impossible_values_of_every_parameter(
    program: Program, value: float, pristine: Path, lean: Members, tmp_path: Path
) -> None:
    """No number in any key that the program reads ends in a traceback or a half-written file."""
    if STAGES[program.name] == "peaks":  # few frames are a scan like any other
        outcome = _outcome_with(program, None, None, lean, pristine, tmp_path)
        assert (outcome.code, outcome.stdout.count("FrameNr: ")) == (0, FEW), outcome.stderr
    for name in sorted(readers.READERS[STAGES[program.name]].keys):
        for part in (KEYS[name].archive or name).split():
            path = part if "/" in part else ANALYSIS + part
            _run_with(program, path, np.full((1, KEYS[name].count), value), lean, pristine, tmp_path)


def _run_with(program: Program, path: str, values: NDArray, lean: Members, pristine: Path, tmp_path: Path) -> None:
    outcome = _outcome_with(program, path, values, lean, pristine, tmp_path)
    try:
        outcome.must_be_clean(program)
        assert outcome.code == 0 or outcome.code in program.codes
        if outcome.code:
            outcome.must_fail(program)
    except AssertionError as error:
        raise AssertionError(f"{path}: {error}") from None


def _outcome_with(
    program: Program, path: str | None, values: NDArray | None, lean: Members, pristine: Path, tmp_path: Path
) -> Outcome:
    folder = prepare(program, pristine, tmp_path / "layer")
    contents = Contents(folder / ARCHIVE, lean)
    if STAGES[program.name] == "peaks":
        contents.describe(DATA, shape=[FEW, 256, 256])
    if path is not None:
        contents.set(path, values)
    contents.save()
    outcome = call(program, folder)
    shutil.rmtree(folder)
    return outcome


# Frames


def _flipped(contents: Contents, name: str) -> None:
    content = bytearray(contents.members[name])
    content[len(content) // 2] ^= 0x55
    contents.members[name] = bytes(content)


def _cut(contents: Contents, name: str) -> None:
    contents.members[name] = contents.members[name][: len(contents.members[name]) // 2]


FRAME_DAMAGE: dict[str, Callable[[Contents], object]] = {
    "no data": lambda c: c.remove(DATA),
    "flat data": lambda c: c.describe(DATA, shape=[FRAMES, 256 * 256], chunks=[1, 256 * 256]),
    "no frames": lambda c: c.describe(DATA, shape=[0, 256, 256]),
    "no rows": lambda c: c.describe(DATA, shape=[FRAMES, 0, 256]),
    "negative shape": lambda c: c.describe(DATA, shape=[FRAMES, -1, 256]),
    "fractional shape": lambda c: c.describe(DATA, shape=[FRAMES, 1.5, "x"]),
    "huge frames": lambda c: c.describe(DATA, shape=[FRAMES, 1 << 40, 256]),
    "huge chunks": lambda c: c.describe(DATA, chunks=[1, 1 << 20, 1 << 20]),
    "complex pixels": lambda c: c.describe(DATA, dtype="<c16"),
    "no type": lambda c: c.describe(DATA, dtype="nonsense"),
    "object pixels": lambda c: c.describe(DATA, dtype="|O"),
    "other codec": lambda c: c.describe(DATA, compressor={"id": "nonsense"}),
    "not JSON": lambda c: c.members.update({f"{DATA}/.zarray": b"{"}),
    "a list": lambda c: c.members.update({f"{DATA}/.zarray": b"[]"}),
    "skips all": lambda c: c.set(ANALYSIS + "SkipFrame", np.array([FRAMES])),
    "flipped chunk": lambda c: _flipped(c, f"{DATA}/7.0.0"),
    "cut chunk": lambda c: _cut(c, f"{DATA}/7.0.0"),
    "empty chunk": lambda c: c.members.update({f"{DATA}/7.0.0": b""}),
    "short chunk": lambda c: c.members.update({f"{DATA}/7.0.0": numcodecs.Blosc().encode(bytes(100))}),
    "other dark": lambda c: c.set(DARK, np.zeros((1, 128, 256), "<u2")),
    "flat dark": lambda c: c.set(DARK, np.zeros((256, 256), "<u2")),
    "text for dark": lambda c: c.set(DARK, np.full((1, 256, 256), b"x")),
    "cut dark": lambda c: _cut(c, f"{DARK}/0.0.0"),
    "other mask": lambda c: c.set(MASK, np.zeros((1, 64, 64), "u1")),
    "few angles": lambda c: c.set(SCAN + "omegaCenter", np.zeros(3)),
    "text for angles": lambda c: c.set(SCAN + "omegaCenter", np.full(FRAMES, b"x")),
    "Zarr 3": lambda c: c.members.update({"zarr.json": b"{}"}),
}


@pytest.mark.parametrize("kind", FRAME_DAMAGE)
def test_damaged_frames(kind: str, edited) -> None:
    program = BY_NAME["PeaksFittingOMPZarrRefactor"]
    outcome = call(program, edited(program, FRAME_DAMAGE[kind]))
    outcome.must_be_clean(program)
    assert outcome.code in program.codes, outcome.stdout
    assert ARCHIVE in outcome.stderr
    if kind.endswith("chunk"):
        assert "7.0.0" in outcome.stderr
        assert not [name for name in outcome.changed if "_000008_" in name], "a result of the damaged frame"
    else:
        outcome.must_fail(program)


@pytest.mark.parametrize("kind", ["no data", "flat data", "no frames", "negative shape", "not JSON", "skips all"])
@pytest.mark.parametrize(
    "program", [p for p in READERS if p.name not in ("GetHKLListZarr", "ProcessGrainsZarr")], ids=str
)
def test_a_scan_that_cannot_be(program: Program, kind: str, edited) -> None:
    outcome = call(program, edited(program, FRAME_DAMAGE[kind]))
    outcome.must_fail(program, ARCHIVE)


def test_a_missing_chunk_is_a_frame_of_fill_values(edited, pristine: Path) -> None:
    program = BY_NAME["PeaksFittingOMPZarrRefactor"]
    outcome = call(program, edited(program, lambda c: c.members.pop(f"{DATA}/19.0.0")))
    assert outcome.code == 0, outcome.stderr
    lines = (pristine / f"Temp/{ARCHIVE}_000021_PS.csv").read_bytes()
    assert len(lines.splitlines()) > 1
    assert len(outcome.after) > FRAMES


def test_pixels_of_any_type(edited) -> None:
    """Legal: the type of the array counts, whatever `datatype` says."""
    program = BY_NAME["PeaksFittingOMPZarrRefactor"]
    frames = np.zeros((2, 256, 256), "<f4")

    def change(contents: Contents) -> None:
        contents.set(DATA, frames)
        contents.set(SCAN + "datatype", np.array([b"uint16"]))

    outcome = call(program, edited(program, change))
    outcome.must_be_clean(program)
    assert outcome.code == 0, outcome.stderr


@pytest.mark.parametrize("program", READERS, ids=str)
def test_cut_anywhere(program: Program, pristine: Path, tmp_path: Path) -> None:
    """An incomplete copy."""
    content = (pristine / ARCHIVE).read_bytes()
    for part in (1, 3, 21, 22, 100, len(content) // 3, len(content) - 100, len(content) - 1):
        folder = prepare(program, pristine, tmp_path / f"layer{part}")
        (folder / ARCHIVE).write_bytes(content[:part])
        call(program, folder).must_fail(program, ARCHIVE)
