"""What a step would run with if it ran now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from midas._version import __version__
from midas.formats.layer import Layer
from midas.formats.ledger import Stamp, Stamps
from midas.ledger.content import stamp
from midas.ledger.run_key import declared, described, key_of
from midas.ledger.steps import Files, Step
from midas.parameters import Parameters


@dataclass(frozen=True)
class Wanted:
    """All that the results of a step depend on, in the words of the ledger."""

    step: Step
    parameters: Mapping[str, str]
    more: Mapping[str, str]
    inputs: Stamps
    version: str = __version__

    @classmethod
    def now(
        cls,
        layer: Layer,
        step: Step,
        parameters: Parameters,
        more: Mapping[str, object],
        known: Mapping[str, Stamp | None] | None = None,
    ) -> Wanted:
        """With the files as they are.

        Parameters
        ----------
        more : keywords of the function of the step, of which those count that the step declares
        known : stamps of files that are not to be looked at

        Raises
        ------
        MidasError : a parameter that says which files are read is wrong, or the archive cannot be read
        """
        settings = parameters.for_stage(step.reader)
        chosen = {name: more[name] for name in step.more if more.get(name) is not None}
        if step.placed:
            chosen["folder"] = layer.folder_text.rstrip("/")
        known = known or {}
        files = step.inputs(layer, settings)
        inputs = {name: known[name] if name in known else stamp(*paths) for name, paths in files.items()}
        return cls(step, declared(step.reader, settings), described(chosen), inputs)

    @property
    def key(self) -> str:
        """Of the run."""
        return key_of(self.step.name, self.version, self.parameters, self.inputs, self.more)


def stamps_of(files: Files) -> dict[str, Stamp | None]:
    """What the files hold; of several under one name one stamp."""
    return {name: stamp(*paths) for name, paths in files.items()}
