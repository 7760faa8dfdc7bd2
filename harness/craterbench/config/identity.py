"""What makes a run the same run: an explicit list of its config and of its data.

Threads and device are none of it. They move digits, as another version of a package does, but they are the machine's,
not the question's: whoever has a run on two threads has no use for it on one. A record keeps them, and a table says
where the runs of a row differ in them.

What is on the list has grown and shrunk. Records that were made by a former list are still there, and what they hold
need not be trained again. No record says which list its digests are of, and none has to: those of lists of different
keys do not meet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from craterbench.config.benchmark import BenchmarkConfig

__all__ = ["comparable_overrides", "config_digest", "config_digests", "run_identities", "run_identity"]


def config_digest(benchmark: BenchmarkConfig) -> str:
    """Return a short digest of a benchmark's config and of its components' code, whatever its name.

    The data set's own parameters (a path, say) count only through the images they lead to: see ``run_identity``. Of
    craterbench's own components the version stands for the code; of others the digest of their source counts, too.
    """
    return config_digests(benchmark)[0]


def config_digests(benchmark: BenchmarkConfig) -> list[str]:
    """Return the digest of a benchmark, and then those that it had by former lists."""
    config = benchmark.as_dict()
    del config["summary"]
    config["dataset"] = config["dataset"]["name"]
    former = {"definition": config, "versions": _versions(benchmark)}
    sources = benchmark.sources_of_others()
    lists = [former | {"sources": sources}, former] if sources else [former]
    return list(map(_digest, lists))


def run_identity(benchmark: BenchmarkConfig, *, data: str, seed: int, fold: str | None, drawn: bool = True) -> str:
    """Return a short digest that two runs share if the same was done in both.

    Args:
        data: digest of the images, masks and groups.
        fold: which of how many folds validates, as ``2/5``, or ``None``.
        drawn: whether the parts are those that were always drawn (see ``craterbench.data.split.GroupSplit``): others
            are of other images than an earlier run of the same config.
    """
    return run_identities(benchmark, data=data, seed=seed, fold=fold, drawn=drawn, trained={})[0]


def run_identities(
    benchmark: BenchmarkConfig, *, data: str, seed: int, fold: str | None, drawn: bool, trained: Mapping[str, Any]
) -> list[str]:
    """Return the identity of a run, and then those that it had by former lists.

    Args:
        trained: the environment of its record, with the number of threads and the device, which were on a list.
    """
    split = {} if drawn else {"split": "nearest"}
    lists = [
        {"definition": digest, "data": data, "seed": seed, "fold": fold, **split}
        for digest in config_digests(benchmark)
    ]
    if {"threads", "device"} <= trained.keys():
        lists += [each | {key: trained[key] for key in ("threads", "device")} for each in lists]
    return list(map(_digest, lists))


def comparable_overrides(overrides: Iterable[str]) -> list[str]:
    """Return what a command line changed in a benchmark, each ``key=value``, the same for two that change the same.

    The order means nothing, but for steps of an augmentation, whose order is in the config. The path of the data means
    nothing, either: their digest says which they are.
    """
    return sorted(each for each in overrides if not each.startswith("summary=") and not _is_about_data(each))


def _is_about_data(override: str) -> bool:
    key = override.partition("=")[0]
    return key.startswith("dataset.") and key != "dataset.name"


def _versions(benchmark: BenchmarkConfig) -> dict[str, int]:
    """Return the versions of the components, but for that of an optimizer of version 1.

    Optimizers had none at first, and do in their version 1 what they did then: runs of either time share a row.
    """
    versions = benchmark.versions()
    return {name: version for name, version in versions.items() if version > 1 or not name.startswith("optimizer ")}


def _digest(value: Any) -> str:
    # The order of the keys is kept, since the steps of an augmentation are applied in their order.
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
