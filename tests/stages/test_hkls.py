"""The hkl list against the legacy lists of all space groups (docs/theory/hkls.md#checks-on-a-result)."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats.hkls import LAYOUT
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.errors import OutputError, ParameterError
from midas.runtime.parallel import Communicator
from midas.stages import hkls

DIGESTS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "hkls.csv").open()))
#: Cell of the reference lists, up to the last space group of the crystal system.
CELLS = {
    2: "5.1 6.2 7.3 83 97 101",
    15: "5.1 6.2 7.3 90 103 90",
    74: "5.1 6.2 7.3 90 90 90",
    142: "5.1 5.1 7.3 90 90 90",
    194: "5.1 5.1 7.3 90 90 120",
    230: "5.1 5.1 5.1 90 90 90",
}
INCOMPLETE = {143, 144, 145, 146, 147, 148, 149, 151, 153, 157, 159, 162, 163}
GOLD = {"SpaceGroup": 225, "LatticeParameter": "4.08 4.08 4.08 90 90 90", "Wavelength": 0.22291, "Lsd": 1e6}


def make(**values: object) -> Parameters:
    """Parameters of gold on the reference detector, with some values replaced (None: left out)."""
    lines = {**GOLD, "RhoD": 204800, **values}
    return Parameters.parse("\n".join(f"{key} {value}" for key, value in lines.items() if value is not None), "ps.txt")


def reference(number: int, **values: object) -> Parameters:
    cell = next(cell for last, cell in CELLS.items() if number <= last)
    return make(SpaceGroup=number, LatticeParameter=cell, **{"Wavelength": 0.2, **values})


@pytest.mark.parametrize("row", DIGESTS, ids=lambda row: row["space_group"])
def test_equals_legacy_list_of_every_space_group(row: dict[str, str], tmp_path: Path, caplog) -> None:
    number = int(row["space_group"])
    layer = Layer(tmp_path)
    for legacy in {1, 1 if number in INCOMPLETE else 0}:
        result = hkls.run(layer, reference(number, LegacyHKLList=legacy))
        content = layer.hkls.read_bytes()
        assert hashlib.md5(content).hexdigest()[:8] == row["md5"]
        assert result.summary == {"reflections": int(row["rows"]), "rings": int(row["rings"])}
        assert np.array_equal(result.data.columns, LAYOUT.read(layer.hkls).columns)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_equals_golden(name: str, golden: Callable[[str], Path], tmp_path: Path) -> None:
    source = golden(name)
    hkls.run(Layer(tmp_path), Parameters.read(source / "Parameters.txt"))
    assert (tmp_path / "hkls.csv").read_bytes() == (source / "hkls.csv").read_bytes()


@pytest.mark.parametrize("number", sorted(INCOMPLETE))
def test_default_list_completes_trigonal_groups(number: int, tmp_path: Path) -> None:
    def rows(legacy: int) -> set[tuple[float, ...]]:
        return set(map(tuple, hkls.run(Layer(tmp_path), reference(number, LegacyHKLList=legacy)).data.columns[:3].T))

    assert rows(1) < rows(0)


@pytest.mark.parametrize("number", [2, 14, 62, 88, 148, 167, 194, 205, 227, 230])
def test_list_has_every_allowed_reflection(number: int, tmp_path: Path) -> None:
    import gemmi

    table = hkls.run(Layer(tmp_path), reference(number)).data
    group = gemmi.find_spacegroup_by_number(number).operations()
    cell = gemmi.UnitCell(*map(float, next(cell for last, cell in CELLS.items() if number <= last).split()))
    d_min = 0.2 / (2 * np.sin(0.5 * np.arctan(0.2048)))
    box = range(-8, 9)
    allowed = {
        (h, k, m): cell.calculate_d((h, k, m))
        for h in box
        for k in box
        for m in box
        if (h, k, m) != (0, 0, 0) and not group.is_systematically_absent((h, k, m))
    }
    found = list(map(tuple, table.columns[:3].T.astype(int).tolist()))
    assert len(found) == len(set(found))
    # Spacings within 0.001 Å are not in order, and the list ends at the first one below d_min.
    assert {h for h, d in allowed.items() if d >= d_min + 0.001} <= set(found)
    assert set(found) <= {h for h, d in allowed.items() if d >= d_min}


CYCLIC = np.roll(np.eye(3, dtype=int), 1, axis=1)
OBVERSE = np.array([[1, 0, 1], [-1, 1, 1], [0, -1, 1]])


@pytest.mark.parametrize(
    ("number", "cell", "other", "transformation"),
    [
        (4, "5.1 6.2 7.3 90 103 90", "6.2 7.3 5.1 103 90 90", CYCLIC),
        (14, "5.1 6.2 7.3 90 103 90", "7.3 5.1 6.2 90 90 103", CYCLIC.T),
        (15, "5.1 6.2 7.3 90 103 90", "6.2 7.3 5.1 103 90 90", CYCLIC),
        (15, "5.1 6.2 7.3 90 103 90", "7.3 5.1 6.2 90 90 103", CYCLIC.T),
        *((n, "5.1 5.1 12.7 90 90 120", "5.1566570 5.1566570 5.1566570 59.2744173 59.2744173 59.2744173", OBVERSE)
          for n in (146, 155, 161, 167)),
    ],
)  # fmt: skip
def test_the_list_follows_the_axes_of_the_cell(
    number: int, cell: str, other: str, transformation: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same reflections under other indices on the same rings; `transformation`: standard axes of the others."""
    standard, found = (
        hkls.run(Layer(tmp_path), make(SpaceGroup=number, LatticeParameter=c, Wavelength=0.2)).data
        for c in (cell, other)
    )
    assert not [r for r in caplog.records if "lacks the symmetry" in r.getMessage()]
    # Where the rounded cells put two families into another order, or beside the cut-off, they are left out.
    near = [table.take(table["d_spacing"] > 1.0) for table in (standard, found)]
    one, two = ({tuple(row): d for *row, d in table.columns[:4].T.tolist()} for table in near)
    back = {tuple((np.array(h) @ transformation).tolist()): d for h, d in two.items()}
    assert len(one) > 100 and one.keys() == back.keys()
    assert all(abs(one[h] - back[h]) < 1e-4 for h in one)


