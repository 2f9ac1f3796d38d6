"""Calibration from powder rings: errors against known geometries, and a real image; each figure with its limit.

A real image and the mask of a real detector are not part of the project: `--data` names the folder that has them, and
without it these parts are left out. See docs/theory/calibration.md#figures.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from calibration import calibrate as unit_of_time
from calibration import report
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from powder_images import sets
from powder_images.lines import face_centred, lines
from powder_images.recipe import Panels, PowderSet, powder_image
from powder_images.scoring import map_error
from powder_images.seen import rings_of, unshifted

from midas.calibration.powder.calibrate import PLACEMENT, Series, calibrate
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.settings import CalibrationSettings
from midas.experiment.detector import DetectorGeometry
from midas.experiment.ring_fit import GEOMETRY, RingFitSettings, solve
from midas.experiment.ring_model import RingModel, RingPoints, Setting
from midas.runtime.errors import MidasError

Array = NDArray[np.float64]
#: s, of fixed arithmetic
UNIT = unit_of_time()
#: of the real image
REAL = DetectorGeometry(
    lsd=208700.0, y_bc=487.0, z_bc=512.0, px=172.0, rho_d=125000.0, wavelength=0.4066,
)  # fmt: skip


def line(name: str, reached: float | str, required: str) -> None:
    text = reached if isinstance(reached, str) else f"{reached:.4g}"
    print(f"{name:<58} {text:>14}   required {required}", flush=True)


def run(powder: PowderSet, image: PowderImage | Series, **settings: object) -> Calibration:
    start = settings.pop("start", powder.start)
    wanted = CalibrationSettings(panels=unshifted(powder), **settings)  # type: ignore[arg-type]
    return calibrate(image, rings_of(powder), start, wanted)  # type: ignore[arg-type]


def timed(work: Callable[[], Calibration]) -> tuple[Calibration, float]:
    begin = time.process_time()
    return work(), time.process_time() - begin


def errors(powder: PowderSet, found: Calibration) -> dict[str, float]:
    truth = Setting.of(powder.detector, powder.panels.packed() if powder.panels else None)
    return {name: found.value[name] - truth.value(name) for name in found.free}


def change(one: Calibration, other: Calibration) -> float:
    """The largest, in sigma of the first."""
    if one.free != other.free:
        return np.inf
    return max(abs(one.value[name] - other.value[name]) / one.sigma[name] for name in one.free)


def hold_out(found: Calibration, panels: Array) -> Array:
    """Strains (1e-6) of every other sector of 2 degrees against a fit to the rest."""
    p = found.points
    odd = np.floor((p.eta + 180.0) / 2.0).astype(int) % 2 == 1
    spacing = found.rings.d_spacing[p.ring]

    def some(rows: NDArray[np.bool_]) -> RingPoints:
        return RingPoints.of(p.y_px[rows], p.z_px[rows], spacing[rows], p.sigma[rows], p.panel[rows])

    begin = Setting.of(found.detector, panels)
    fit = solve(some(~odd), begin, RingFitSettings(panels=len(panels) > 0, fewest_points=3))
    strain, _ = RingModel(some(odd), fit.setting, fit.names).strains(fit.setting)
    return np.abs(strain) * 1e6


def trimmed(strain: Array) -> float:
    """Mean of what is left when what exceeds twice the mean is taken out three times."""
    for _ in range(3):
        strain = strain[strain < 2 * strain.mean()]
    return float(strain.mean())


def flat(small: bool) -> tuple[PowderSet, PowderImage, Calibration]:
    powder = sets.flat(small)
    image = powder_image(powder)
    found, cpu = timed(lambda: run(powder, image))
    error, mapped = errors(powder, found), map_error(powder, found.detector)
    line("F: Lsd, um", abs(error["Lsd"]), "<= 3")
    line("F: BC, px", max(abs(error["BCy"]), abs(error["BCz"])), "<= 0.002")
    line("F: ty, tz, degrees", max(abs(error["ty"]), abs(error["tz"])), "<= 0.001")
    line("F: error of the map, mean, 1e-6", mapped.mean, "<= 1.5")
    line("F: error of the map, largest, 1e-6", mapped.largest, "<= 8")
    line("F: mean |e|, 1e-6", float(np.abs(found.strain).mean() * 1e6), "<= 10")
    report("F: CPU", cpu, "s", UNIT, "required <= 10")
    line("F: memory, MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "<= 1000")
    two = run(powder, image, threads=2)
    line("F: one thread and two", "same" if two.strain.tobytes() == found.strain.tobytes() else "other", "same")
    return powder, image, found


def seeds(small: bool, draws: int) -> None:
    powder = sets.flat(small)
    pulls = []
    for seed in range(1, draws + 1):
        found = run(powder, powder_image(powder, seed))
        pulls.append([error / found.sigma[name] for name, error in errors(powder, found).items()])
    for name, rms in zip(GEOMETRY, np.sqrt(np.mean(np.square(pulls), axis=0)), strict=True):
        line(f"F: {draws} draws, rms of (fit - truth) / sigma, {name}", float(rms), "0.8 ... 1.4")


def eta_bins(powder: PowderSet, image: PowderImage) -> None:
    lsd = [run(powder, image, eta_bin=eta_bin).value["Lsd"] for eta_bin in (0.5, 1.0, 2.0, 5.0)]
    line("F: Lsd with bins of 0.5, 1, 2, 5 degrees differs by, um", float(np.ptp(lsd)), "<= 2")


def turned(powder: PowderSet, image: PowderImage, found: Calibration) -> None:
    side = len(image.counts) - 1
    start = powder.start
    for quarter in range(1, 4):
        start = replace(start, y_bc=start.z_bc, z_bc=side - start.y_bc)
        counts = np.ascontiguousarray(np.rot90(image.counts, quarter))
        masked = np.ascontiguousarray(np.rot90(image.masked, quarter))
        other = run(powder, replace(image, counts=counts, masked=masked), start=start)
        name = f"F: turned by {90 * quarter} degrees"
        line(f"{name}, Lsd, um", abs(other.value["Lsd"] - found.value["Lsd"]), "<= 0.5")
        pair = ("ty", "tz") if quarter == 2 else ("tz", "ty")
        tilts = [abs(abs(other.value[a]) - abs(found.value[b])) for a, b in zip(("ty", "tz"), pair, strict=True)]
        line(f"{name}, tilts exchanged, degrees", max(tilts), "<= 0.001")


def starts(name: str, found: Calibration, again: Callable[..., Calibration]) -> None:
    truth = found.detector
    for factor, y, z in ((1.01, 10, -10), (1.01, -10, 10), (0.99, 10, 10), (0.99, -10, -10)):
        rough = replace(truth, lsd=truth.lsd * factor, y_bc=truth.y_bc + y, z_bc=truth.z_bc + z)
        rough = replace(rough, ty=0.0, tz=0.0, p0=0.0, p1=0.0, p2=0.0, p3=0.0)
        line(f"{name}: Lsd x {factor}, BC {y:+d} {z:+d} px, sigmas", change(found, again(start=rough)), "<= 0.1")
    nowhere = replace(truth, lsd=np.nan, y_bc=np.nan, z_bc=np.nan, ty=0.0, tz=0.0, p0=0.0, p1=0.0, p2=0.0, p3=0.0)
    begin = time.process_time()
    line(f"{name}: no start, sigmas", change(found, again(start=nowhere, search=True)), "<= 0.1")
    line(f"{name}: no start, CPU, s", time.process_time() - begin, "")


def wavelength(powder: PowderSet, image: PowderImage, small: bool) -> None:
    try:
        run(powder, image, free=(*GEOMETRY, "Wavelength"), demanded=("Wavelength",))
        line("F: wavelength beside p0 ... p3", "fitted", "refused")
    except MidasError:
        line("F: wavelength beside p0 ... p3", "refused", "refused")
    rigid = replace(powder, detector=replace(powder.detector, p0=0.0, p1=0.0, p2=0.0, p3=0.0))
    found = run(rigid, powder_image(rigid), free=(*PLACEMENT, "Wavelength"))
    line("F without distortion: sigma of the wavelength, A", found.sigma["Wavelength"], "about 4e-6")
    off = found.value["Wavelength"] - sets.WAVELENGTH
    line("F without distortion: wavelength, sigmas", off / found.sigma["Wavelength"], "")
    far = sets.moved(small)
    series = Series([image, powder_image(far, 1)], (0.0, sets.travel(small)))
    found = run(powder, series, free=(*GEOMETRY, "Wavelength"))
    line("F at two distances: sigma of the wavelength, A", found.sigma["Wavelength"], "")
    off = found.value["Wavelength"] - sets.WAVELENGTH
    line("F at two distances: wavelength, sigmas", off / found.sigma["Wavelength"], "")


def modules(small: bool, data: Path) -> None:
    powder = sets.modules(data, small)
    image = powder_image(powder)
    found, cpu = timed(lambda: run(powder, image))
    mapped = map_error(powder, found.detector, found.panels)
    pull = np.array([error / found.sigma[name] for name, error in errors(powder, found).items()])
    line("M: mean |e| of held out bins, 1e-6", float(hold_out(found, unshifted(powder)).mean()), "<= 8")
    line("M: error of the map, mean, 1e-6", mapped.mean, "<= 3")
    line("M: error of the map, rms, 1e-6", mapped.rms, "<= 10")
    line("M: Lsd, um", abs(errors(powder, found)["Lsd"]), "")
    line("M: numbers of panels within 3 sigma, %", 100 * float((np.abs(pull[9:]) < 3).mean()), ">= 90")
    report("M: CPU", cpu, "s", UNIT, "required <= 15")


def real_image(data: Path) -> tuple[PowderImage, Rings, Array]:
    """Image, rings and panels."""
    raw = tifffile.imread(data / "golden" / "calibration" / "CeO2_Pilatus1M_deflate.tif")[::-1].astype(float)
    padding = [(0, max(raw.shape) - side) for side in raw.shape]
    masked = np.pad(raw < 0, padding, constant_values=True)
    image = PowderImage(np.pad(np.maximum(raw, 0), padding), masked, 1, np.inf, raw.shape)
    ceo2 = lines(sets.cubic(sets.CEO2), face_centred, 0.45)
    rings = Rings(np.arange(1, len(ceo2.d_spacing) + 1), ceo2.d_spacing, ceo2.multiplicity)
    return image, rings, Panels((2, 5), (487, 195), ((7,), (17,) * 4), np.zeros((10, 3))).packed()


def real(data: Path) -> None:
    image, rings, panels = real_image(data)
    none = np.empty((0, 8))
    for shifts, words, limits in (
        (none, "without panels", ("<= 345", "<= 180", "208743 +- 25")),
        (panels, "with panels", ("<= 215", "<= 100", "208657 +- 40")),
    ):

        def again(start: DetectorGeometry = REAL, search: bool = False, shifts: Array = shifts) -> Calibration:
            return calibrate(image, rings, start, CalibrationSettings(search=search, panels=shifts))

        found, cpu = timed(again)
        strain = hold_out(found, shifts)
        line(f"real 1M, {words}: mean |e| of held out bins, 1e-6", float(strain.mean()), limits[0])
        line(f"real 1M, {words}: trimmed, 1e-6", trimmed(strain), limits[1])
        line(f"real 1M, {words}: Lsd, um", f"{found.value['Lsd']:.1f}", limits[2])
        line(f"real 1M, {words}: sigma of Lsd, um", found.sigma["Lsd"], "")
        report(f"real 1M, {words}: CPU", cpu, "s", UNIT, "required <= 5")
        starts(f"real 1M, {words}", found, again)


def further(small: bool) -> None:
    for name, make in sets.FURTHER.items():
        powder = make(small)
        image = powder_image(powder)
        for search in (False, True):
            words = f"{name}, {'no start' if search else 'start given'}"
            try:
                found = run(powder, image, search=search)
            except MidasError as error:
                line(words, "refused", str(error)[:80])
                continue
            mapped = map_error(powder, found.detector)
            worst = max(abs(error) / found.sigma[n] for n, error in errors(powder, found).items())
            line(f"{words}: mean error of the map, 1e-6", mapped.mean, f"{len(found.warnings)} warnings")
            line(f"{words}: worst number, sigmas", worst, "< 4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("flat", "seeds", "bins", "turned", "starts", "wavelength", "modules", "real", "further")
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=[], help="all without any")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path, help="folder with golden/calibration")
    parser.add_argument("--small", action="store_true", help="small images, for which no limit is meant")
    options = parser.parse_args()
    needs_data = {"real"} if options.small else {"real", "modules"}
    wanted = options.parts or [part for part in parts if options.data or part not in needs_data]
    powder, image, found = flat(options.small)
    work: dict[str, Callable[[], None]] = {
        "seeds": lambda: seeds(options.small, options.seeds),
        "bins": lambda: eta_bins(powder, image),
        "turned": lambda: turned(powder, image, found),
        "starts": lambda: starts("F", found, lambda **changed: run(powder, image, **changed)),
        "wavelength": lambda: wavelength(powder, image, options.small),
        "modules": lambda: modules(options.small, options.data),
        "real": lambda: real(options.data),
        "further": lambda: further(options.small),
    }
    for part in wanted:
        work.get(part, lambda: None)()


if __name__ == "__main__":
    main()
