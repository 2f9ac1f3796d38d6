"""What is written about a calibration: tables, records, picture, page."""

from __future__ import annotations

import io
import json
import re

import h5py
import made_calibration as made
import numpy as np
import pytest
import tifffile
from PIL import Image

from midas.calibration.powder import tables
from midas.calibration.powder.cake import cake
from midas.calibration.powder.legacy_arrays import arrays
from midas.calibration.powder.page import page
from midas.calibration.powder.panel_images import panel_images
from midas.calibration.powder.picture import png
from midas.calibration.powder.records import as_hdf5, as_json
from midas.calibration.powder.summary import ring_rows, sigma_lines, statistics
from midas.formats.panels import read_shifts, shifts_text
from midas.parameters import Parameters

NONE = np.empty((0, 8))


def legacy_values(text: str) -> dict[str, list[float]]:
    """The block of standard output as the legacy driver reads it: after `Mean Values`, to `Copy to par`."""
    found: dict[str, list[float]] = {}
    reading = False
    for line in text.splitlines():
        if "Mean Values" in line:
            reading = True
        elif "Copy to par" in line:
            break
        elif reading and len(line.split()) > 1 and "***" not in line:
            name, *words = line.split()
            found[name] = [float(word) for word in words]
    return found


def test_standard_output_of_the_legacy_driver() -> None:
    result = made.calibration()
    text = tables.mean_values([result.detector], [statistics(result)])
    found = legacy_values(f"Number of planes\n{text}\n{tables.result_table(result)}")
    assert list(found) == [
        "Lsd", "BC", "ty", "tz", "p0", "p1", "p2", "p3", "MeanStrain", "StdStrain", "MedianStr", "Q25", "Q75",
        "MinStrain", "MaxStrain", "NPoints",
    ]  # fmt: skip
    assert found["Lsd"] == [400350.0] and found["BC"] == [254.37, 258.81] and found["p3"] == [30.0]
    assert found["MeanStrain"] == [20.0] and found["NPoints"] == [len(result.points)]
    lines = text.splitlines()
    assert "Lsd        400350.000000000000" in lines and "NPoints    630" in lines
    assert "           *** microstrain ***" in lines and "MeanStrain 20.000000" in lines
    behind = text.splitlines()[-1:] + tables.result_table(result).splitlines()
    assert "Copy to par" in behind[0] and all(line.startswith("#") for line in behind[1:])
    assert tables.planes_line(7) == "Number of planes being considered: 7."


def test_several_images_are_averaged() -> None:
    result = made.calibration()
    found = legacy_values(tables.mean_values([made.TRUTH, made.START], [statistics(result)] * 2))
    assert found["Lsd"] == [400575.0] and found["MeanStrain"] == [20.0]


def test_corr_csv_by_the_rules_of_the_legacy_driver() -> None:
    result = made.calibration()
    head, *rows = tables.corr_csv(result, NONE, NONE).decode().splitlines()
    names = head.lstrip("%").split()
    assert names[:12] == [
        "Eta", "Strain", "RadFit", "EtaCalc", "DiffCalc", "RadCalc", "Ideal2Theta", "Outlier", "YRawCorr", "ZRawCorr",
        "RingNr", "RadGlobal",
    ]  # fmt: skip
    assert names[12:] == ["SignedStrain", "Sigma", "Panel"]
    table = np.array([[float(word) for word in row.split(" ")] for row in rows])
    assert table.shape == (len(result.points), 15)
    column = dict(zip(names, table.T, strict=True))
    assert np.allclose(column["Strain"], made.STRAIN) and np.allclose(np.abs(column["SignedStrain"]), made.STRAIN)
    tangent = np.tan(np.radians(column["Ideal2Theta"]))
    assert np.allclose(
        column["RadFit"] / (made.TRUTH.lsd * tangent) - 1, column["SignedStrain"], atol=3e-7
    )  # six decimals of 2theta
    assert np.allclose(column["DiffCalc"], np.abs(column["RadCalc"] / (made.START.lsd * tangent) - 1), atol=3e-7)
    assert np.array_equal(column["RadGlobal"], column["RadFit"]) and set(column["RingNr"]) == set(range(1, 8))
    assert np.allclose(column["Eta"], result.points.eta, atol=1e-5) and not column["Outlier"].any()
    # %f %10.8f %10.8f %f %10.8f %10.8f %f %d %f %f %d %10.8f
    decimals = [len(word.partition(".")[2]) for word in rows[0].split(" ")[:12]]
    assert decimals == [6, 8, 8, 6, 8, 8, 6, 0, 6, 6, 0, 8]


