"""Keys of a parameter file replaced at their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.pipeline.geometry.parameter_file import check_output, copy_in, output_in, source_of, with_values
from midas.runtime.errors import UsageError

TEXT = b"""# the September run
Lsd 501000;   # from the ruler
  BC\t128.3 127.8
LatticeConstant 3.524 3.524 3.524 90 90 90
#tx 3
RingThresh 1 80
Wavelength 0.17"""


def test_lines_keep_their_places_and_comments() -> None:
    values = {"Lsd": (500000.123456789,), "BC": (128.0, 127.5), "tx": (-0.001,), "WedgeModel": ("exact",)}
    changed = with_values(TEXT, values, "Monday").decode().splitlines()
    assert changed == [
        "# Geometry refined on Monday",
        "# the September run",
        "Lsd 500000.1235;   # from the ruler",
        "  BC\t128 127.5",
        "LatticeConstant 3.524 3.524 3.524 90 90 90",
        "#tx 3",
        "RingThresh 1 80",
        "Wavelength 0.17",
        "tx -0.001",
        "WedgeModel exact",
    ]


def test_every_spelling_of_a_key_and_the_ends_of_lines() -> None:
    changed = with_values(b"LatticeConstant 1 1 1 90 90 90\r\nLsd 2\r\n", {"Lsd": (3.0,)}, "Monday")
    assert changed == b"# Geometry refined on Monday\nLatticeConstant 1 1 1 90 90 90\r\nLsd 3\r\n"
    changed = with_values(b"LatticeConstant 1 1 1 90 90 90\n", {"LatticeParameter": (2.0, 2, 2, 90, 90, 90)}, "")
    assert changed.splitlines()[1] == b"LatticeConstant 2 2 2 90 90 90"


def test_the_copy_in_the_layer_folder(tmp_path: Path) -> None:
    """As the user had it: the driver has made the layer's folder the one of the results."""
    own = f"# ResultFolder results\nRingThresh 1 80\nWavelength 0.17\nResultFolder {tmp_path}/\n"
    (tmp_path / "my.txt").write_text(own)
    (tmp_path / "paramstest.txt").write_text(own)
    (tmp_path / "notes.txt").write_text("the beam was low\n")
    text = source_of(Layer(tmp_path), Parameters({}))
    assert text.decode() == "ResultFolder results\nRingThresh 1 80\nWavelength 0.17\n"
    (tmp_path / "other").write_text("RingThresh 1 80\nWavelength 0.2\n")
    with pytest.raises(UsageError, match=r"my\.txt, other.*-paramFN"):
        source_of(Layer(tmp_path), Parameters({}))
    assert source_of(Layer(tmp_path), Parameters({}), tmp_path / "other").startswith(b"RingThresh")


def test_a_second_refinement(tmp_path: Path) -> None:
    """The user's file is a refined one: its first line is replaced, and the file is not."""
    first = with_values(TEXT, {"Lsd": (3.0,)}, "Monday")
    again = with_values(first, {"Lsd": (4.0,)}, "Tuesday")
    assert again.splitlines()[:3] == [
        b"# Geometry refined on Tuesday",
        *TEXT.splitlines()[:1],
        b"Lsd 4;   # from the ruler",
    ]
    assert output_in(tmp_path, tmp_path / "my.txt").name == "ps_refined.txt"
    (tmp_path / "ps_refined.txt").write_bytes(first)
    layer = Layer(tmp_path)
    assert copy_in(layer) == tmp_path / "ps_refined.txt"
    assert output_in(tmp_path, copy_in(layer)).name == "ps_refined_2.txt"
    (tmp_path / "my.txt").write_bytes(TEXT)
    assert copy_in(layer) == tmp_path / "my.txt"
    check_output(tmp_path / "ps_refined.txt")
    check_output(tmp_path / "new.txt")
    with pytest.raises(UsageError, match=r"my\.txt: is there, and no result of ff-geometry"):
        check_output(tmp_path / "my.txt")


def test_a_layer_of_an_archive_alone(tmp_path: Path) -> None:
    given = Parameters.parse("Lsd 500000\nBC 3 4\nRingThresh 1 80\nRingThresh 2 90\nSpaceGroup 225\n")
    text = source_of(Layer(tmp_path), given).decode()
    assert Parameters.parse(text).as_given() == given.as_given()
