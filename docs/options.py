"""The page of options: what the programs say about themselves, with the test and the difference of each.

``python docs/options.py > docs/options.md``; tests/test_options_page.py compares, and looks for every test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from midas.commands.names import MODULES, program
from midas.commands.program import Program
from midas.parameters.table import KEYS
from midas.runtime.options import Option

_PIPELINE = "tests/pipeline/"
_STARTS, _OPTIONS = f"{_PIPELINE}test_starts.py::test_", f"{_PIPELINE}test_options.py::test_"
_LAYERS, _NAMES = f"{_PIPELINE}test_layers.py::test_", f"{_PIPELINE}test_names.py::test_"
_FAILURES = f"{_PIPELINE}test_failures.py::test_"
_CONVERT = "tests/convert/test_conversion.py::test_"
_STAGES = "tests/stages/"
_EXPORT = "tests/results/exchange/"
_GEOMETRY = "tests/end_to_end/test_geometry_command.py::test_"
_SAME = "–"
_LINKS = "tests/convert/test_hdf5_links.py::test_"
_NOT_FOLLOWED = "new; links to other folders were followed"

#: (short name of a program, option) -> test, difference from the legacy program
TESTS: dict[tuple[str, str], tuple[str, str]] = {
    ("ff-midas", "-paramFN"): (f"{_LAYERS}user_files_stay_as_they_are", "the user's file is never changed"),
    ("ff-midas", "-dataFN"): (
        f"{_NAMES}a_named_file_is_the_layer_that_was_asked_for",
        "names of archive and results; an archive alone needs no `-paramFN`",
    ),
    ("ff-midas", "-resultFolder"): (f"{_OPTIONS}layers_from_numbered_files_through_paths_with_blanks", _SAME),
    ("ff-midas", "-nCPUs"): ("tests/end_to_end/test_determinism.py::test_threads", "default: every core (legacy 10)"),
    ("ff-midas", "-startLayerNr"): (f"{_OPTIONS}raw_folder_of_the_command_line", _SAME),
    ("ff-midas", "-endLayerNr"): (
        f"{_FAILURES}the_other_layers_run_when_one_fails",
        "a layer that fails does not end the run",
    ),
    ("ff-midas", "-convertFiles"): (
        f"{_NAMES}a_newer_archive_replaces_the_copy_of_an_earlier_run",
        "0: a raw file names the archive that was made of it; Padding counts; a newer archive replaces the copy",
    ),
    ("ff-midas", "-doPeakSearch"): (f"{_OPTIONS}peak_search_alone_and_the_rest_later", _SAME),
    ("ff-midas", "-allowPartial"): ("tests/robustness/test_missing_parts.py::test_the_driver_hands_it_on", "new"),
    ("ff-peaks", "-force"): (f"{_STAGES}test_crowding.py::test_the_option", "new"),
    ("ff-midas", "-force"): (f"{_STAGES}test_crowding.py::test_the_option_of_the_driver", "new"),
    ("ff-midas", "-peakSearchOnly"): (
        f"{_OPTIONS}peak_search_alone_and_the_rest_later",
        "with `-doPeakSearch 0` an error, because nothing would be done",
    ),
    ("ff-midas", "-legacyBins"): (f"{_PIPELINE}test_starts.py::test_bins_of_the_driver", "new"),
    ("ff-midas", "-measureSpots"): (f"{_STAGES}test_pull.py::test_option_of_the_driver", "new"),
    ("ff-midas", "-numFrameChunks"): (f"{_OPTIONS}conversion_options_arrive", "memory never grows with the scan"),
    ("ff-midas", "-preProcThresh"): (f"{_OPTIONS}conversion_options_arrive", "the dark is subtracted once"),
    ("ff-midas", "-rawDir"): (f"{_OPTIONS}raw_folder_of_the_command_line", "in the copy of the parameter file only"),
    ("ff-midas", "-grainsFile"): (
        f"{_OPTIONS}seed_grains",
        "relative to where you are; needs no `MinNrSpots`; works with `-provideInputAll`",
    ),
    ("ff-midas", "-fileName"): (f"{_STARTS}one_file_of_many", "runs once; any number of digits; files of a sweep"),
    ("ff-midas", "-batchMode"): (
        f"{_STARTS}batch_of_files_with_gaps_and_darks",
        "`dark_000003.ge3` is a dark; two files of one number are an error; every file unless `-endLayerNr` is given",
    ),
    ("ff-midas", "-provideInputAll"): (
        f"{_STARTS}from_a_table_of_spots",
        "rings that are not in `hkls.csv`, and tables without seeds, are errors; one layer only",
    ),
    ("ff-midas", "-darkFN"): (f"{_STARTS}other_datasets_and_another_dark", "new in the driver"),
    ("ff-midas", "-dataLoc"): (f"{_STARTS}other_datasets_and_another_dark", "new in the driver"),
    ("ff-midas", "-darkLoc"): (f"{_STARTS}other_datasets_and_another_dark", "new in the driver"),
    ("ff-midas", "-allowLinks"): (f"{_LINKS}the_option_of_the_driver", "new"),
    ("ff-midas", "-perSpotGroups"): (f"{_OPTIONS}per_spot_groups", "new"),
    ("ff-midas", "-report"): (f"{_OPTIONS}report", "new; 1 by default"),
    ("ff-midas", "-refineGeometry"): (f"{_GEOMETRY}the_loop_of_the_driver", "new"),
    ("ff-export", "-format"): (f"{_EXPORT}test_export.py::test_one_file", "new"),
    ("ff-export", "-o"): (f"{_EXPORT}test_export.py::test_one_file", "new"),
    ("ff-export", "-voxel"): (f"{_EXPORT}test_laguerre.py::test_box_and_grid", "new"),
    ("ff-export", "-box"): (f"{_EXPORT}test_ebsd.py::test_ctf", "new"),
    ("ff-export", "-slice"): (f"{_EXPORT}test_ebsd.py::test_ctf", "new"),
    ("ff-geometry", "-maxPasses"): (f"{_GEOMETRY}the_loop_of_the_command", "new"),
    ("ff-geometry", "-force"): (f"{_GEOMETRY}a_fit_that_is_wanted_anyway", "new"),
    ("ff-geometry", "-share"): (f"{_GEOMETRY}two_layers_of_one_sample", "new"),
    ("ff-geometry", "-nCPUs"): (f"{_GEOMETRY}the_loop_of_the_command", "new"),
    ("ff-geometry", "-paramFN"): (
        "tests/pipeline/geometry/test_parameter_file.py::test_the_copy_in_the_layer_folder",
        "new",
    ),
    ("ff-midas", "-resume"): ("tests/pipeline/test_resume.py::test_what_stands_is_kept", "new"),
    ("ff-midas", "-restartFrom"): ("tests/pipeline/test_resume.py::test_restart", "new"),
    ("ff-midas", "-look"): ("tests/diagnosis/look/test_look.py::test_the_driver_looks_too", "new"),
    ("ff-midas", "-machineName"): (
        f"{_OPTIONS}a_cluster_is_told_what_to_type",
        "starts no jobs: says what to type in a job there",
    ),
    ("ff-midas", "-nNodes"): (f"{_OPTIONS}a_cluster_is_told_what_to_type", "as `-machineName`"),
    ("ff-midas", "-reprocess"): (f"{_LAYERS}reprocess_in_a_moved_folder", "in place; exit 1 if a layer fails"),
    ("ff-convert", "-resultFolder"): (f"{_CONVERT}the_command_line", "created if missing"),
    ("ff-convert", "-paramFN"): (f"{_CONVERT}the_command_line", _SAME),
    ("ff-convert", "-dataFN"): (f"{_CONVERT}the_command_line", "name of the archive"),
    ("ff-convert", "-darkFN"): ("tests/convert/test_dark.py::test_dark_files", _SAME),
    ("ff-convert", "-dataLoc"): (f"{_CONVERT}any_layout_of_the_file_and_any_block", _SAME),
    ("ff-convert", "-allowLinks"): (f"{_LINKS}the_option", _NOT_FOLLOWED),
    ("ff-convert", "-darkLoc"): ("tests/convert/test_dark.py::test_dark_files", _SAME),
    ("ff-convert", "-numFrameChunks"): (f"{_CONVERT}any_layout_of_the_file_and_any_block", _SAME),
    ("ff-convert", "-preProcThresh"): ("tests/convert/test_dark.py::test_a_threshold_subtracts_the_dark_now", _SAME),
    ("ff-convert", "-numFilesPerScan"): (f"{_CONVERT}three_files_and_skipped_frames", _SAME),
    ("ff-convert", "-LayerNr"): (f"{_CONVERT}names_from_the_parameter_file", _SAME),
    ("ff-convert", "-numPxY"): ("tests/commands/test_convert.py::test_what_is_only_recorded", _SAME),
    ("ff-convert", "-numPxZ"): ("tests/commands/test_convert.py::test_what_is_only_recorded", _SAME),
    ("ff-convert", "-omegaStep"): ("tests/commands/test_convert.py::test_what_is_only_recorded", _SAME),
    ("ff-update", "--new"): ("tests/archive/test_update.py::test_a_new_dataset_has_to_be_meant", "new"),
    ("ff-compare", "--omega-step"): ("tests/results/matching/test_compare.py::test_half_step_rule", "new"),
    ("ff-compare", "--turn-positions"): (
        "tests/results/matching/test_compare.py::test_turned_positions_are_nearer",
        "new",
    ),
    ("ff-compare", "--space-group"): (
        "tests/results/matching/test_compare.py::test_symmetry_comes_from_the_header_or_the_options",
        "new",
    ),
    ("ff-compare", "--lattice"): (
        "tests/results/matching/test_compare.py::test_symmetry_comes_from_the_header_or_the_options",
        "new",
    ),
}
#: options that mean the same in every program
EVERYWHERE: dict[str, tuple[str, str]] = {
    "-allowPartial": (
        "tests/robustness/test_missing_parts.py::test_missing_rows_are_named",
        "new; rows that nobody has written passed as not found",
    ),
    "-resume": ("tests/robustness/test_chunks_kept.py::test_an_interrupted_stage_goes_on", "new"),
    "-force": ("tests/stages/test_crowding.py::test_the_option", "new"),
    "--threads": ("tests/end_to_end/test_determinism.py::test_threads", "new; the legacy argument nCPUs works too"),
    "-allowLinks": (f"{_LINKS}the_option_of_other_commands", "new"),
    "--folder": ("tests/commands/test_folders.py::test_another_layer_has_to_be_named", "new"),
}
#: short name of a program -> a test of its whole command line, for options without a row of their own
PROGRAMS: dict[str, tuple[str, str]] = {
    "ff-check": ("tests/diagnosis/check/test_check.py::test_options_of_the_command", "new"),
    "ff-calibrate": ("tests/pipeline/test_calibrating.py::test_options_win_over_the_parameter_file", "new"),
    "AutoCalibrateZarr.py": ("tests/pipeline/test_calibrating.py::test_the_legacy_driver", "see differences.md"),
    "ff-geometry": (f"{_GEOMETRY}what_the_user_asks_for", "new"),
    "ff-look": ("tests/diagnosis/look/test_look.py::test_options_of_the_command", "new"),
    "ff-compare": ("tests/results/matching/test_compare_command.py::test_options_of_the_command", "new"),
    "ff-track": ("tests/results/matching/test_track_command.py::test_options_of_the_command", "new"),
    "ff-match": ("tests/results/matching/test_matching.py::test_table_of_match", _SAME),
    "ff-stitch": ("tests/results/matching/test_stitching.py::test_table_of_stitch", _SAME),
    "ff-report": ("tests/results/report/test_command.py::test_every_option", "new"),
    "ff-stress": ("tests/results/stress/test_command.py::test_every_option", "new"),
    "MatchGrains": ("tests/results/matching/test_matching.py::test_legacy_program_against_a_plain_computation", "new"),
    "ff-update": ("tests/archive/test_update.py::test_what_it_says", _SAME),
    "ff-mask": ("tests/convert/test_pixel_mask.py::test_hot_and_saturated_pixels_of_darks", "new, but for `-o`"),
    "ff-dark": ("tests/convert/test_median.py::test_any_raw_format", "new"),
}

#: keys of the manual -> test, difference
MANUAL_KEYS: dict[str, tuple[str, str]] = {
    "FileStem": (f"{_CONVERT}names_from_the_parameter_file", _SAME),
    "Ext": (f"{_CONVERT}names_from_the_parameter_file", _SAME),
    "StartFileNrFirstLayer": (f"{_CONVERT}names_from_the_parameter_file", _SAME),
    "NrFilesPerSweep": (f"{_CONVERT}names_from_the_parameter_file", _SAME),
    "RawFolder": (
        f"{_CONVERT}relative_names_are_also_sought_beside_the_parameter_file",
        "also beside the parameter file",
    ),
    "Dark": ("tests/convert/test_dark.py::test_dark_files", "subtracted once"),
    "Lsd": ("tests/experiment/test_detector.py::test_from_parameters", _SAME),
    "Wavelength": ("tests/formats/test_paramstest.py::test_numbers_read_back_exactly", "all digits are handed on"),
    "px": ("tests/experiment/test_detector.py::test_from_parameters", _SAME),
    "BC": (
        "tests/experiment/test_detector.py::test_from_parameters",
        "in the padded square after `ImTransOpt` ([figure](theory/peaks.md#image-transformations))",
    ),
    "ty": ("tests/_ext/simulate/test_spots.py::test_raw_positions_are_the_inverse_of_the_analysis_geometry", _SAME),
    "tz": ("tests/_ext/simulate/test_spots.py::test_raw_positions_are_the_inverse_of_the_analysis_geometry", _SAME),
    "p0": (
        "tests/_ext/simulate/test_spots.py::test_raw_positions_are_the_inverse_of_the_analysis_geometry",
        "a coefficient of the distortion, as in the legacy programs (the manual calls it torsion)",
    ),
    "LatticeParameter": (f"{_LAYERS}errors_from_python", "impossible cells are errors"),
    "SpaceGroup": (
        f"{_STAGES}test_hkls.py::test_equals_legacy_list_of_every_space_group",
        "complete lists of reflections",
    ),
    "StartNr": ("tests/convert/test_conversion.py::test_parameter_values_and_options", "not used: the frames decide"),
    "EndNr": (
        f"{_LAYERS}a_program_hears_what_it_wants_to_hear",
        "not used: the frames decide; a warning if it differs",
    ),
    "OmegaFirstFile": (
        "tests/parameters/test_archive_mapping.py::test_start_of_the_scan_allows_for_skipped_frames",
        "`OmegaStart` wins",
    ),
    "OmegaStep": (
        "tests/convert/test_conversion_caches.py::test_without_a_step_the_raw_file_gives_it",
        "may be left out where the raw file has angles",
    ),
    "RingThresh": (f"{_LAYERS}a_ring_that_is_not_there_is_said_once", "a ring counts once; absent ones are named"),
    "ImTransOpt": (f"{_STAGES}test_peaks_images.py::test_image_transformations_and_shapes", "all lines count"),
    "OverAllRingToIndex": (f"{_STAGES}test_fit_setup_region.py::test_seed_ring_must_be_in_use", "must be in use"),
    "MinNrSpots": (f"{_STAGES}test_grains.py::test_min_nr_spots_counts_the_seeds_of_a_cluster", _SAME),
    "MinOmeSpotIDsToIndex": (f"{_STAGES}test_fit_setup_region.py::test_seeds_lie_within_their_omegas", "default −180"),
    "MaxOmeSpotIDsToIndex": (f"{_STAGES}test_fit_setup_region.py::test_seeds_lie_within_their_omegas", "default 180"),
    "Twins": (f"{_STAGES}test_grains.py::test_twins_are_one_cluster_on_request", "one tolerance, both signs"),
    "BeamThickness": (f"{_STAGES}test_grains.py::test_keys_of_the_header", _SAME),
    "GlobalPosition": (f"{_STAGES}test_grains.py::test_keys_of_the_header", _SAME),
    "NumPhases": (f"{_STAGES}test_grains.py::test_keys_of_the_header", _SAME),
    "PhaseNr": (f"{_STAGES}test_grains.py::test_keys_of_the_header", _SAME),
    "PanelShiftsFile": (f"{_OPTIONS}panel_shifts_go_along", "also beside the parameter file"),
    "RingsToExcludeFraction": (
        f"{_STAGES}test_indexing_legacy.py::test_excluded_rings_count_in_the_record_only",
        _SAME,
    ),
    "GrainsFile": (f"{_OPTIONS}seed_grains", "as `-grainsFile`; ignored by the legacy driver"),
    "ResultFolder": (
        "tests/robustness/test_processes.py::test_any_name_in_any_locale",
        "as `-resultFolder`; ignored by the legacy driver",
    ),
    "UsePixelOverlap": (f"{_STAGES}test_merge.py::test_worked_example_by_pixels", "each peak's own pixels"),
    "doPeakFit": (f"{_STAGES}test_peaks.py::test_threads_blocks_and_the_order_of_the_archive_change_nothing", _SAME),
    "MaskFN": (
        "tests/convert/test_mask.py::test_the_archive_holds_1_wherever_the_image_is_not_0",
        "any value but 0 masks; turns with the image",
    ),
    "BadPxIntensity": (f"{_STAGES}test_peaks_images.py::test_bad_and_gap_values_count_as_zero", _SAME),
    "GapIntensity": (f"{_STAGES}test_peaks_images.py::test_bad_and_gap_values_count_as_zero", "ignored by legacy"),
}

_INTRODUCTION = """# Options