def test_the_fragment_has_every_digit_and_keys_of_the_analysis_only() -> None:
    result = made.calibration()
    text = tables.fragment(result, {"NrPixelsY": "512", "NrPixelsZ": "512"})
    keys = [line.split()[0] for line in text.splitlines() if not line.startswith("#")]
    assert keys == ["Lsd", "BC", "tx", "ty", "tz", "p0", "p1", "p2", "p3", "RhoD", "Wavelength", "px",
                    "NrPixelsY", "NrPixelsZ"]  # fmt: skip
    read = Parameters.parse(text)
    for key, value in {"Lsd": 400350.0, "BC": (254.37, 258.81), "p1": 1.5e-4, "Wavelength": 0.172973}.items():
        assert read[key] == value
    assert "Lsd 400350.0  # sigma 0.0001" in text and "p2 0.0008  # fixed: undetermined" in text
    assert "tx 0.0  # fixed" in text


def test_what_the_integrator_wants() -> None:
    text = tables.refined_parameters(made.calibration(), (512, 256), 1, 7, {"ImTransOpt": "2"})
    lines = [line.split("  #")[0] for line in text.splitlines()]
    assert lines[:3] == ["Lsd 400350.0", "BC 254.37 258.81", "tx 0.0"]
    assert lines[9:] == [
        "RhoD 60000.0", "Wavelength 0.172973", "px 200.0", "RMin 10", "RMax 1000", "RBinSize 1", "EtaMin -180",
        "EtaMax 180", "NrPixelsY 512", "NrPixelsZ 256", "EtaBinSize 5", "DoSmoothing 1", "DoPeakFit 1",
        "MultiplePeaks 1", "skipFrame 1", "DataType 7", "ImTransOpt 2",
    ]  # fmt: skip


def test_uncertainty_of_amplitude_and_phase() -> None:
    """Two amplitudes of equal uncertainty: that of p1, and as an angle seen from the origin that of p3."""
    found = sigma_lines(made.calibration())
    assert found["p1"][0] == pytest.approx(1e-4)
    assert found["p3"][0] == pytest.approx(np.degrees(1e-4 / 1.5e-4))
    assert np.isnan(found["p2"][0]) and found["BC"] == (1e-4, 1e-4)


def test_rings_have_mean_and_uncertainty() -> None:
    result = made.calibration()
    rows = list(ring_rows(result))
    assert [row.points for row in rows] == [90] * 7
    assert rows[0].mean == pytest.approx(0, abs=1e-6) and rows[0].rms == pytest.approx(20)
    assert rows[0].sigma == pytest.approx(20 / np.sqrt(90))


def test_json_is_json_without_nan() -> None:
    text = as_json(made.calibration(panels=True), {"image": "x.tif"})
    found = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert found["parameters"]["Lsd"] == [400350.0] and found["sigma"]["p2"] == [None]
    assert found["numbers"]["p2"]["verdict"] == "fixed: undetermined" and found["image"] == "x.tif"
    assert len(found["rings"]) == 7 and len(found["panels"]) == 4 and found["panels"][3]["points"] == 0
    assert np.shape(found["correlation"]) == (len(made.FREE),) * 2


