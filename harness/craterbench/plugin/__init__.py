"""What can be plugged in. A plugin's ``__init__`` imports the standard library and this module, nothing more."""

from craterbench.plugin.components import (
    AugmentationSpec,
    BenchmarkSpec,
    Claim,
    DatasetSpec,
    EngineSpec,
    FrameworkSpec,
    LossSpec,
    ModelSpec,
    ScheduleSpec,
    benchmarks_in,
    claims_in,
)
from craterbench.plugin.errors import UserError
from craterbench.plugin.hookspecs import hookimpl
from craterbench.plugin.parameters import NoParameters, Range

__all__ = [
    "AugmentationSpec",
    "BenchmarkSpec",
    "Claim",
    "DatasetSpec",
    "EngineSpec",
    "FrameworkSpec",
    "LossSpec",
    "ModelSpec",
    "NoParameters",
    "Range",
    "ScheduleSpec",
    "UserError",
    "benchmarks_in",
    "claims_in",
    "hookimpl",
]
