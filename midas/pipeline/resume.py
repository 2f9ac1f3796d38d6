"""Which steps of a layer a run keeps, and why the others run again (docs/reliability.md#resume)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from midas.formats.layer import Layer
from midas.formats.ledger import Entry, Ledger, read_ledger
from midas.ledger import steps
from midas.ledger.recorded import update
from midas.ledger.standing import NEVER, Asked, Reason, standing
from midas.pipeline import asked as asked_steps
from midas.pipeline.step_names import STEPS, steps_named
from midas.runtime.errors import UsageError

if TYPE_CHECKING:
    from midas.convert.options import ConversionOptions
    from midas.pipeline.layer_run import LayerRun
    from midas.pipeline.options import Options

log = logging.getLogger(__name__)

#: what the consolidation is told, which writes into the archive where the spots of the grains come from
_NEW_ARCHIVE = Reason("the archive is a new one", other=True)

#: steps that add to the grains, and do not make them
_ADDED = (steps.PULL, steps.SIGMA, steps.CONSOLIDATION)

#: what a step that -restartFrom names is told
_ASKED_FOR = Reason("as -restartFrom says", other=True)


def conversion_kept(
    options: Options, folder: Path, archive: Path, asked: ConversionOptions, relative_to: Path
) -> Entry | None:
    """The entry of the conversion of a layer if it stands; else what speaks against it is said."""
    from midas.convert.scan import files_of, settled_parameters

    if not options.resumes:
        return None
    layer = Layer(folder, archive)
    ledger = read_ledger(layer.ledger)
    step = steps.conversion(files_of(asked, relative_to), archive)
    forced = {step.name: _ASKED_FOR} if _restart(options) == step.name else {}
    reasons = standing(layer, ledger, [Asked(step, lambda: settled_parameters(asked))], forced)
    _say([step.name], reasons)
    _check_restart(options, [step.name], reasons)
    return None if reasons else ledger.entries[step.name]


def kept_steps(run: LayerRun) -> Mapping[str, Entry]:
    """The entries of the steps that stand, of the first rank, behind the conversion; says why the others run again."""
    options = run.options
    if not options.resumes:
        return {}
    ledger = read_ledger(run.layer.ledger)
    asked = list(run.asked(of_passes(run.layer, ledger)))
    names = [one.step.name for one in asked]
    restart = _restart(options)
    if restart not in ("", "ZipOut", *names):
        if restart != "fit_setup" or "spot_table" not in names:
            raise UsageError("is no step of this run", key="-restartFrom", value=options.restart_from)
        restart = "spot_table"
    given = {restart: _ASKED_FOR} if restart else {}
    if restart == "ZipOut":
        given = {names[0]: _ASKED_FOR}
    if options.convert and run.layer.archive is not None and "ZipOut" not in run.steps.kept:
        given = {steps.CONSOLIDATION.name: _NEW_ARCHIVE} | given
    reasons = standing(run.layer, ledger, asked, given)
    if again := _passes_again(run, ledger, reasons) if "indexing" in names else {}:
        reasons = standing(run.layer, ledger, asked, {**given, **again})
    _say(names, reasons)
    _check_restart(options, names, reasons)
    kept = {name: ledger.entries[name] for name in names if name not in reasons}
    if "process_grains" in kept:  # and with it the later passes
        kept |= {name: entry for name, entry in ledger.entries.items() if steps.first_of(name) != name}
    return kept


def made_again(run: LayerRun) -> tuple[bool, bool]:
    """Whether the grains, and whether the page about them, are made anew, or rest on what is.

    What a run does not ask for stays, as long as it rests on what is kept.
    """
    again = [one.step for one in run.asked(frozenset()) if one.step.name not in run.steps.kept]
    of_layer = [step for step in again if not step.leaf]
    return any(step not in _ADDED for step in of_layer), bool(of_layer) or steps.REPORT in again


def forget_others(run: LayerRun) -> None:
    """A run that does everything afresh leaves nothing in the ledger about later steps that it does not do."""
    if not run.layer.ledger.exists():
        return
    asked = {one.step.name for one in run.asked(frozenset())}
    order = list(STEPS)
    behind = {"spot_table", *order[order.index("merge_overlaps") :]}
    update(run.layer, lambda ledger: ledger.without((behind - asked) & set(ledger.entries)))


def of_passes(layer: Layer, ledger: Ledger) -> frozenset[str]:
    """The names of files that later passes of the indexing have grown."""
    files: tuple[Path, ...] = ()
    if any(name.startswith("indexing_pass") for name in ledger.entries):
        files = (layer.index_best, layer.index_best_full, layer.orient_pos_fit, layer.process_key, layer.fit_best)
    if layer.seed_passes.exists():
        files = (*files, layer.key, layer.spots_to_index)
    return frozenset(str(file.relative_to(layer.folder)) for file in files)


def _passes_again(run: LayerRun, ledger: Ledger, reasons: Mapping[str, Reason]) -> dict[str, Reason]:
    """What the passes of the indexing ask for beyond their steps, which a later pass writes again.

    Grains are resolved again to tell which spots are left for the next pass. Once the seeds of a later pass are among
    the others, the way back leads through all passes, in which the seeds that are done are kept.
    """
    several = run.layer.seed_passes.exists()
    behind = [name for name in ("refining", "process_grains") if name in reasons]
    if "indexing" in reasons or (behind and not several):
        return {}
    entry, now = ledger.entries.get(steps.PASSES), asked_steps.of_passes(run)
    if behind:
        text = f"{behind[0]}: {reasons[behind[0]].text}"
    elif entry is None or not entry.complete:
        text = "its passes are not complete"
    elif entry.parameters != now:
        changed = (key for key in now if now[key] != entry.parameters.get(key))
        text = "; ".join(f"parameter {key} is {now[key]}, was {entry.parameters.get(key)}" for key in changed)
    else:
        return {}
    return (
        {"indexing": Reason(f"{text}; seeds that are done are kept")} if several else {"process_grains": Reason(text)}
    )


def _restart(options: Options) -> str:
    return steps_named(options.restart_from) if options.restart_from else ""


def _check_restart(options: Options, names: list[str], reasons: Mapping[str, Reason]) -> None:
    """What comes before the step of -restartFrom must be there."""
    restart = _restart(options)
    for name in names:
        if not restart or name in (restart, "spot_table" if restart == "fit_setup" else restart):
            return
        if name in reasons and restart != "ZipOut" and reasons[name] is not _ASKED_FOR:
            reason = f"cannot go on there, {name} must run again first ({reasons[name].text}); use -resume 1"
            raise UsageError(reason, key="-restartFrom", value=options.restart_from)


def _say(names: list[str], reasons: Mapping[str, Reason]) -> None:
    """Which steps are kept, and why which run again; of those that were never there nothing need be said."""
    kept = [name for name in names if name not in reasons]
    if kept:
        log.info("Kept: %s", ", ".join(kept))
    causes = [name for name in names if name in reasons and not reasons[name].follows]
    for name in causes:
        behind = [other for other in names if other in reasons and reasons[other].text == f"comes after {name}"]
        end = f"; behind it {', '.join(behind)}" if behind else ""
        if reasons[name].text != NEVER:
            log.info("Again: %s (%s)%s", name, reasons[name].text, end)
