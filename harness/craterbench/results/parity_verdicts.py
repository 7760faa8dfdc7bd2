"""Verdicts on twins: which versions of which components were found to compute the same."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from craterbench.plugin import UserError
from craterbench.results.files import write_atomically

__all__ = ["Verdict", "check_writable", "standing", "write_verdict"]

_FOLDER = "parity"

#: The kinds of component on which a verdict depends; what twins are shown and how fast they learn, both share.
_JUDGED = ("framework", "model", "loss", "optimizer")

#: Those that had versions from the beginning; a verdict may be older than the versions of the others.
_ALWAYS_KNOWN = ("framework", "model", "loss")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found of two twins.

    Attributes:
        id: time and a short random part.
        benchmarks: the two that were compared.
        verdict: ``equal`` or ``different``.
        components: the version of each component that was in it, by ``kind name``.
        sources: the digest of the source of each that is not craterbench's own.
        packages: the versions of the frameworks' packages.
        precisions: those in which they were compared.
        device: what they computed on: ``cpu`` or ``gpu``.
    """

    id: str
    benchmarks: tuple[str, str]
    verdict: str
    components: Mapping[str, int]
    packages: Mapping[str, str]
    precisions: Sequence[str]
    device: str
    sources: Mapping[str, str] = field(default_factory=dict)

    def holds_for(
        self,
        components: Mapping[str, int],
        sources: Mapping[str, str],
        packages: Mapping[str, str],
        precision: str,
        device: str,
    ) -> bool:
        """Say whether a run of these components, with these packages installed, is one of the twins that were compared.

        Args:
            components: versions by ``kind name``; those that do not decide are passed over.
            sources: digests of their source; of craterbench's own none is compared, since their versions stand for it.
            packages: the versions of all packages that matter to the run.
        """
        known = {*_ALWAYS_KNOWN, *(name.split()[0] for name in self.components)}
        kinds = known.intersection(_JUDGED)
        concerned = {name: version for name, version in components.items() if name.split()[0] in kinds}
        return (
            device == self.device
            and precision in self.precisions
            and concerned.items() <= self.components.items()
            and all(
                self.sources[name] == sources[name] for name in concerned.keys() & self.sources.keys() & sources.keys()
            )
            and all(self.packages[name] == packages[name] for name in self.packages.keys() & packages.keys())
        )


def check_writable(results: Path) -> None:
    """Raise a UserError unless a results folder can be written, or made, so that no work is lost for it."""
    there = next(folder for folder in (results.absolute(), *results.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"the results folder {results} cannot be written; give another one with --results DIR")


def write_verdict(results: Path, verdict: Verdict) -> Path:
    """Add a verdict to a results folder, and return its file."""
    file = results / _FOLDER / f"{verdict.id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(asdict(verdict), indent=1) + "\n")
    return file


def standing(
    results: Path,
    *,
    components: Mapping[str, int],
    sources: Mapping[str, str],
    packages: Mapping[str, str],
    precision: str,
    device: str,
) -> str | None:
    """Return the newest verdict of a results folder that holds for a run, or ``None``; what cannot be read is none."""
    for file in sorted((results / _FOLDER).glob("*.json"), reverse=True):
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):  # whatever damage leads to
            verdict = Verdict(**json.loads(file.read_text(encoding="utf-8")))
            if verdict.holds_for(components, sources, packages, precision, device):
                return verdict.verdict
    return None
