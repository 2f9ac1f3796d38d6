"""Legacy HDF5 files, damaged ones and strange ones: the right numbers, or one line that says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import many_grains
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import midas
from midas.formats.run_record import Input
from midas.results import consolidated
from midas.results.exchange import read_grain_list
from midas.results.reading import Results
from midas.results.tables.sources import LayerTables
from midas.runtime.errors import FormatError

COUNT = 4
#: what a result may be asked for
QUESTIONS: tuple[Callable[[Results], object], ...] = (
    lambda r: r.grains, lambda r: r.spots, lambda r: r.peaks, lambda r: r.spot_starts, lambda r: r.all_spots,
    lambda r: r.parameters, lambda r: r.cell, lambda r: r.operators, lambda r: r.sigma, lambda r: r.covariance,
    lambda r: r.quality, lambda r: r.owners, lambda r: r.record, lambda r: [g.spots for g in r], repr,
    lambda r: r._repr_html_(), lambda r: [r.peaks_of(i) for i in (-1, 0, 1, 10**15)],
)  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file without its layer."""
    folder = tmp_path_factory.mktemp("bad")
    made = many_grains.write(folder / "layer", COUNT)
    written = consolidated.write(made.layer, per_spot_groups=0, tables=LayerTables(sigmas=made.sigmas))
    return Path(shutil.move(written, folder / "lone_consolidated.h5"))


@pytest.fixture
def copy(file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(file, tmp_path))


def answers(path: Path) -> tuple[int, list[FormatError]]:
    """How many questions are answered, and the errors of the others; no other error, and each of one line."""
    answered, errors = 0, []
    try:
        results = midas.read_results(path)
    except FormatError as error:
        return 0, [error]
    for question in QUESTIONS:
        try:
            question(results)
            answered += 1
        except FormatError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            errors.append(error)
    return answered, errors


def test_the_file_is_sound(file: Path) -> None:
    assert answers(file) == (len(QUESTIONS), [])


@pytest.mark.parametrize(
    "name",
    "all_spots/data radius_data radius_data/Omega radius_data/RawSumIntensity grains/summary grains/sigma "
    "grains/covariance spot_matrix/data merge_map merge_map/PeakID constituent_peaks peaks/summary peaks/per_frame "
    "id_rings hkls parameters parameters/SpaceGroup resolve".split(),
)
def test_missing_tables(copy: Path, name: str) -> None:
    with h5py.File(copy, "a") as file:
        del file[name]
    answered, errors = answers(copy)
    optional = name.startswith(("all", "grains/s", "grains/c", "resolve", "peaks", "hkls", "id_", "radius_data/Raw"))
    if name == "grains/summary" or not optional:
        assert answered < len(QUESTIONS) or name in ("radius_data", "merge_map", "constituent_peaks")
    else:
        assert not errors
    if name == "constituent_peaks":  # the tables of the frames hold them as well
        assert np.isfinite(midas.read_results(copy).peaks["intensity"]).all()
    if name == "merge_map":
        assert not len(midas.read_results(copy).peaks)
    if name == "radius_data":
        assert np.isnan(midas.read_results(copy).spots["grain_radius"]).all()


@pytest.mark.parametrize("shape", [(), (3,), (5, 2), (0, 0), (2, 3, 4)])
@pytest.mark.parametrize("name", ["grains/summary", "spot_matrix/data", "id_rings/data", "merge_map/PeakID"])
def test_wrong_shapes(copy: Path, name: str, shape: tuple[int, ...]) -> None:
    with h5py.File(copy, "a") as file:
        del file[name]
        file[name] = np.ones(shape)
    answered, errors = answers(copy)
    assert errors and answered < len(QUESTIONS)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize(
    "name", ["grains/summary", "spot_matrix/data", "id_rings/data", "merge_map/PeakID", "radius_data/RingNr"]
)
def test_numbers_that_are_none(copy: Path, name: str, value: float) -> None:
    with h5py.File(copy, "a") as file:
        values = file[name][()].astype(float)
        values[-1] = value
        del file[name]
        file[name] = values
    _, errors = answers(copy)
    assert any("must be finite numbers below 1e+18" in str(error) for error in errors)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (1, 5.0, r"grains/summary, row 2, O11 \.\.\. O33: 5 .*: is an orientation matrix that is no rotation"),
        (13, 0.0, r"grains/summary, row 2, a \.\.\. gamma: 0 .*: is no cell: must be six positive numbers"),
        (16, 180.0, "is no cell: angles must lie between"),
    ],
)
def test_grains_that_cannot_be(copy: Path, column: int, value: float, reason: str) -> None:
    """By every reader: of results, of grain lists."""
    with h5py.File(copy, "a") as file:
        file["grains/summary"][2, column] = value
    for read in (lambda: midas.read_results(copy).grains, lambda: read_grain_list(copy)):
        with pytest.raises(FormatError, match=reason):
            read()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SpaceGroup", 999, "parameters/SpaceGroup: 999: must be the number of a space group"),
        ("LatticeParameter", np.zeros(6), "parameters/LatticeParameter: 0 0 0 0 0 0: must be six positive numbers"),
        ("LatticeParameter", np.ones(5), "parameters/LatticeParameter: must hold 6 numbers, not 5"),
    ],
)
def test_crystals_that_cannot_be(copy: Path, name: str, value: object, reason: str) -> None:
    with h5py.File(copy, "a") as file:
        del file[f"parameters/{name}"]
        file[f"parameters/{name}"] = value
    for read in (lambda: midas.read_results(copy).cell, lambda: read_grain_list(copy)):
        with pytest.raises(FormatError, match=reason):
            read()


