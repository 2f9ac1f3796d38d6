"""From the image of a powder and a scan to grains, without a guess: ``python benchmarks/blind.py [NUMBER ...]``.

Every number draws an instrument: tilts, beam centre, distance, distortion, wedge, and how the detector is mounted. Then
nothing but the command lines of a user: ff-calibrate without a start, ff-midas, ff-geometry with its loop. A user knows
the powder, the sample, the wavelength, the size of a pixel, the sense of omega, and which edge of the raw image is up;
how else the image lies must come from what the commands say of the spots.

Every grain must be found within 2 um (the mean height and the common turn about the axis removed, which no data tell)
and 20e-6 in any component of the strain (mean dilatation removed, since the lattice is trusted), and none must be
spurious: "good". A command that ends with an error, and says why, has "refused". Anything else is WRONG.

With --absolute the distance and the beam centre stay those of the powder (``-fix Lsd,BC -trust none``), and nothing is
removed from the errors.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from calibration import calibrate, report
from crystal_sets.grains import NICKEL, scattered
from powder_images.lines import face_centred, lines
from powder_images.recipe import PowderSet, powder_image
from powder_images.sets import cubic

from midas import simulation
from midas.archive import Archive
from midas.commands.run import run
from midas.diagnosis.certificate import ALIKE, GIVEN
from midas.diagnosis.flips import WORDS
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage
from midas.parameters import Parameters
from midas.results.matching.compare import Comparison, compare
from midas.simulation import samples

COUNT = 20
#: of the beam, and edge of cerium dioxide as it is sold, Å
WAVELENGTH, CEO2 = 0.172979, 5.411651
#: largest error of a grain: position (um) and any component of the strain
POSITION, STRAIN = 2.0, 20e-6
#: of a scan: degrees
START, STEP, END = -90.0, 1.0, 90.0
#: what a user writes who knows nothing of the turn about the beam
WIDE = {"MarginRadial": 800, "MarginEta": 6000, "MarginOme": 2, "Width": 1200}
RINGS, THRESHOLD = range(1, 6), 40


@dataclass(frozen=True)
class Size:
    """What is tested.

    Parameters
    ----------
    pixels : of a side of the detector, which is 204.8 mm whatever their number
    grains : of the sample
    absolute : the distance and the beam centre stay those of the powder, and errors are as they are
    """

    pixels: int = 1024
    grains: int = 15
    absolute: bool = False

    @property
    def px(self) -> float:
        """Size of a pixel, um."""
        return 204800 / self.pixels


@dataclass(frozen=True)
class Instrument:
    """What nobody is told.

    Parameters
    ----------
    detector : in the laboratory
    operations : ``ImTransOpt`` that turns the raw image into what the laboratory sees
    """

    detector: DetectorGeometry
    operations: tuple[int, ...]

    def raw(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """An image or frame of the laboratory as the detector writes it."""
        for operation in reversed(self.operations):
            image = {1: image[..., ::-1], 2: image[..., ::-1, :], 3: image.swapaxes(-1, -2)}[operation]
        return image


def drawn(number: int, size: Size) -> Instrument:
    """Of a test."""
    random = np.random.default_rng([11, number])
    middle, (tx, ty, tz) = (size.pixels - 1) / 2, random.uniform(-3, 3, 3)
    centre = middle + random.uniform(-15, 15, 2)
    p0, p1, p2 = random.uniform(-1, 1, 3) * [3e-4, 2e-4, 1e-3]
    lsd, wedge, p3 = 500000 * random.uniform(0.98, 1.02), random.uniform(-0.3, 0.3), random.uniform(-180, 180)
    detector = DetectorGeometry(
        lsd=lsd, y_bc=centre[0], z_bc=centre[1], px=size.px, rho_d=102400.0, tx=tx, ty=ty, tz=tz,
        p0=p0, p1=p1, p2=p2, p3=p3, wedge=wedge, wavelength=WAVELENGTH,
    )  # fmt: skip
    return Instrument(detector, WORDS[random.integers(len(WORDS))])


def write_image(instrument: Instrument, size: Size, number: int, file: Path) -> None:
    """The image of cerium dioxide."""
    powder = PowderSet(
        instrument.detector, instrument.detector, (size.pixels,) * 2, lines(cubic(CEO2), face_centred, 0.5)
    )
    counts = powder_image(powder, number).counts
    tifffile.imwrite(file, instrument.raw(counts).astype(np.uint32))


def write_scan(instrument: Instrument, size: Size, number: int, folder: Path, threads: int) -> Path:
    """The scan of the sample, raw; the file of the true grains."""
    d = instrument.detector
    geometry = {"Lsd": d.lsd, "BC": (d.y_bc, d.z_bc), "RhoD": d.rho_d, "Wedge": d.wedge}
    geometry |= {key: getattr(d, key) for key in ("tx", "ty", "tz", "p0", "p1", "p2", "p3")}
    values = {
        "NrPixels": size.pixels, "px": size.px, "Wavelength": WAVELENGTH, "OmegaStart": START, "OmegaEnd": END,
        "OmegaStep": STEP, "OmegaRange": [(START, END)], "OmegaSpread": 0.6 * STEP, "Noise": "poisson",
        "Background": 10, "RandomSeed": number, "WriteAnalysisZip": 1, "PeakIntensity": 5000, **geometry,
    }  # fmt: skip
    sample = samples.Sample("blind", 225, NICKEL, partial(scattered, 300 + number, size.grains), values)
    file = samples.write_sample(sample, folder)
    archive = simulation.run(file, threads=threads, folder=folder).data.archive
    assert archive is not None
    with Archive(str(archive)) as made, h5py.File(folder / "scan.h5", "w") as raw:
        frames = made.frames
        data = raw.create_dataset("exchange/data", (len(frames), size.pixels, size.pixels), np.uint16)
        for frame in range(len(frames)):
            data[frame] = instrument.raw(frames[frame])
    archive.unlink()
    return folder / sample.truth_file


class Refused(Exception):
    """A command that ended with words."""


class User:
    """Runs commands in a folder.

    Parameters
    ----------
    folder : with ceo2.tif and scan.h5
    """

    def __init__(self, folder: Path, size: Size, threads: int):
        self.folder, self.size, self.threads = folder, size, threads
        self.said: list[str] = []

    def run(self, *words: object) -> tuple[int, str, str]:
        """Exit code, what a command says, and its error."""
        argv = [*map(str, words[1:]), "-nCPUs", str(self.threads)]
        output, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
            code = run(str(words[0]), argv)
        self.said.append(f"$ {' '.join(map(str, words))}\n{output.getvalue()}{error.getvalue()}exit code {code}\n")
        return code, output.getvalue(), error.getvalue()

    def must(self, *words: object) -> str:
        """What a command says that must end well."""
        code, output, error = self.run(*words)
        if code:
            raise Refused(error.strip() or f"{words[0]} ended with {code}")
        return output


@dataclass(frozen=True)
class Reached:
    """What a user ends with.

    Parameters
    ----------
    calibrated, refined : parameter files
    grains : Grains.csv
    tried : ways in which the image was taken to lie, one after the other
    """

    calibrated: Path
    refined: Path
    grains: Path
    tried: list[tuple[int, ...]]


def chain(user: User, up: tuple[float, float]) -> Reached:
    """From the two files to grains; `up` is the direction (columns, rows) of the raw image that is up.

    Begins with an image that lies as it is, and follows what the commands say of it.
    """
    tried: list[tuple[int, ...]] = [()]
    fixed = ("-fix", "Lsd,BC", "-trust", "none") if user.size.absolute else ()
    while True:
        name = "".join(map(str, tried[-1])) or "0"
        image = ["-trans", *(tried[-1] or (0,))]
        powder = ["-calibrant", "CeO2", "-wavelength", WAVELENGTH, "-px", f"{user.size.px:g}"]
        user.must("ff-calibrate", user.folder / "ceo2.tif", *powder, *image, "-out", user.folder / f"powder{name}")
        calibrated = user.folder / f"powder{name}" / "ps_calibrated.txt"
        file = user.folder / f"ps{name}.txt"
        file.write_text(calibrated.read_text() + sample_keys())
        results = user.folder / f"results{name}"
        scan = ["-paramFN", file, "-dataFN", user.folder / "scan.h5", "-resultFolder", results]
        code, _, error = user.run("ff-midas", *scan, "-perSpotGroups", 0)
        layer = results / "LayerNr_1"
        if code:
            readings = readings_of_failure(error, tried[-1])
        else:
            output = user.must("ff-geometry", layer, "-maxPasses", 3, *fixed)
            readings = readings_of_table(output, tried[-1])
            if "still moving: see" in output:
                raise Refused("ff-geometry: still moving after 3 passes")
        right = [one for one in readings if direction_up(one) == up]
        if not right:
            raise Refused(error.strip() or "no reading of the image that is as good has this end up")
        if right[0] == tried[-1]:
            return Reached(calibrated, layer / "Geometry" / "ps_refined.txt", layer / "Geometry" / "Grains.csv", tried)
        if right[0] in tried:
            raise Refused(f"the image lies in none of the ways that were tried: {error.strip()}")
        tried.append(right[0])


def sample_keys() -> str:
    """Of the parameter file: the sample and the scan."""
    cell = " ".join(f"{number:g}" for number in NICKEL)
    keys = {
        "LatticeParameter": cell, "SpaceGroup": 225, "dataLoc": "exchange/data", "OmegaStart": START,
        "OmegaStep": STEP, "OverAllRingToIndex": 2, "Rsample": 1000, "Hbeam": 400, "Completeness": 0.8, "MinEta": 6,
        **WIDE,
    }  # fmt: skip
    rings = [f"RingThresh {ring} {THRESHOLD}" for ring in RINGS]
    return "\n".join([*(f"{key} {value}" for key, value in keys.items()), *rings, ""])


def direction_up(operations: Sequence[int]) -> tuple[float, float]:
    """Columns and rows of the raw image that are one pixel up in the laboratory."""
    image = PaddedImage(1, 1, operations)
    (column, row), (column_up, row_up) = image.to_raw(0, 0), image.to_raw(0, 1)
    return column_up - column, row_up - row


def operations_in(words: str, given: tuple[int, ...]) -> tuple[int, ...] | None:
    """``ImTransOpt`` of a reading; None with the other sense of omega, which is known."""
    step = re.search(r"OmegaStep ([-.\d]+)", words)
    image = re.search(r"ImTransOpt ([0-3](?: and [0-3])*)", words)
    if step is not None and float(step[1]) != STEP:
        return None
    if image is None:
        return given
    return () if image[1] == "0" else tuple(map(int, image[1].split(" and ")))


def readings_of_failure(error: str, given: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The ways in which ff-midas says that the image lies; it has found no grains."""
    best = re.search(r"is wrong: with (.*?) the strongest seeds reach", error)
    others = re.search(r"cannot tell this from (.*?), the instrument can", error)
    if best is None:
        raise Refused(error.strip())
    words = [best[1], *(re.findall(r"\(([^)]*)\)", others[1]) if others else ())]
    return [one for one in (operations_in(text, given) for text in words) if one is not None]


