"""What an input did, and what a run has counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha1


@dataclass(frozen=True)
class Finding:
    """What one input did.

    Parameters
    ----------
    number : of the input; -1 for a file of the corpus
    kind : exception, crash, hang, memory, lines (a message of several), open (files left open)
    text : the exception, the signal ...
    place : where; findings of the same kind and place are one
    name : of the input from which it was made
    """

    number: int
    kind: str
    text: str
    place: str
    name: str = ""

    @property
    def signature(self) -> str:
        return sha1(f"{self.kind}|{self.place}".encode()).hexdigest()[:10]


@dataclass
class Outcome:
    """Counts of a run."""

    inputs: int = 0
    accepted: int = 0
    contained: int = 0
    slowest: tuple[float, int] = (0.0, -1)
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def distinct(self) -> dict[str, tuple[Finding, int]]:
        """The first finding of each signature, and how many there are."""
        counts = Counter(finding.signature for finding in self.findings)
        first = {finding.signature: finding for finding in reversed(self.findings)}
        return {signature: (finding, counts[signature]) for signature, finding in first.items()}

    def report(self, target: str) -> str:
        refused = self.inputs - self.accepted - len(self.findings)
        apart = f", {self.contained} of them by the end of a process of its own" if self.contained else ""
        rate = self.inputs / self.seconds if self.seconds else 0
        lines = [
            f"{target}: {self.inputs} inputs in {self.seconds:.0f} s ({rate:.0f}/s): {self.accepted} accepted, "
            f"{refused} refused{apart}, {len(self.findings)} findings of {len(self.distinct())} kinds; "
            f"slowest {self.slowest[0]:.2f} s (input {self.slowest[1]})"
        ]
        for finding, count in self.distinct().values():
            lines.append(
                f"  {count} x {finding.kind}: {finding.text[:200]} [{finding.place}] input {finding.number} "
                f"of {finding.name}"
            )
        return "\n".join(lines)