@pytest.mark.parametrize("text", ["name\nname", "f()", "(1,", "9" * 5000])
def test_a_parameter_that_tells_no_values_is_named_in_our_words(copy: Path, text: str) -> None:
    with h5py.File(copy, "a") as file:
        file["parameters"].attrs["Wedge"] = text
    with pytest.raises(FormatError, match="parameters: cannot be read .attribute Wedge tells no values") as caught:
        midas.read_results(copy).parameters  # noqa: B018
    assert "object at 0x" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["grains/summary", "spot_matrix/data", "grains/sigma", "parameters/SpaceGroup"])
def test_text_and_groups_where_numbers_belong(copy: Path, name: str) -> None:
    for content in ("text", None):
        with h5py.File(copy, "a") as file:
            del file[name]
            if content is None:
                file.create_group(name)
            else:
                file[name] = content
        assert answers(copy)[1]


@pytest.mark.parametrize("name", ["grains/summary", "grains", "spot_matrix", "constituent_peaks/data", "parameters"])
def test_links_that_lead_nowhere(copy: Path, name: str) -> None:
    """To themselves, around in a circle, to what is not there, to another file that is not there."""
    for target in ("/" + name, "/circle", "/nothing"):
        with h5py.File(copy, "a") as file:
            del file[name]
            if "circle" in file:
                del file["circle"]
            file["circle"] = h5py.SoftLink("/" + name)
            file[name] = h5py.SoftLink(target)
        assert answers(copy)[1]
    with h5py.File(copy, "a") as file:
        del file[name]
        file[name] = h5py.ExternalLink("absent.h5", "/" + name)
    assert answers(copy)[1]


def test_a_group_in_itself(copy: Path) -> None:
    with h5py.File(copy, "a") as file:
        file["parameters/loop"] = file["parameters"]
        file["grains/loop"] = file["grains"]
    assert len(midas.read_results(copy).grains) == COUNT
    assert any("parameters" in str(error) for error in answers(copy)[1])


def test_a_table_larger_than_any_memory(copy: Path) -> None:
    with h5py.File(copy, "a") as file:
        del file["spot_matrix/data"]
        file.create_dataset("spot_matrix/data", (1 << 40, 12), "f8", chunks=(1024, 12))
    assert any("spot_matrix" in str(error) for error in answers(copy)[1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1))
def test_truncated(file: Path, tmp_path: Path, part: float) -> None:
    content = file.read_bytes()
    path = tmp_path / "cut_consolidated.h5"
    path.write_bytes(content[: int(part * len(content))])
    answers(path)
    if part < 0.9:
        with pytest.raises(FormatError, match="cannot be read"):
            midas.read_results(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=20))
def test_changed_bytes_of_the_tables(file: Path, tmp_path: Path, places: list[tuple[float, int]]) -> None:
    """Of the numbers: bytes of the structure of a file are the library's to check."""
    path = tmp_path / "bent_consolidated.h5"
    shutil.copy(file, path)
    names = ("grains/summary", "spot_matrix/data", "id_rings/data", "merge_map/FrameNr", "all_spots/data")
    with h5py.File(path, "a") as opened:
        for number, (place, byte) in enumerate(places):
            values = opened[names[number % len(names)]]
            content = values[()]
            flat = content.reshape(-1).view(np.uint8)
            flat[int(place * (len(flat) - 1))] = byte
            values[...] = content
    answers(path)