Every option of every command, and the keys of the manual of the legacy suite: what it does, how it differs there, and
a test that would notice if it did not work. The page is printed by `python docs/options.py`; all keys are in
[parameters.md](parameters.md), all differences in [differences.md](differences.md).

Of the options with 0 and 1 only the value 1 means yes. Options may be abbreviated as long as they are plain, written
with one dash or two, and as `-option=value`. An option that there is not is an error that names the nearest one; of old
scripts {ignored} are accepted, have no effect, and are named in a warning. From Python an option is a keyword of
`midas.run`, under the name of its field in `midas.pipeline.options.Options`.
"""


def programs() -> Iterator[Program]:
    """Every program once."""
    names = dict.fromkeys(program(name).names[0] for name in MODULES)
    return map(program, names)


def row(called: Program, option: Option) -> tuple[str, str]:
    """Test and difference of an option."""
    name = called.names[0]
    found = TESTS.get((name, option.flag)) or EVERYWHERE.get(option.flag) or PROGRAMS.get(name)
    if found is None:
        raise LookupError(f"docs/options.py has no row for {option.flag} of {name}: which test would notice its loss?")
    return found


def _default(option: Option) -> str:
    return "" if option.default in (None, "", ()) or option.default is False else f"{option.default}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def page() -> str:
    """The whole page."""
    driver = program("ff-midas")
    lines = [_INTRODUCTION.format(ignored=", ".join(f"`{word}`" for word in driver.ignored))]
    for called in programs():
        if not called.options:
            continue
        lines.append(f"## {called.names[0]}\n")
        lines.append("| option | value | default | meaning | differs from legacy | test |\n|---|---|---|---|---|---|")
        for option in called.options:
            test, difference = row(called, option)
            kind = "" if option.type is bool else option.type.__name__
            cells = (f"`{option.flag}`", kind, _default(option), _cell(option.help), difference, f"`{test}`")
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    lines.append("## Keys of the manual\n")
    lines.append("| key | meaning | differs from legacy | test |\n|---|---|---|---|")
    for name, (test, difference) in MANUAL_KEYS.items():
        lines.append(f"| `{name}` | {_cell(KEYS[name].text)} | {difference} | `{test}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
