"""The file of a sweep of several benchmarks: which studies it has, in which order, and the config of each."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from craterbench.plugin import UserError
from craterbench.results.files import write_atomically
from craterbench.search.several.defining import DEFINING
from craterbench.search.sweep_config import STUDY_FILE, SWEEP_FILE, SweepConfig, read_config

__all__ = ["SweepPlan", "defined_by", "is_several", "plans", "varied_alike", "varied_alone"]

#: Raised whenever a field of ``sweep.json`` changes its name or its meaning.
_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A sweep of several benchmarks, with a study of its own for each.

    Attributes:
        created: when it was begun, in UTC.
        members: the config of each study, in the order in which the benchmarks were named; the first is what the
            others are compared with. A study that has begun keeps that, too.
    """

    name: str
    created: str
    members: Sequence[SweepConfig]
    schema: int = _SCHEMA

    def write(self, folder: Path) -> None:
        """Write it into its folder, atomically.

        Raises:
            UserError: another sweep is there by now, or the folder cannot be written.
        """
        if is_several(folder) and self.read(folder).created != self.created:
            raise UserError(f"there is a sweep {self.name!r} by now; give another --name")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / SWEEP_FILE, json.dumps(asdict(self), indent=1) + "\n", durable=True)
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror}); give another --results DIR") from None

    def discard(self, folder: Path) -> None:
        """Remove it if none of its studies was begun, or its name would be taken by nothing."""
        if not any((folder.parent / member.name / STUDY_FILE).exists() for member in self.members):
            with contextlib.suppress(OSError):  # there is more in a folder
                (folder / SWEEP_FILE).unlink(missing_ok=True)
                folder.rmdir()
                folder.parent.rmdir()

    @classmethod
    def read(cls, folder: Path) -> SweepPlan:
        """Return the plan in a folder.

        Raises:
            UserError: it cannot be read.
        """
        return read_config(folder / SWEEP_FILE, "sweep", _SCHEMA, cls._from_json)

    @classmethod
    def _from_json(cls, content: Mapping[str, Any]) -> SweepPlan:
        members = [SweepConfig.from_json(member) for member in content["members"]]
        return cls(name=content["name"], created=content["created"], members=members)


def is_several(folder: Path) -> bool:
    """Whether a folder holds a sweep of several benchmarks, not a study."""
    return (folder / SWEEP_FILE).is_file()


def plans(root: Path) -> Iterator[Path]:
    """Yield the folders of the sweeps of several below a folder of results, by name."""
    yield from sorted(file.parent for file in (root / "studies").glob(f"*/{SWEEP_FILE}"))


def defined_by(config: SweepConfig) -> dict[str, Any]:
    """Return the values that define the benchmark of a study beside the others, by key."""
    return {key: value for key, value, source in config.fixed if source == DEFINING}


def varied_alike(members: Sequence[SweepConfig]) -> list[dict[str, Any]]:
    """Return the parameters that are tried in all studies, and in the same way, as ``Space.as_json`` has them."""
    first, *others = [[_plain(parameter) for parameter in member.space["parameters"]] for member in members]
    return [parameter for parameter in first if all(parameter in other for other in others)]


def varied_alone(members: Sequence[SweepConfig]) -> list[list[dict[str, Any]]]:
    """Return for each study the parameters that are not tried in all of them in the same way."""
    alike = varied_alike(members)
    every = [[_plain(parameter) for parameter in member.space["parameters"]] for member in members]
    return [[parameter for parameter in parameters if parameter not in alike] for parameters in every]


def _plain(parameter: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(parameter))  # type: ignore[no-any-return]  # lists for tuples, as it is read