def test_the_run_that_a_file_describes(copy: Path) -> None:
    inputs = [{"role": "raw", "path": "a.h5", "size": 7, "sha256": "0" * 64}]
    with h5py.File(copy, "a") as file:
        file.attrs.update(program="ff-midas", version="10.0", date="2026-11-26T11:00:00Z", command_line="ff-midas")
        file.attrs["inputs"] = json.dumps(inputs)
    record = midas.read_results(copy).record
    assert (record.program, record.version, record.inputs) == ("ff-midas", "10.0", (Input(**inputs[0]),))
    for wrong in ("{", "[1]", '[{"size": 1}]'):
        with h5py.File(copy, "a") as file:
            file.attrs["inputs"] = wrong
        with pytest.raises(FormatError, match="cannot be read"):
            midas.read_results(copy).record  # noqa: B018


# Values in other files


@pytest.mark.parametrize("name", ["parameters/LatticeParameter", "grains/summary", "merge_map/PeakID"])
@pytest.mark.parametrize("way", ["raw", "virtual", "link"])
def test_values_in_files_elsewhere(copy: Path, name: str, way: str) -> None:
    """No number of a file that is not below the folder of this one, directly or through a file beside it."""
    elsewhere = copy.parent.with_name(f"{copy.parent.name} elsewhere")
    elsewhere.mkdir()
    with h5py.File(copy, "a") as file, h5py.File(elsewhere / "secret.h5", "w") as secret:
        content = np.asarray(file[name], np.float64)
        secret["x"] = content
        (elsewhere / "secret").write_bytes(content.tobytes())
        del file[name]
        with h5py.File(copy.with_name("inner.h5"), "w") as inner:
            inner.create_dataset("raw", content.shape, external=[(str(elsewhere / "secret"), 0, content.nbytes)])
            inner["link"] = h5py.ExternalLink(str(elsewhere / "secret.h5"), "x")
        layout = h5py.VirtualLayout(content.shape, np.float64)
        source = str(elsewhere / "secret.h5") if way == "virtual" else "inner.h5"
        layout[...] = h5py.VirtualSource(source, "x" if way == "virtual" else way, shape=content.shape)
        file.create_virtual_dataset(name, layout)
    answered, (error, *_) = answers(copy)
    assert answered == 0
    assert ("not HDF5" if way == "raw" else "not below the folder") in str(error)
    assert "-allowLinks" not in str(error), "who reads results has no such option"


# The form of the legacy exporter


def as_legacy(path: Path) -> None:
    """Undo what our files have beyond it, and its mistakes with the names of columns and the groups of the grains."""
    with h5py.File(path, "a") as file:
        for name in ("grains/sigma", "grains/covariance", "resolve", "radius_data/RawSumIntensity", "parameters/Lsd"):
            if name in file:
                del file[name]
        if "final_spot_id" in file["constituent_peaks"]:
            del file["constituent_peaks/final_spot_id"]
        for group in ("grains", "all_spots", "spot_matrix", "constituent_peaks"):
            data = file[group]["summary" if group == "grains" else "data"]
            data.attrs.pop("column_names", None)
            file[group].attrs["column_names"] = ["wrong"] * (data.shape[1] - 1)
        for name in [name for name in file["grains"] if name.startswith("grain_")]:
            group = file["grains"][name]
            for wrong in ("strain_fable", "strain_kenesei", "confidence", "radius", "euler_angles"):
                if wrong in group:
                    values = group[wrong][()]
                    del group[wrong]
                    group[wrong] = np.full_like(values, 203.16)
        for name in list(file.attrs):
            del file.attrs[name]


def test_legacy_form(file: Path, copy: Path) -> None:
    before, _ = midas.read_results(file), as_legacy(copy)
    after = midas.read_results(copy)
    for name in ("grains", "spots", "peaks", "spot_starts"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert after.sigma is None and after.quality is None and after.covariance is None and after.record is None
    assert answers(copy) == (len(QUESTIONS), [])
    lsd = {key: value for key, value in before.parameters.items() if key != "Lsd"}
    assert after.parameters == lsd


def test_legacy_constituents_without_a_peak(copy: Path) -> None:
    """A row that is NaN from the peak on: a peak whose table is lost."""
    with h5py.File(copy, "a") as file:
        file["constituent_peaks/data"][5, 3:] = np.nan
    peaks = midas.read_results(copy).peaks
    assert np.flatnonzero(np.isnan(peaks["intensity"])).tolist() == [5]
    assert peaks["frame"][5] > 0
