"""One layer under examination: the numbers are gathered as the questions come up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from midas.archive import Archive
from midas.diagnosis.evidence import Evidence
from midas.diagnosis.flips import WORDS, Flips, compare_views
from midas.diagnosis.frames import FrameSample, sample_frames
from midas.diagnosis.ring_offsets import corrected_centre
from midas.diagnosis.ring_search import RingSearch, least_share, search_rings, share_on_rings
from midas.diagnosis.trial import AS_GIVEN, Trial, View
from midas.experiment.image import PaddedImage

#: maxima that are needed to say where the rings are
_ENOUGH_MAXIMA = 20
#: margins that hold the spots of any grain: degrees, µm
_MARGINS = {"MarginOme": 1.0, "MarginEta": 500.0, "MarginRadial": 500.0, "MarginRadius": 500.0}


@dataclass(frozen=True)
class Case:
    """What is known of a run without grains, or with few.

    Parameters
    ----------
    evidence : the files of the layer
    threads : of the kernels
    completeness_key : what the user calls the limit of the completeness
    among : ids of strong spots that belong to no grain, if there are grains
    counts : what the steps found, by the labels of their summaries
    """

    evidence: Evidence
    threads: int
    completeness_key: str = "Completeness"
    among: Collection[int] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def trial(self) -> Trial | None:
        """For indexing again; None without accepted spots."""
        if not len(self.evidence.spots):
            return None
        return Trial(self.evidence, self.threads, self.among)

    @property
    def limit(self) -> float:
        """Of the completeness."""
        handed_on = self.evidence.handed_on
        limit: float = (handed_on or self.evidence.parameters).for_stage("diagnosis")["Completeness"]
        return limit

    @property
    def without(self) -> frozenset[int]:
        """Rings that are left out when the image is judged, because they hold hardly anything."""
        return frozenset(self.evidence.poor_rings)

    @cached_property
    def observed(self) -> View:
        """The rings as large, and centred, as the accepted spots show them, where that is certain."""
        offsets = self.evidence.offsets
        scale = offsets.scale_ppm * 1e-6 if offsets.scale_is_wrong else 0.0
        centre = offsets.centre if offsets.centre_is_wrong(self.evidence.detector.px) else (0.0, 0.0)
        return View(scale, centre)

    @cached_property
    def flips(self) -> Flips | None:
        """What the image looks like in all its classes; None without accepted spots."""
        if self.trial is None:
            return None
        found = compare_views(self.trial, self.observed, self.without)
        if found.best is None and self.observed != AS_GIVEN:
            as_given = compare_views(self.trial, AS_GIVEN, self.without)
            return as_given if as_given.best is not None else found
        return found

    @cached_property
    def without_mates(self) -> float | None:
        """Completeness of the leading seeds when they need no Friedel mate; None where they need none anyway."""
        evidence = self.evidence
        pairs = evidence.handed_on is not None and evidence.handed_on.for_stage("diagnosis")["UseFriedelPairs"] == 1
        if self.trial is None or not pairs:
            return None
        return Trial(evidence, self.threads, self.among, UseFriedelPairs=0).outcome(self.observed, self.without).leading

    @cached_property
    def small_margins(self) -> dict[str, float]:
        """Margins of the search below what spots need, with what would do."""
        if self.evidence.handed_on is None:
            return {}
        given = self.evidence.handed_on.for_stage("diagnosis")
        return {name: least for name, least in _MARGINS.items() if given[name] < least}

    @cached_property
    def with_margins(self) -> float | None:
        """Completeness of the leading seeds with margins that do; None where they do anyway."""
        if self.trial is None or not self.small_margins:
            return None
        trial = Trial(self.evidence, self.threads, self.among, **self.small_margins)
        return trial.outcome(self.observed, self.without).leading

    def reached(self, view: View, without: frozenset[int] = frozenset()) -> float:
        """Completeness of the leading seeds in a view."""
        return 0.0 if self.trial is None else self.trial.outcome(view, without).leading

    def at_given_rings(self, view: View) -> View:
        """The same view with the rings as the parameters have them."""
        return replace(view, scale=0.0, centre=(0.0, 0.0))

    @cached_property
    def beam_centre(self) -> tuple[float, float]:
        """Where the rings are centred, px."""
        view = AS_GIVEN if self.flips is None or self.flips.best is None else self.flips.best
        return corrected_centre(view.centre, self.evidence.detector)

    @cached_property
    def sample(self) -> FrameSample | None:
        """Some frames of the scan; None without an archive."""
        evidence = self.evidence
        if evidence.layer.archive is None:
            return None
        with Archive(evidence.layer.archive) as archive:
            return sample_frames(archive, evidence.own, evidence.detector, evidence.ring_radii, self.threads)

    @cached_property
    def search(self) -> RingSearch | None:
        """Where the rings would have to be; None where too little is on the frames."""
        if self.sample is None or len(self.sample.y_px) < _ENOUGH_MAXIMA or not self.evidence.ring_radii:
            return None
        _, eta, radius = self.evidence.detector.ideal(self.sample.y_px, self.sample.z_px)
        known = np.isfinite(eta)
        return search_rings(radius[known], eta[known], self.evidence.ring_radii, self.evidence.detector.px)

    @cached_property
    def flipped(self) -> dict[tuple[int, ...], float]:
        """Other ImTransOpt that put the strongest maxima on rings where BC is as it is, and their shares."""
        image, sample, search, detector = self.evidence.image, self.sample, self.search, self.evidence.detector
        if image is None or sample is None or search is None:
            return {}
        raw = [image.to_raw(*place) for place in zip(sample.y_px.tolist(), sample.z_px.tolist(), strict=True)]
        radii = np.array(sorted(self.evidence.ring_radii.values()))
        found = {}
        for word in WORDS:
            other = PaddedImage(image.rows, image.columns, word)
            y, z = np.array([other.from_raw(*place) for place in raw]).T
            fit = share_on_rings(detector.ideal(y, z).radius, radii, detector.px)
            if fit.share >= least_share(search.given, fit):
                found[word] = fit.share
        return found
