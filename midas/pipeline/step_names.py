"""The steps of a layer as a user names them: as their logs, or as the documentation calls them."""

from __future__ import annotations

import difflib

from midas.runtime.errors import UsageError

#: name of the logs -> other names
STEPS: dict[str, tuple[str, ...]] = {
    "ZipOut": ("convert", "conversion"),
    "first_look": ("look",),
    "hkls": (),
    "peaksearch": ("peaks", "peak_search"),
    "merge_overlaps": ("merge", "merging"),
    "calc_radius": ("radius",),
    "fit_setup": ("setup", "spot_table"),
    "binning": ("bin",),
    "indexing": ("index",),
    "refining": ("refine", "refinement"),
    "process_grains": ("grains", "resolve"),
    "measure_spots": ("pull", "measure"),
    "grain_sigma": ("sigma", "uncertainty"),
    "consolidation": ("consolidate", "hdf5"),
    "refine_geometry": ("geometry",),
    "report": (),
}


def steps_named(word: str) -> str:
    """The step that a word means.

    Raises
    ------
    UsageError : for any other word; lists them
    """
    plain = word.strip().lower().replace("-", "_")
    known = {other.lower(): name for name, others in STEPS.items() for other in (name, *others)}
    if plain in known:
        return known[plain]
    near = difflib.get_close_matches(plain, known, 1)
    listed = ", ".join(name if not others else f"{name} ({', '.join(others)})" for name, others in STEPS.items())
    hint = f"did you mean {known[near[0]]}? " if near else ""
    raise UsageError(f"is no step; {hint}the steps are {listed}", key="-restartFrom", value=word)
