"""An exported network and its card, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from craterbench.execution.export import Export, export_named, export_run
from craterbench.execution.finished import FinishedRun
from craterbench.plugin import DatasetSpec, UserError
from craterbench.plugin.registry import Registry
from craterbench.report.model_card import model_card
from craterbench.results.files import write_atomically

__all__ = ["ExportedFile", "write_export"]


@dataclass(frozen=True)
class ExportedFile:
    """What was written.

    Attributes:
        path: the file.
        card: the card beside it, Markdown with YAML in front.
        export: what is in it, and how far its probabilities are from those of the run.
    """

    path: Path
    card: Path
    export: Export


def write_export(finished: FinishedRun, registry: Registry, to: str, path: Path | None) -> ExportedFile:
    """Write a run to a file of some kind, and a card beside it.

    Raises:
        UserError: there is such a file already, its name ends otherwise, or the run cannot be exported so.
    """
    record = finished.record
    _, spec = export_named(registry, to, record.framework)
    path = path or Path(f"{record.benchmark}-{record.id}{spec.suffix}")
    card = path.with_name(f"{path.name}.md")
    if path.suffix != spec.suffix:
        raise UserError(f"{path}: a file of {to} ends in {spec.suffix}; give it such a name")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it first")
    for file in (path, card):
        if file.exists():
            raise UserError(f"{file}: is there already, and is not replaced; give another name, or remove it")
    export = export_run(finished, registry, to)
    known: dict[str, DatasetSpec] = {entry.spec.name: entry.spec for entry in registry.entries("dataset")}
    data = known.get(record.dataset["name"])
    stretched = data is not None and data.stretched
    try:
        write_atomically(path, export.content)
        write_atomically(card, model_card(record, finished.folder, export, path.name, stretched=stretched))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); give another file") from None
    return ExportedFile(path, card, export)