def test_hdf5_holds_the_points_and_what_the_picture_shows() -> None:
    result = made.calibration()
    caked = cake(made.image(), made.TRUTH, NONE)
    content = as_hdf5(result, caked, {"image": "x.tif"})
    assert content == as_hdf5(result, caked, {"image": "x.tif"}), "no time stamps"
    with h5py.File(io.BytesIO(content)) as file:
        assert file["points/strain"].shape == (630,) and file["figure/cake_counts"].shape == caked.counts.shape
        assert file["parameters/BC"][()].tolist() == [254.37, 258.81]
        assert file["parameters/Lsd"].attrs["sigma"] == [1e-4]
        assert file["rings/mean"].shape == (7,) and file["fit/free"].asstr()[0] == "Lsd"
    with h5py.File(io.BytesIO(arrays([result, result], made.image(), caked))) as file:
        assert set(file) == {
            "raw_image_data", "background_data", "threshold_data", "ring_overlay_data", "strain_tth_data_iter0",
            "strain_tth_data_iter1", "final_strain_data", "results_data", "parameters",
        }  # fmt: skip
        assert file["threshold_data/image"][()].max() > 900 and file["threshold_data/threshold"][()] == 100


def test_the_cake_of_a_right_geometry_has_straight_rings() -> None:
    caked = cake(made.image(), made.TRUTH, NONE)
    assert made.TRUTH.wavelength is not None
    for centre in made.rings().two_theta(made.TRUTH.wavelength)[:5]:
        radius = made.TRUTH.lsd * np.tan(np.radians(centre))
        near = np.abs(caked.radius - radius) < 1500
        brightest = caked.radius[near][np.nanargmax(np.nan_to_num(caked.counts[:, near]), axis=1)]
        seen = np.isfinite(caked.counts[:, near]).all(axis=1)
        assert seen.mean() > 0.7 and np.abs(brightest[seen] - radius).max() <= 400


def test_picture_and_page_are_of_the_points() -> None:
    result, caked = made.calibration(panels=True), cake(made.image(), made.TRUTH, NONE)
    result.warnings.append("a <shadow>")
    panels = made.panel_boxes()
    panels[:, 6] = [0.1, -0.2, 0.0, 0.1]
    pixels = np.asarray(Image.open(io.BytesIO(png(result, caked, panels))))
    assert pixels.shape == (1000, 1500, 3)
    green = (pixels == (60, 220, 120)).all(axis=2)
    assert np.count_nonzero(green[:, :750]) > 600 and not green[:, 760:].any()
    assert np.count_nonzero((pixels == (200, 0, 0)).all(axis=2)[:, 760:]) > 200  # running median and arrows
    text = page(result, caked, panels, "x.tif")
    assert "a &lt;shadow&gt;" in text and "Lsd" in text and "fixed: undetermined" in text
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text), "nothing comes from a network"
    assert text.count("plotly-graph-div") == 5


def test_panel_files() -> None:
    result, panels = made.calibration(panels=True), made.panel_boxes()
    panels[1, 6:8] = [0.3, 0.4]
    shifts, strains = (tifffile.imread(io.BytesIO(content)) for content in panel_images(result, panels, (512, 520)))
    assert shifts.shape == (512, 520) and shifts.dtype == np.float32
    assert shifts[400, 100] == np.float32(0.5) and shifts[100, 400] == 0 and shifts[100, 515] == -1
    assert strains[100, 100] == pytest.approx(20) and strains[400, 400] == -1  # no points there


def test_shifts_come_back(tmp_path: object) -> None:
    text = shifts_text([(0.1, -0.2, 0.003), (0.0, 0.5, 0.0)])
    assert text.splitlines()[1] == "0 0.1000000000 -0.2000000000 0.0030000000 0.0000000000 0.0000000000"
    path = tmp_path / "s.txt"  # type: ignore[operator]
    path.write_text(text)
    assert read_shifts(path) == {0: (0.1, -0.2, 0.003), 1: (0.0, 0.5, 0.0)}