def test_the_word_overrules_the_cell_and_the_legacy_list_has_no_settings(tmp_path: Path) -> None:
    """P 21/n 1 lacks h 0 l of odd h + l, P 21/c those of odd l; the legacy programs knew the latter alone."""

    def zone(**values: object) -> set[tuple[float, ...]]:
        p = make(**{"SpaceGroup": 14, "LatticeParameter": CELLS[15], "Wavelength": 0.2, **values})
        table = hkls.run(Layer(tmp_path), p).data
        return {tuple(h) for h in table.columns[:3].T.tolist() if h[1] == 0}

    assert zone(SpaceGroupSetting="P21/n") == zone(SpaceGroupSetting="b2")
    assert (1, 0, 1) in zone(SpaceGroupSetting="P21/n") and (1, 0, 0) not in zone(SpaceGroupSetting="P21/n")
    assert (1, 0, 1) not in zone() and (1, 0, 0) in zone()
    turned = {"LatticeParameter": "5.1 6.2 7.3 90 90 103"}
    assert zone(**turned) != zone(LegacyHKLList=1, **turned)
    with pytest.raises(ParameterError, match="SpaceGroupSetting: x: must be a setting of space group 14: P121/c1"):
        zone(SpaceGroupSetting="x")


def test_invariants(tmp_path: Path) -> None:
    table = hkls.run(Layer(tmp_path), reference(167)).data
    indices = table.columns[:3].T
    assert np.array_equal(indices[::2], -indices[1::2])
    steps = np.diff(table["ring"])
    assert table["ring"][0] == 1
    assert set(steps) <= {0, 1}
    length = np.sqrt(table["g1"] ** 2 + table["g2"] ** 2 + table["g3"] ** 2)
    assert np.allclose(length * table["d_spacing"], 1, atol=1e-5)


