"""What the sections of the page draw from, each part worked out once and when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from midas.experiment.explained import Explained, explained_spots
from midas.experiment.panels import true_pixels
from midas.experiment.spot_flags import read_spot_flags
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_MAP
from midas.formats.resolved import VERDICTS, read_verdicts
from midas.formats.run_record import RunRecord
from midas.formats.stress import SAMPLE, StressFile, read_stress
from midas.results.columns import SPOT_DTYPE
from midas.results.evidence import Predicted
from midas.results.evidence.predicted import Predictor, predictor_of
from midas.results.evidence.residuals import Grains, SpotPlaces, SpotResiduals, spot_residuals
from midas.results.reading import Results
from midas.runtime.errors import MidasError
from midas.runtime.files import read_bytes
from midas.runtime.provenance import fingerprint

Floats = NDArray[np.float64]

#: places of the components 11 12 13 21 22 23 31 32 33 in the order 11 22 33 23 13 12
_SIX = (0, 5, 4, 5, 1, 3, 4, 3, 2)


@dataclass(frozen=True)
class PageOptions:
    """How much goes into the page.

    Parameters
    ----------
    montages : grains whose raw pixels are shown; 0 for none
    threads : that read frames
    """

    montages: int = 12
    threads: int = 1


class Source:
    """A layer as the page sees it.

    Parameters
    ----------
    results : of the layer
    record : of the run, where there is one
    options : how much to show
    """

    def __init__(self, results: Results, record: RunRecord | None, options: PageOptions):
        self.results, self.record, self.options = results, record, options
        #: why something that the page usually has is not there
        self.missing: list[str] = []

    def __len__(self) -> int:
        return len(self.results.grains)

    @cached_property
    def spots(self) -> NDArray[np.void]:
        """The spots of the grains; none where only the grain list is there."""
        try:
            return self.results.spots
        except MidasError as error:
            self.missing.append(f"No spots: {error}")
            return np.empty(0, SPOT_DTYPE)

    @cached_property
    def spot_counts(self) -> NDArray[np.int64]:
        """(n,) spots of each grain."""
        return np.diff(self.results.spot_starts) if len(self.spots) else np.zeros(len(self), np.int64)

    @cached_property
    def predictor(self) -> Predictor | None:
        """What predicts the spots; None where the layer does not say how they were recorded."""
        if not len(self.spots):
            return None
        try:
            return predictor_of(self.results)
        except MidasError as error:
            self.missing.append(f"No predicted spots: {error}")
            return None

    @cached_property
    def predicted(self) -> Predicted | None:
        """The reflections of all grains."""
        return None if self.predictor is None else self.predictor.every(self.options.threads)

    @cached_property
    def residuals(self) -> SpotResiduals | None:
        """What the spots are off by; None where nothing predicts them."""
        if self.predictor is None:
            return None
        view, spots, grains = self.predictor.view, self.spots, self.results.grains
        y, z = true_pixels(view.panels, spots["y_recorded"], spots["z_recorded"])
        row = np.repeat(np.arange(len(grains)), self.spot_counts)
        places = SpotPlaces(row, spots["ring"], np.asarray(y), np.asarray(z), spots["omega_recorded"].copy())
        crystals = Grains(grains["orientation"], grains["cell"], grains["position"], self.results.cell)
        return spot_residuals(places, crystals, view.detector)

    @cached_property
    def explained(self) -> Explained | None:
        """The strong spots, and those of them in no grain."""
        table = self.results.all_spots
        if table is None:
            return None
        return explained_spots(table, np.unique(self.spots["spot_id"]))

    @cached_property
    def saturated(self) -> tuple[int, int] | None:
        """Accepted spots, and how many of them are saturated."""
        table, layer = self.results.all_spots, self.results.layer
        if table is None or layer is None:
            return None
        accepted = table["ring"] > 0
        return int(accepted.sum()), int(read_spot_flags(layer, len(table)).saturated[accepted].sum())

    @cached_property
    def seed_verdicts(self) -> dict[str, int]:
        """Seeds by what became of them; empty where nobody asked."""
        layer = self.results.layer
        if layer is None or not layer.seed_verdicts.exists():
            return {}
        numbers = read_verdicts(layer.seed_verdicts).integers("Verdict")
        counts = np.bincount(numbers, minlength=len(VERDICTS)).tolist()
        return dict(zip(VERDICTS, counts, strict=True))

    @cached_property
    def diagnosis(self) -> str:
        """What the run said of itself where it was not satisfied."""
        layer = self.results.layer
        if layer is None or not layer.diagnosis.exists():
            return ""
        return read_bytes(layer.diagnosis).decode("utf-8", "replace")

    @cached_property
    def stress_file(self) -> StressFile | None:
        """``Stress.csv`` of these grains; None where there is none."""
        layer = self.results.layer
        if layer is None or not layer.stress.exists():
            return None
        found = read_stress(layer.stress)
        if np.array_equal(found.table.integers("GrainID"), self.results.grains["grain_id"]) and _is_of(found, layer):
            return found
        self.missing.append(f"No stresses: {layer.stress} is of other grains; run ff-stress again")
        return None

    @cached_property
    def stress(self) -> Floats | None:
        """(n, 3, 3) MPa, sample frame."""
        if self.stress_file is None:
            return None
        six = self.stress_file.table.numbers(SAMPLE)
        return np.stack([six[:, k] for k in _SIX], axis=1).reshape(-1, 3, 3)

    def number(self, key: str) -> float:
        """A parameter, 0 where there is none."""
        value = self.results.parameters.get(key, 0.0)
        value = value[0] if isinstance(value, tuple) else value
        return float(value) if isinstance(value, (int, float)) else 0.0

    @cached_property
    def counts(self) -> dict[str, int]:
        """What every step found, by the labels of the funnel."""
        counts = _recorded(self.record)
        results, layer = self.results, self.results.layer
        if "merged spots" not in counts and layer is not None and layer.merge_map.exists():
            of_spot = MERGE_MAP.read(layer.merge_map).columns[0]
            counts.setdefault("peaks", len(of_spot))
            counts["merged spots"] = len(np.unique(of_spot))
        if results.all_spots is not None:
            counts["spots on rings"] = len(results.all_spots)
            counts["accepted spots"] = int((results.all_spots["ring"] > 0).sum())
        counts["spots of grains"] = len(np.unique(self.spots["spot_id"]))
        if layer is not None and layer.spots_to_index.exists():
            counts["seeds"] = sum(1 for line in read_bytes(layer.spots_to_index).split(b"\n") if line.strip())
        if self.seed_verdicts and counts.get("seeds") == sum(self.seed_verdicts.values()):
            counts["indexed seeds"] = counts["seeds"] - self.seed_verdicts["unsolved"] - self.seed_verdicts["explained"]
        counts["grains"] = len(self)
        return counts


def _is_of(found: StressFile, layer: Layer) -> bool:
    """Whether the grain list is still the one that the stresses were made of; true where the file does not say."""
    path, _, rest = found.notes.get("input", "").partition(" sha256 ")
    if not path.endswith("/" + layer.grains.name) or not rest:
        return True
    return rest.split()[0] == fingerprint(layer.grains).sha256


#: labels of the summaries of the steps, and those of the funnel
_LABELS = {"frames": "frames", "peaks": "peaks", "merged spots": "merged spots"}


def _recorded(record: RunRecord | None) -> dict[str, int]:
    """What the record of the run counts."""
    counts: dict[str, int] = {}
    for step in () if record is None else record.steps:
        for label, number in step.counts.items():
            if label in _LABELS:
                counts.setdefault(_LABELS[label], int(number))
    return counts
