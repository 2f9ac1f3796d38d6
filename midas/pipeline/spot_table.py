"""A layer that starts from the user's table of spots (docs/theory/fit_setup.md#a-table-of-spots-from-elsewhere)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import numpy as np

from midas.experiment.region import limited_omega, within_omegas
from midas.experiment.scan import Ranges, measured_ranges
from midas.formats import spots as formats
from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.layer import Layer
from midas.formats.spots import SpotTables
from midas.formats.table import Table
from midas.ledger import steps
from midas.ledger.recorded import recording
from midas.ledger.standing import Asked
from midas.ledger.steps import Step, spot_table
from midas.parameters import Parameters
from midas.pipeline import asked, inputs
from midas.pipeline.layer_run import LayerRun
from midas.results.tables.sources import LayerTables
from midas.runtime.files import read_bytes, remove, write_atomic
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

#: lines of the user's file that the layer's own ones replace
_OWN = (
    "RingRadii",
    "RingNumbers",
    "OutputFolder",
    "ResultFolder",
    "SpotsFileName",
    "IDsFileName",
    "RefinementFileName",
)


class SpotTableRun(LayerRun):
    """-provideInputAll: from InputAllExtraInfoFittingAll.csv of the result folder to grains."""

    def _start(self) -> tuple[Layer, Parameters]:
        user_file = self.options.user_file
        assert user_file is not None  # `Options.checked` sees to it
        layer = Layer(self.plan.folder, folder_text=f"{self.plan.folder}/")
        if self.comm.rank == 0:
            inputs.prepare_folder(self.options, self.plan)
            if not self.options.resumes:
                _remove_stale(layer)
        self.comm.barrier()
        return layer, user_file.parameters

    def run(self) -> LayerTables:
        """The reflections of the parameter file, the spots of the table, and all that follows."""
        from midas.stages import hkls as stage

        hkls = self.steps.serial("hkls", lambda: stage.run(self.layer, self.parameters))
        self.tables.hkls = hkls
        setup = self.steps.serial("spot_table", lambda: self._spots(hkls))
        if setup is not None:
            self.tables.extra_info = setup.extra_info
        self.check_seeds("spot_table")
        self.comm.barrier()
        self.from_spots(setup, hkls)
        return self.tables

    def grain_parameters(self) -> Parameters:
        """There is no archive: paramstest.txt holds the user's whole file."""
        return self.paramstest()

    def measures_spots(self) -> bool:
        """Never: there are no frames, as `Options.checked` and `inputs.check` say of an option or a key."""
        return False

    def refines_geometry(self) -> bool:
        """Never: there are no pixels."""
        return False

    def _spots(self, hkls: Table | None) -> StageResult[SpotTables]:
        """The table as the setup stage would leave it, the seeds, and paramstest.txt."""
        with recording(self.layer, self._step(), self.parameters) as record:
            _remove_stale(self.layer)
            result = self._made(HKLS.read(self.layer.hkls) if hkls is None else hkls)
            record(result.summary)
        return result

    def _step(self) -> Step:
        user_file = self.options.user_file
        assert user_file is not None  # `Options.checked` sees to it
        source = self.options.result_folder / self.layer.extra_info.name
        return spot_table(source, self.plan.folder / user_file.path.name)

    def asked(self, appended: frozenset[str]) -> Iterator[Asked]:
        """The steps of a run without frames."""
        yield Asked(steps.HKLS, lambda: self.parameters)
        yield Asked(self._step(), lambda: self.parameters, {}, appended)
        yield from asked.of_spots(self, appended)

    def _made(self, hkls: Table) -> StageResult[SpotTables]:
        own = self.parameters.for_stage("pipeline")
        source = self.options.result_folder / self.layer.extra_info.name
        table = formats.read_spots(source, formats.EXTRA_INFO)
        radii = _ring_radii(own, hkls)
        lowest, highest = own["MinOmeSpotIDsToIndex"], own["MaxOmeSpotIDsToIndex"]
        omega, ring = table[limited_omega(own)], own["OverAllRingToIndex"]
        chosen = (table["ring"] == ring) & within_omegas(omega, lowest, highest)
        seeds = table.integers("spot_id")[chosen]
        content = read_bytes(source)
        for path in (self.layer.extra_info, self.layer.input_all):
            write_atomic(path, content)
        write_atomic(self.layer.spots_to_index, "".join(f"{seed}\n" for seed in seeds).encode())
        ranges = () if "OmegaRange" in self.parameters.for_stage("pipeline") else measured_ranges(omega)
        if ranges:
            text = ", ".join(f"{low:g} ... {high:g}" for low, high in ranges)
            reason = "no OmegaRange is given, and the spots lie in omega %s: that counts as measured; give OmegaRange"
            log.warning(f"%s: {reason}", source, text)
        write_atomic(self.layer.paramstest, self._paramstest_text(radii, ranges))
        none = Table(formats.ID_RINGS.names, np.empty((len(formats.ID_RINGS.names), 0)))
        no_hash = Table(formats.IDS_HASH.names, np.empty((len(formats.IDS_HASH.names), 0)))
        data = SpotTables(table.select(formats.INPUT_ALL.names), table, none, no_hash, seeds, self.paramstest())
        return StageResult("spot_table", {"spots": len(table), "seeds": len(seeds)}, data)

    def _paramstest_text(self, radii: dict[int, float], ranges: Ranges) -> bytes:
        """Rings and files of the layer, and the user's whole parameter file."""
        folder, layer = self.plan.folder, self.layer
        lines = [line for ring, radius in radii.items() for line in (f"RingRadii {radius!r}", f"RingNumbers {ring}")]
        lines += [
            f"OutputFolder {folder}/{layer.output.name}",
            f"ResultFolder {folder}/{layer.results.name}",
            f"SpotsFileName {layer.input_all.name}",
            f"IDsFileName {layer.spots_to_index.name}",
            f"RefinementFileName {layer.extra_info.name}",
        ]
        lines += [f"OmegaRange {low!r} {high!r}" for low, high in ranges]
        user_file = self.options.user_file
        assert user_file is not None
        text = user_file.with_settings({**self.plan.settings, **user_file.settings(self.options)}, dropped=_OWN)
        return os.fsencode("".join(f"{line}\n" for line in lines)) + text


def _remove_stale(layer: Layer) -> None:
    """What an earlier run from frames left would be joined with these spots."""
    stale = (layer.id_rings, layer.ids_hash, layer.merge_map, layer.input_all_no_header, layer.paramstest)
    remove(layer.detector_pixels, layer.seed_passes)
    remove(*stale, *layer.folder.glob("Radius_StartNr_*.csv"), *layer.folder.glob("Result_StartNr_*.csv"))


def _ring_radii(own: Parameters, hkls: Table) -> dict[int, float]:
    """Ring -> radius in µm of its first reflection, in the order of RingThresh."""
    numbers = hkls.integers("ring")
    radii = {}
    for ring, _ in own.rings():
        rows = np.flatnonzero(numbers == ring)
        if not len(rows):
            raise own.error("RingThresh", f"ring {ring} is not in hkls.csv")
        radii[ring] = float(hkls["ring_radius"][rows[0]])
    if own["OverAllRingToIndex"] not in radii:
        raise own.error("OverAllRingToIndex", "must be one of the rings of RingThresh")
    return radii
