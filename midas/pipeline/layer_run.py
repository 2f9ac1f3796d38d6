"""One layer through all stages, which hand their tables on in memory and write the files of the separate commands.

A stage's module is imported when it runs, so that a wrong input is reported at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from midas.formats.layer import Layer
from midas.ledger.recorded import recording
from midas.ledger.standing import Asked
from midas.ledger.steps import first_look, geometry
from midas.parameters import Parameters
from midas.pipeline import asked, inputs, layer_page, record
from midas.pipeline.opened_layer import opened_layer
from midas.pipeline.options import Options
from midas.pipeline.plan import LayerPlan
from midas.pipeline.steps import Steps
from midas.runtime.errors import MidasError, NothingFoundError
from midas.runtime.parallel import Communicator

if TYPE_CHECKING:
    from midas.diagnosis.look.findings import Look
    from midas.formats.run_record import RunRecord
    from midas.formats.spots import SpotTables
    from midas.formats.table import Table
    from midas.results.tables.sources import LayerTables
    from midas.runtime.result import StageResult
    from midas.stages.binning import BinaryTables
    from midas.stages.peaks import FramePeaks

log = logging.getLogger(__name__)

_NO_SEEDS = (
    "No ID was found in SpotsToIndex.csv file. Please check the ring thresholds, OverAllRingToIndex, "
    "MinOmeSpotIDsToIndex and MaxOmeSpotIDsToIndex"
)


class LayerRun:
    """One layer: its folder, its archive, and what the stages hand to each other.

    Attributes
    ----------
    tables : those in memory so far, for the consolidated file; only the first rank's are complete
    said : the warnings of the run, which its owner adds to
    record : how the results come about, on the first rank
    refined_geometry : the parameter file with the geometry from the grains, on the first rank
    """

    def __init__(self, options: Options, plan: LayerPlan, comm: Communicator, said: Sequence[str] = ()):
        from midas.results.tables.sources import LayerTables

        self.options, self.plan, self.comm, self.said = options, plan, comm, said
        self.threads = options.thread_count
        self.steps = Steps(plan.folder, comm)
        self.tables = LayerTables()
        self._peaks: list[FramePeaks] | None = None
        self.refined_geometry: Path | None = None
        before = record.earlier(plan.folder) if comm.rank == 0 else None
        self.layer, self.parameters = self._start()
        self._keep()
        self.record: RunRecord | None = None
        if comm.rank == 0:
            kept = self.steps.kept
            self.record = record.started(options, plan, self.layer, self.parameters, before, comm.size, kept)
            self.write_record()

    def _keep(self) -> None:
        """Find out which steps are left as they are, and remove the results of the others."""
        from midas.pipeline import resume

        kept = resume.kept_steps(self) if self.comm.rank == 0 else None
        self.steps.kept = {**self.steps.kept, **self.comm.broadcast(kept)}
        if self.comm.rank:
            return
        if not self.options.resumes:
            resume.forget_others(self)
        else:
            grains, page = resume.made_again(self)
            inputs.remove_results(self.layer, grains=grains, page=page)
            for name in self.steps.kept:
                self.steps.keeps(name)

    def asked(self, appended: frozenset[str]) -> Iterator[Asked]:
        """The steps that the options ask for behind the conversion; see `midas.pipeline.asked`."""
        return asked.of_frames(self, appended)

    def own_parameters(self) -> Parameters:
        """Those of the archive, or of the user's file where there is none."""
        return self.parameters

    def _start(self) -> tuple[Layer, Parameters]:
        archive = None
        if self.comm.rank == 0:
            inputs.prepare_folder(self.options, self.plan)
        self.comm.barrier()
        if self.comm.rank == 0:
            archive = inputs.prepare_archive(self.options, self.plan, self.steps)
        archive = self.comm.broadcast(archive)
        self.steps.kept = self.comm.broadcast(self.steps.kept)
        return opened_layer(self.plan.folder, archive)

    def run(self) -> LayerTables:
        """All stages that the options ask for, and the results of the layer."""
        from midas.stages import hkls as stage

        if self.options.look:
            self.steps.serial("first_look", self.look)
        hkls = self.steps.serial("hkls", lambda: stage.run(self.layer, self.parameters))
        self.tables.hkls = hkls
        if self.options.peak_search:
            self.search(hkls)
        if self.options.peak_search_only:
            return self.tables
        self.from_spots(self.setup(hkls), hkls)
        return self.tables

    def from_spots(self, setup: SpotTables | None, hkls: Table | None) -> None:
        """Spots to grains, and the results in one file."""
        binned = self.binning(setup)
        self.grains(setup, binned, hkls)
        if self.comm.rank == 0 and not self.steps.keeps("consolidation"):
            with self.steps.step("consolidation"):
                self.consolidate()
            self.steps.say("consolidation")
        if self.refines_geometry():
            self.refine_geometry()

    def write_record(self, failure: str = "") -> None:
        """How the results came about so far, of the first rank."""
        if self.record is not None:
            self.record = record.with_steps(self.record, self.steps, self.said, failure)
            self.record.write(self.layer.run_record)

    def report(self) -> Path | None:
        """The page about the grains, on the first rank; None where there is none, of which the console says why."""
        if self.comm.rank or not self.options.report or self.tables.grains is None:
            return None
        if self.steps.keeps("report"):
            return self.layer.report
        try:
            with self.steps.step("report"):
                return layer_page.of_layer(self.layer, self.parameters, self.threads)
        except MidasError as error:  # the results are there, and ff-report writes it again
            log.warning("there is no report: %s; run ff-report %s", error, self.layer.folder)
            return None

    def look(self) -> StageResult[Look]:
        """Frames to a page about them."""
        from midas.convert.scan import RawScan
        from midas.diagnosis.look import run as looking

        if self.layer.archive is None:
            raise ValueError("the first look needs an archive")
        scan = RawScan.archived(Path(self.layer.archive), threads=self.threads)
        with recording(self.layer, first_look(self.layer.look), self.parameters) as record:
            result = looking.run(scan, self.layer.folder, threads=self.threads)
            record({})
        return result

    def search(self, hkls: Table | None) -> None:
        """Frames to peaks."""
        from midas.stages import peaks as stage

        self._peaks = self.steps.shared(
            "peaksearch",
            lambda: stage.run(
                self.layer,
                self.parameters,
                threads=self.threads,
                comm=self.comm,
                hkls=hkls,
                force=self.options.force,
                resume=self.options.keeps_parts,
                keep_pixels=False,
            ),  # fmt: skip
        )

    def merge(self) -> Table | None:
        """Peaks to merged spots."""
        from midas.stages import merge as stage

        peaks, self._peaks = self._peaks, None
        merged = self.steps.serial(
            "merge_overlaps", lambda: stage.run(self.layer, self.parameters, threads=self.threads, peaks=peaks)
        )
        if peaks is not None:
            self.tables.peaks = [table for table, _ in peaks]
        if merged is None:
            return None
        self.tables.merged, self.tables.merge_map = merged
        return self.tables.merged

    def setup(self, hkls: Table | None) -> SpotTables | None:
        """Merged spots to spots in the laboratory, and seeds."""
        from midas.stages import fit_setup as stage
        from midas.stages import radius as sizes

        merged = self.merge()
        radius = self.steps.serial(
            "calc_radius",
            lambda: sizes.run(self.layer, self.parameters, threads=self.threads, hkls=hkls, merged=merged),
        )
        setup = self.steps.serial(
            "fit_setup",
            lambda: stage.run(
                self.layer, self.parameters, threads=self.threads, hkls=hkls, radius=radius,
                more_lines=self.paramstest_lines(),
            ),
        )  # fmt: skip
        if setup is not None:
            self.tables.radius, self.tables.extra_info = radius, setup.extra_info
            self.tables.id_rings, self.tables.ids_hash = setup.id_rings, setup.ids_hash
        self.check_seeds("fit_setup")
        self.comm.barrier()
        return setup

    def check_seeds(self, step: str) -> None:
        """There is something to index, as the first rank knows."""
        if not (self.steps.found.get(step, {}).get("seeds", 1) or self.options.grains_file):
            raise NothingFoundError(_NO_SEEDS, nothing="no seeds")

    def paramstest_lines(self) -> tuple[str, ...]:
        """Lines that the setup stage does not hand on by itself: guided indexing, rings without a say."""
        lines = []
        if self.options.grains_file is not None:
            lines.append(f"GrainsFile {self.options.grains_file}")
        if self.options.user_file is not None:
            lines += self.options.user_file.lines("RingsToExcludeFraction")
        else:
            rings = self.parameters.for_stage("pipeline")["RingsToExcludeFraction"]
            lines += [f"RingsToExcludeFraction {ring}" for ring in rings]
        return tuple(lines)

    def paramstest(self) -> Parameters:
        """Those that the setup hands on."""
        return Parameters.read(self.layer.paramstest, "paramstest")

    def grain_parameters(self) -> Parameters:
        """Those that the grain stage reads."""
        return self.parameters

    def binning_parameters(self) -> Parameters:
        """Those of paramstest.txt, without bins unless somebody asked for them."""
        parameters = self.paramstest()
        if self.options.legacy_bins is not None:
            return parameters.changed(WriteLegacyBins=self.options.legacy_bins)
        if "WriteLegacyBins" not in self.parameters.for_stage("pipeline"):
            # Of all stages only legacy programs read the bins, which are half a gigabyte.
            parameters = parameters.changed(WriteLegacyBins=0)
        return parameters

    def binning(self, setup: SpotTables | None) -> BinaryTables | None:
        """The spots in the form that indexing and refinement read."""
        from midas.stages import binning as stage

        def run() -> StageResult[BinaryTables]:
            return stage.run(self.layer, self.binning_parameters(), threads=self.threads, spots=setup)

        return self.steps.serial("binning", run)

    def grains(self, setup: SpotTables | None, binned: BinaryTables | None, hkls: Table | None) -> None:
        """Seeds to orientations, refined seeds, grains."""
        from midas.pipeline.grain_search import GrainSearch

        search = GrainSearch(self, self.paramstest(), setup, binned, hkls)
        found = search.find()
        if found is not None:
            self.tables.grains, self.tables.spot_matrix = found.grains, found.spot_matrix
            self.tables.grain_ids_key, self.tables.spots_to_index = found.grain_ids_key, search.seeds
            self.tables.spot_owners, self.tables.grain_quality = found.spot_owners, found.grain_quality
            self.tables.seed_verdicts = found.seed_verdicts
        if self.measures_spots():
            self.measure_spots(hkls)
        self.uncertainty()

    def measures_spots(self) -> bool:
        """What the option says, or else the key."""
        if self.options.measure_spots is not None:
            return self.options.measure_spots == 1
        return bool(self.grain_parameters().for_stage("pull")["MeasureSpots"])

    def measure_spots(self, hkls: Table | None) -> None:
        """The spots of the grains on the frames, and the grains refined on these."""
        from midas.stages.grains import pull

        tables = self.tables
        measured = self.steps.serial(
            "measure_spots",
            lambda: pull.run(
                self.layer, self.grain_parameters(), threads=self.threads, grains=tables.grains,
                spot_matrix=tables.spot_matrix, extra_info=tables.extra_info, quality=tables.grain_quality, hkls=hkls,
            ),
        )  # fmt: skip
        if measured is not None:
            tables.grains, tables.spots_measured = measured.grains, measured.spots
            tables.grain_quality = measured.quality

    def uncertainty(self) -> None:
        """How well the numbers of the grains are known."""
        from midas.calibration.grains import sigma
        from midas.calibration.grains.fitted import GrainTables
        from midas.calibration.grains.layer import frames_of

        def work() -> StageResult[sigma.SigmaTables]:
            t = self.tables
            given = None
            if t.grains is not None and t.spot_matrix is not None and t.extra_info is not None:
                frames = frames_of(len(t.extra_info), t.id_rings, t.radius)
                given = GrainTables(t.grains, t.spot_matrix, t.extra_info, t.spot_owners, t.spots_measured, frames)
            return sigma.run(
                self.layer, self.grain_parameters(), threads=self.threads, track=self.options.grains_file is not None,
                tables=given, quality=t.grain_quality,
            )  # fmt: skip

        found = self.steps.serial("grain_sigma", work)
        if found is not None:
            self.tables.sigmas = found.sigmas
            self.tables.grain_quality = found.quality

    def refines_geometry(self) -> bool:
        """What the option says, or else the key."""
        if self.options.refine_geometry is not None:
            return self.options.refine_geometry == 1
        return bool(self.grain_parameters().for_stage("pipeline")["RefineGeometry"])

    def refine_geometry(self) -> None:
        """The geometry from the grains, and the stages once more with it, until nothing moves."""
        from midas.pipeline.geometry.run import of_driver
        from midas.runtime.result import StageResult

        def work() -> StageResult[Path | None]:
            if self.tables.grains is not None and not len(self.tables.grains):
                return StageResult("geometry", {"grains": 0}, None)
            with recording(self.layer, geometry(self.options.parameter_file), self.parameters) as record:
                result = of_driver(self.layer, self.options.parameter_file, self.threads, self.options.per_spot_groups)
                record(result.summary)
            return result

        self.refined_geometry = self.steps.serial("refine_geometry", work)
        if self.comm.rank == 0 and self.steps.keeps("refine_geometry"):
            self.refined_geometry = next(self.layer.geometry_folder.glob("*_refined*.txt"), None)

    def consolidate(self) -> None:
        """The results of the layer in one file, and the provenance in its archive."""
        from midas.calibration import sigma_of_grains
        from midas.pipeline import consolidation

        self.tables.parameters = self.parameters
        self.write_record()
        if self.steps.keeps("grain_sigma"):  # the covariances are in no file
            self.tables.sigmas = sigma_of_grains(self.layer, threads=self.threads).rounded()
        consolidation.of_layer(self.layer, self.parameters, self.tables, self.options.per_spot_groups)

    def read_kept(self) -> None:
        """Read the tables that the end of the run tells of, where the steps that wrote them are kept."""
        if self.comm.rank or not self.steps.keeps("process_grains"):
            return
        from midas.results.tables.sources import Sources

        known = Sources(self.layer, self.tables)
        self.tables.grains, self.tables.spot_matrix = known.grains, known.spot_matrix
        self.tables.extra_info = known.extra_info