def test_complete_beyond_index_10_and_warns_of_moved_rings(tmp_path: Path, caplog) -> None:
    corundum = make(
        SpaceGroup=167, LatticeParameter="4.7608 4.7608 12.9957 90 90 120", Wavelength=0.295266, Lsd=671545, RhoD=260000
    )
    table = hkls.run(Layer(tmp_path), corundum).data
    legacy = hkls.run(Layer(tmp_path), corundum.changed(LegacyHKLList=1)).data
    ring26 = table.take(table["ring"] == 26)
    assert ring26.columns[:4].T.tolist() == [[0, 0, -12, 1.082975], [0, 0, 12, 1.082975]]
    assert legacy["d_spacing"][legacy["ring"] == 26][0] == 1.078646
    below = int((table["ring"] < 26).sum())
    assert np.array_equal(table.columns[:, :below], legacy.columns[:, :below])
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "ring 26" in warnings[0] and "1.082975" in warnings[0] and "1.078646" in warnings[0]


def test_spacings_within_a_thousandth_keep_their_order(tmp_path: Path) -> None:
    table = hkls.run(Layer(tmp_path), make(SpaceGroup=47, LatticeParameter="5.0 5.0005 4.9997 90 90 90")).data
    first = table.take(table["ring"] <= 3).columns[:5].T.tolist()
    assert first[1::2] == [[0, 0, 1, 4.9997, 1], [0, 1, 0, 5.0005, 2], [1, 0, 0, 5.0, 3]]


def test_no_cut_off(tmp_path: Path) -> None:
    assert len(hkls.run(Layer(tmp_path), reference(1, RhoD=5e6, LegacyHKLList=1)).data) == 9259


def test_later_of_rhod_and_max_ring_rad_wins(tmp_path: Path) -> None:
    small, large = "RhoD 100000", "MaxRingRad 204800"
    base = "\n".join(f"{key} {value}" for key, value in GOLD.items())
    counts = []
    for first, second in [(small, large), (large, small)]:
        parameters = Parameters.parse(f"{base}\n{first}\n{second}\n")
        counts.append(len(hkls.run(Layer(tmp_path), parameters).data))
    assert counts == [58, 8]


def test_no_reflection_gives_header_and_warning(tmp_path: Path, caplog) -> None:
    result = hkls.run(Layer(tmp_path), make(RhoD=1000))
    assert (tmp_path / "hkls.csv").read_bytes() == (LAYOUT.header + "\n").encode()
    assert result.summary == {"reflections": 0, "rings": 0}
    assert "no reflection" in caplog.text


def test_cell_without_the_symmetry_warns_and_gives_the_list(tmp_path: Path, caplog) -> None:
    result = hkls.run(Layer(tmp_path), make(LatticeParameter="4.08 4.08 4.3 90 90 90"))
    assert "lacks the symmetry" in caplog.text
    assert len(result.data) > 0


@pytest.mark.parametrize("key", ["SpaceGroup", "LatticeParameter", "Wavelength", "Lsd", "RhoD"])
def test_missing_key_is_named(key: str, tmp_path: Path) -> None:
    (tmp_path / "hkls.csv").write_text("of an earlier run")
    with pytest.raises(ParameterError, match=key):
        hkls.run(Layer(tmp_path), make(**{key: None}))
    assert not (tmp_path / "hkls.csv").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SpaceGroup", 0),
        ("SpaceGroup", 231),
        ("SpaceGroup", -5),
        ("LatticeParameter", "4.08 -4.08 4.08 90 90 90"),
        ("LatticeParameter", "4.08 4.08 4.08 90 90 180"),
        ("LatticeParameter", "4.08 4.08 4.08 90 0 90"),
        ("LatticeParameter", "4.08 4.08 4.08 20 20 170"),
        ("LatticeParameter", "408 408 408 90 90 90"),
        ("Wavelength", 0),
        ("Wavelength", -1),
        ("Lsd", 0),
        ("RhoD", 0),
    ],
)
def test_impossible_value_is_named(key: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=key):
        hkls.run(Layer(tmp_path), make(**{key: value}))
    assert list(tmp_path.iterdir()) == []


def test_folder_is_created_or_named(tmp_path: Path) -> None:
    hkls.run(Layer(tmp_path / "new" / "layer"), make())
    assert (tmp_path / "new" / "layer" / "hkls.csv").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        hkls.run(Layer(tmp_path / "file"), make())


def test_only_the_first_member_writes(tmp_path: Path) -> None:
    result = hkls.run(Layer(tmp_path), make(), comm=Communicator(1, 2))
    assert len(result.data) == 58
    assert not (tmp_path / "hkls.csv").exists()
