"""Angles of HDF5 files: where beamlines write them, in which unit, and which point of the frame they mean."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.diagnosis.check import Request, examine
from midas.runtime.errors import FormatError, ParameterError

from .hdf5_files import omegas, write, write_bliss, write_eiger
from .raw_files import BASE, pixels

FRAMES = pixels((6, 12, 10))
BEGINS = 10 - 0.25 * np.arange(6)


@pytest.mark.parametrize(
    "values", [BEGINS, np.append(BEGINS, 8.5), np.stack([BEGINS, BEGINS - 0.25], 1), BEGINS[:, np.newaxis]]
)
@pytest.mark.parametrize(("unit", "factor"), [("", 1), ("deg", 1), ("Radians", np.pi / 180), (b"mrad", np.pi / 0.18)])
def test_shapes_and_units(tmp_path: Path, values: np.ndarray, unit: str, factor: float) -> None:
    path = write(tmp_path / "scan.h5", exchange__data=FRAMES, exchange__omega=values * factor, own__angles=values)
    with h5py.File(path, "a") as file:
        if unit:
            file["exchange/omega"].attrs["units"] = unit
    np.testing.assert_allclose(omegas(path), BEGINS)
    np.testing.assert_array_equal(omegas(path, omega_location="own/angles"), BEGINS)


def test_centres_ends_and_their_widths(tmp_path: Path) -> None:
    """The name says which point it is; what a frame turns stands beside, or follows from the next frame."""
    content = {
        "a__rot_center": BEGINS - 0.125,
        "b__rot_center": BEGINS - 0.1,
        "b__rot_delta": np.full(6, -0.2),
        "c__omega_end": BEGINS - 0.25,
        "d__omega_end": BEGINS - 0.25,
        "d__omega_range_average": -0.25,
        "e__omega": 10.0,
        "e__omega_range_average": -0.25,
    }
    path = write(tmp_path / "scan.h5", exchange__data=FRAMES, **content)
    for name in ("a/rot_center", "b/rot_center", "c/omega_end", "d/omega_end", "e/omega"):
        np.testing.assert_allclose(omegas(path, omega_location=name), BEGINS, err_msg=name)


def test_what_tells_no_rotation_is_not_used(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.h5", exchange__data=FRAMES, exchange__omega=np.zeros(6), exchange__theta=BEGINS[:4])
    assert omegas(path) is None
    path = write(
        tmp_path / "scan.h5", exchange__data=FRAMES, exchange__omega=np.full(6, np.nan), exchange__theta=BEGINS
    )
    np.testing.assert_array_equal(omegas(path), BEGINS)
    with h5py.File(path, "a") as file:
        file["exchange/theta"].attrs["units"] = "mm"
    assert omegas(path) is None


@pytest.mark.parametrize(
    ("values", "unit", "reason"),
    [
        (None, "", "no dataset of this name, which omegaLoc gives"),
        (BEGINS[:5], "", r"has shape \(5,\); omegaLoc names the angles of 6 frames"),
        (np.array(["a"] * 6, "S"), "", "has shape"),
        (np.full(6, np.inf), "", "must hold finite numbers"),
        (BEGINS, "mm", "has the unit 'mm', which is no angle"),
    ],
)
def test_a_named_dataset_must_be_right(tmp_path: Path, values: np.ndarray | None, unit: str, reason: str) -> None:
    path = write(tmp_path / "scan.h5", exchange__data=FRAMES, **({} if values is None else {"my__rot": values}))
    if unit:
        with h5py.File(path, "a") as file:
            file["my/rot"].attrs["units"] = unit
    with pytest.raises(FormatError, match=rf"scan\.h5: my/rot: {reason}"):
        omegas(path, omega_location="my/rot")


def test_detectors_of_dectris(tmp_path: Path) -> None:
    """The angles of all data files stand in the master, also when one is chosen."""
    path = write_eiger(tmp_path, FRAMES, 3, BEGINS)
    np.testing.assert_array_equal(omegas(path, location="entry/data"), BEGINS)
    np.testing.assert_array_equal(omegas(path, location="entry/data/data_000002"), BEGINS[2:4])


def test_rotation_of_nexus(tmp_path: Path) -> None:
    """From the sample along `depends_on`, past what does not rotate; else the one rotation there is."""
    path = write(tmp_path / "scan.nxs", entry__data__data=FRAMES, entry__sample__axes__x=BEGINS)
    with h5py.File(path, "a") as file:
        axes = file["entry/sample/axes"]
        axes.attrs["NX_class"] = "NXtransformations"
        axes["kappa"], axes["omega"] = np.zeros(6), np.radians(BEGINS)
        axes["omega_end"] = np.radians(BEGINS - 0.25)
        file["entry/sample/depends_on"] = "axes/x"
        for name, kind, base in (
            ("x", "translation", "kappa"),
            ("kappa", "rotation", "omega"),
            ("omega", "rotation", "."),
        ):
            axes[name].attrs.update({"transformation_type": kind, "depends_on": base, "units": "rad"})
        axes["omega_end"].attrs.update({"transformation_type": "rotation", "units": "rad"})
    np.testing.assert_allclose(omegas(path, location="entry/data"), BEGINS)
    with h5py.File(path, "a") as file:
        del file["entry/sample/depends_on"]
    np.testing.assert_allclose(omegas(path, location="entry/data"), BEGINS)
    with h5py.File(path, "a") as file:
        file["entry/sample/axes/x"].attrs["depends_on"] = "x"  # in a circle
        file["entry/sample/depends_on"] = "axes/x"
        del file["entry/sample/axes/omega"]
    assert omegas(path, location="entry/data") is None


def test_the_motor_that_the_user_names(tmp_path: Path) -> None:
    motors = {"rot": BEGINS, "samome": BEGINS + 45, "srcur": np.full(6, 0.2)}
    path = write_bliss(tmp_path / "s.h5", {"1.1": (FRAMES, motors)})
    np.testing.assert_array_equal(omegas(path, motor="samome"), BEGINS + 45)
    assert omegas(path, motor="none") is None
    for motor in ("srcur", "nothing"):
        with pytest.raises(FormatError, match=f"OmegaMotor: {motor}: names no rotation of 6 frames"):
            omegas(path, motor=motor)


def test_motors_of_bliss(tmp_path: Path) -> None:
    turned = {"diffrz": BEGINS, "slow": np.arange(6.0)}
    centred = {"rot_center": BEGINS + 90 - 0.125, "rot": np.zeros(6)}
    path = write_bliss(tmp_path / "s.h5", {"1.1": (FRAMES, turned), "2.1": (FRAMES, centred)})
    np.testing.assert_array_equal(omegas(path, scan="1"), BEGINS)
    np.testing.assert_allclose(omegas(path, scan="2"), BEGINS + 90)
    np.testing.assert_array_equal(omegas(path, scan="1", omega_location="measurement/slow"), np.arange(6))


def test_the_sense_of_rotation_is_that_of_the_parameters(
    convert, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A motor that counts the other way round says the same as the parameter file."""
    path = write(tmp_path / "scan.h5", exchange__data=FRAMES, exchange__omega=-BEGINS)
    with convert(data_file=str(path)) as archive:
        np.testing.assert_array_equal(archive.omegas, BEGINS)
    assert "the angles of the raw file run the other way" in caplog.text
    path = write(tmp_path / "scan.h5", exchange__data=FRAMES, my__rot=BEGINS + 1)
    with convert(f"{BASE}\nomegaLoc my/rot\n", data_file=str(path)) as archive:
        np.testing.assert_array_equal(archive.omegas, BEGINS + 1)
    assert "by the raw file at 11; the raw file counts" in caplog.text


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (BEGINS[:4], "/exchange/omega has 4 angles, the scan 6"),
        (np.where(BEGINS > 8.8, BEGINS, np.nan), "1 of 6 angles of"),
    ],
)
def test_angles_that_do_not_fit_are_no_secret(convert, tmp_path: Path, values: np.ndarray, says: str, caplog) -> None:
    """The parameters count, with a warning; without them there is an error, of the check as well."""
    path = write(tmp_path / "scan.h5", exchange__data=FRAMES, exchange__omega=values)
    with convert(data_file=str(path)) as archive:
        np.testing.assert_array_equal(archive.omegas, BEGINS)
    assert f"the angles of the raw file do not fit and are not used: {path}: " in caplog.text and says in caplog.text
    with pytest.raises(
        ParameterError, match="OmegaStep: is missing, and the angles of the raw file do not fit"
    ) as caught:
        convert(BASE.replace("OmegaStep -0.25", ""), data_file=str(path))
    assert says in str(caught.value)
    errors = examine(Request(tmp_path / "ps.txt", parts=("peaks", "radius"), data_file=str(path))).errors
    assert [says in line for line in errors if "OmegaStep" in line] == [True]


def test_a_file_without_an_angle_among_others(convert, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        content = {"exchange__omega": BEGINS} if number else {}
        write(tmp_path / f"scan_{number}.h5", exchange__data=FRAMES, **content)
    with convert(data_file=str(tmp_path / "scan_*.h5")) as archive:
        assert len(archive.omegas) == 18
    assert "1 of 3 files have no angle, scan_0.h5 is the first" in caplog.text


@pytest.mark.parametrize(
    ("name", "unit", "used"), [("th", "", True), ("x", "deg", True), ("x", "", False), ("x", "s", False)]
)
def test_the_axis_of_nexus(tmp_path: Path, name: str, unit: str, used: bool) -> None:
    path = write(tmp_path / "scan.nxs", **{"entry__data__data": FRAMES, f"entry__data__{name}": BEGINS})
    with h5py.File(path, "a") as file:
        file["entry/data"].attrs["axes"] = [name, ".", "."]
        file["entry/data"].attrs["signal"] = "data"
        if unit:
            file[f"entry/data/{name}"].attrs["units"] = unit
    found = omegas(path, location="entry/data")
    assert (found is not None) == used
    if used:
        np.testing.assert_array_equal(found, BEGINS)
        assert omegas(path, location="entry/data", motor="none") is None
