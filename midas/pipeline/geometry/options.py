"""What the user asks of ``ff-geometry``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from midas.pipeline.geometry.parameter_file import NAME
from midas.runtime.errors import UsageError
from midas.runtime.options import FLAG, NUMBER, PATH, TEXT, WHOLE, option
from midas.runtime.parallel import thread_count

#: what can be refined; BC stands for both coordinates, p1 for p1 and p3 together
WORDS = ("Lsd", "BC", "tx", "ty", "tz", "p0", "p1", "p2", "p3", "Wedge", "Omega0", "Wavelength", "Panels", "Wobble")
#: words for the same numbers
_PLAIN = {"p3": "p1"}
#: mean height of the grains that can be meant, µm
_HIGHEST = 1e5


@dataclass(frozen=True)
class GeometryOptions:
    """How a geometry is refined; see the texts of the fields, or ``ff-geometry --help``."""

    refine: str = option(
        "-refine", TEXT, "auto",
        f"auto, where the spots decide, or some of {','.join(WORDS)}; BC is both coordinates, p1 goes with p3",
    )  # fmt: skip
    fix: str = option("-fix", TEXT, "", "numbers that stay, the same words")
    trust: str = option(
        "-trust", TEXT, "",
        "what fixes the scale: mean (the mean cell of the grains), none, each (the cell of every grain), or the sigma "
        "of the mean cell × 10⁶; by default the key TrustLattice",
    )  # fmt: skip
    z0: str = option(
        "-z0", TEXT, "keep",
        "mean height of the grains, which no data tell from BC: keep that of the start, beam (0), or a number of µm",
    )  # fmt: skip
    wedge_model: str = option("-wedgeModel", TEXT, "", "exact or legacy; by default the key WedgeModel")
    share: str = option("-share", TEXT, "Wedge", "numbers that several layers have in common, or none")
    iterations: int = option("-iterations", WHOLE, 40, "of a fit, at most")
    min_confidence: float = option("-minConfidence", NUMBER, 0.5, "of the grains that are used, at least")
    max_passes: int = option(
        "-maxPasses", WHOLE, 0,
        "how often the stages from the radius on run again with the new geometry, in <layer>/Geometry, at most",
    )  # fmt: skip
    force: bool = option(
        "-force", FLAG, False, "1: write a geometry that has not converged, or that predicts unseen spots worse"
    )
    certificate: bool = option(
        "-certificate", FLAG, True, "1: also try the eight image flips with both senses of omega; 0: not"
    )
    threads: int | None = option("-nCPUs", WHOLE, None, "threads; by default every core that the process may use")
    parameter_file: Path | None = option(
        "-paramFN", PATH, None, "parameter file to copy; by default its copy in the layer folder"
    )
    output: Path | None = option(
        "-o", PATH, None,
        f"the new parameter file; by default {NAME} in the layer folder, or in its Geometry with -maxPasses",
    )  # fmt: skip

    def checked(self) -> GeometryOptions:
        """The options, once each is one that there is."""
        if self.refine != "auto":
            words_of(self.refine, "-refine", "auto, or some of ")
        fixed = words_of(self.fix, "-fix")
        wanted = () if self.refine == "auto" else words_of(self.refine, "-refine")
        if wanted and not {_PLAIN.get(word, word) for word in wanted} - {_PLAIN.get(word, word) for word in fixed}:
            raise UsageError("leaves nothing to refine", key="-fix", value=self.fix)
        words_of(self.share, "-share", "none, or some of ")
        self.trusted()
        self.height()
        if self.wedge_model not in ("", "exact", "legacy"):
            raise UsageError("must be exact or legacy", key="-wedgeModel", value=self.wedge_model)
        if self.iterations < 1:
            raise UsageError("must be at least 1", key="-iterations", value=self.iterations)
        if not 0 <= self.min_confidence <= 1:
            raise UsageError("must be from 0 to 1", key="-minConfidence", value=self.min_confidence)
        if self.max_passes < 0:
            raise UsageError("must not be below 0", key="-maxPasses", value=self.max_passes)
        thread_count(self.threads)
        return self

    def trusted(self) -> Literal["mean", "none", "each"] | float | None:
        """What fixes the scale; None: the key says."""
        if not self.trust:
            return None
        if self.trust in ("mean", "none", "each"):
            return self.trust  # type: ignore[return-value]
        sigma = _number(self.trust)
        if sigma is None or not sigma > 0:
            raise UsageError("must be mean, none, each or a number above 0", key="-trust", value=self.trust)
        return sigma

    def height(self) -> Literal["keep", "beam"] | float:
        """The convention about the mean height of the grains."""
        if self.z0 in ("keep", "beam"):
            return self.z0  # type: ignore[return-value]
        height = _number(self.z0)
        if height is None or abs(height) > _HIGHEST:
            raise UsageError(f"must be keep, beam or a number of µm, at most {_HIGHEST:.0f}", key="-z0", value=self.z0)
        return height


def words_of(text: str, key: str, first: str = "some of ") -> tuple[str, ...]:
    """Words separated by commas, each one of those that there are; none for ``none`` or nothing."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if words == ("none",):
        return ()
    for word in words:
        if word not in WORDS:
            raise UsageError(f"must be {first}{', '.join(WORDS)}", key=key, value=word)
    if key == "-refine" and not words:
        raise UsageError("leaves nothing to refine", key=key, value=text or '""')
    return words


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None


def layer_folders(words: Sequence[str | Path]) -> tuple[Path, ...]:
    """The layers of a command line, each once."""
    folders = tuple(Path(word) for word in words) or (Path(),)
    places = [folder.resolve() for folder in folders]
    for d, place in enumerate(places):
        if place in places[:d]:
            raise UsageError("is named twice", key="LAYERDIR", value=folders[d])
    return folders