def readings_of_table(output: str, given: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The ways in which ff-geometry says that the image lies, or may lie as well."""
    rows = re.findall(r"^(ImTransOpt .*?) {2,}\S+  (.*)$", output, re.MULTILINE)
    better = [words for words, verdict in rows if verdict.startswith("fits better")]
    alike = [words for words, verdict in rows if verdict in (GIVEN, ALIKE)]
    return [one for one in (operations_in(text, given) for text in better or alike) if one is not None]


@dataclass(frozen=True)
class Errors:
    """Of the grains.

    Parameters
    ----------
    true, found, spurious : grains
    position : largest distance, um
    strain : largest component
    """

    true: int
    found: int
    spurious: int
    position: float
    strain: float

    @classmethod
    def of(cls, pairs: Comparison, absolute: bool) -> Errors:
        """From the partners: absolute, or without mean height, common turn about the axis and mean dilatation."""
        if not pairs.recovered:
            return cls(pairs.true_count, 0, pairs.spurious, np.inf, np.inf)
        x, y, _ = pairs.true_position.T
        shift, strain = pairs.found_position - pairs.true_position, pairs.lattice_strain
        if not absolute:
            shift[:, :2] -= np.radians(pairs.rotation[:, 2].mean()) * np.column_stack([-y, x])
            shift[:, 2] -= shift[:, 2].mean()
            strain = strain - strain.trace(axis1=1, axis2=2).mean() / 3 * np.eye(3)
        distance = np.linalg.norm(shift, axis=1).max()
        return cls(pairs.true_count, pairs.recovered, pairs.spurious, float(distance), float(np.abs(strain).max()))

    @property
    def good(self) -> bool:
        """Whether they are as required."""
        complete = self.found == self.true and not self.spurious
        return complete and self.position <= POSITION and self.strain <= STRAIN

    def __str__(self) -> str:
        return (
            f"grains {self.found} of {self.true}, spurious {self.spurious}; "
            f"position {self.position:.2f} um, strain {1e6 * self.strain:.1f}e-6"
        )


def differences(file: Path, truth: DetectorGeometry, *names: str) -> str:
    """A parameter file against the truth."""
    found = DetectorGeometry.from_parameters(Parameters.read(file))
    parts = {
        "Lsd": f"{found.lsd - truth.lsd:+.0f} um",
        "BC": f"{found.y_bc - truth.y_bc:+.4f} {found.z_bc - truth.z_bc:+.4f} px",
        **{name: f"{getattr(found, name.lower()) - getattr(truth, name.lower()):+.4f}" for name in names},
    }
    return ", ".join(f"{name} {text}" for name, text in parts.items())


def judged(number: int, size: Size, folder: Path, threads: int) -> str:
    """Verdict of a drawn instrument, after its report."""
    instrument, begun = drawn(number, size), time.process_time()
    write_image(instrument, size, number, folder / "ceo2.tif")
    truth = write_scan(instrument, size, number, folder, threads)
    made = time.process_time()
    user, errors, lines = User(folder, size, threads), None, [str_of(instrument)]
    try:
        reached = chain(user, direction_up(instrument.operations))
        lines.append(f"calibrated {differences(reached.calibrated, instrument.detector, 'ty', 'tz')}")
        lines.append(f"refined {differences(reached.refined, instrument.detector, 'tx', 'ty', 'tz', 'Wedge')}")
        lines.append(f"image read as {', then '.join(str(list(one)) for one in reached.tried)}")
        errors = Errors.of(compare(truth, reached.grains, omega_step=STEP, turn_positions=True), size.absolute)
        verdict = "good" if errors.good else "WRONG"
        lines.append(str(errors))
    except Refused as refusal:
        verdict = f"refused: {refusal}"
    (folder / "commands.log").write_text("\n".join(user.said))
    seconds = f"CPU {made - begun:.1f} s to make, {time.process_time() - made:.1f} s to analyse"
    print(f"{number:2d}  " + "\n    ".join([*lines, f"{seconds}: {verdict}"]), flush=True)
    return verdict


def str_of(instrument: Instrument) -> str:
    """In a line."""
    d = instrument.detector
    tilts = " ".join(f"{getattr(d, name):+.2f}" for name in ("tx", "ty", "tz"))
    return (
        f"Lsd {d.lsd:.0f}, BC {d.y_bc:.1f} {d.z_bc:.1f}, tilts {tilts}, Wedge {d.wedge:+.2f}, "
        f"p {d.p0:+.1e} {d.p1:+.1e} {d.p2:+.1e} {d.p3:+.0f}, ImTransOpt {list(instrument.operations)}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("numbers", nargs="*", type=int, metavar="NUMBER", help=f"by default 0 ... {COUNT - 1}")
    options.add_argument("--pixels", type=int, default=Size.pixels, help="of a side")
    options.add_argument("--grains", type=int, default=Size.grains)
    options.add_argument("--absolute", action="store_true", help="keep the distance and the beam centre of the powder")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--folder", type=Path, help="where the files stay; by default nowhere")
    values = options.parse_args()
    numbers, size = values.numbers or range(COUNT), Size(values.pixels, values.grains, values.absolute)
    calibration, begun, verdicts = calibrate(), time.process_time(), []
    for number in numbers:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if values.folder is None else values.folder / f"{number:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            verdicts.append(judged(number, size, folder, values.threads))
    good, wrong = verdicts.count("good"), verdicts.count("WRONG")
    required = len(verdicts) - len(verdicts) // COUNT
    missed = "" if good >= required and not wrong else "  MISSED"
    print(f"good {good} of {len(verdicts)}, required {required}; wrong {wrong}, required 0{missed}")
    report("all, CPU", time.process_time() - begun, "s", calibration)


if __name__ == "__main__":
    main()
