"""The interface to plugins: the specs of components, the hooks, the registry that finds plugins, and ``UserError``.

Called by every room. A plugin's ``__init__`` imports the standard library and this module, nothing more.
"""

from craterbench.plugin.components import (
    AugmentationSpec,
    BenchmarkSpec,
    DatasetSpec,
    ExecutorSpec,
    ExportSpec,
    FrameworkSpec,
    Implementation,
    LossSpec,
    ModelSpec,
    OptimizerSpec,
    PublishedResult,
    ScheduleSpec,
    benchmarks_in,
    published_in,
)
from craterbench.plugin.context import RunContext, StudyContext
from craterbench.plugin.errors import UserError
from craterbench.plugin.hookspecs import hookimpl
from craterbench.plugin.metric_spec import MetricSpec
from craterbench.plugin.parameters import ADDED_LATER, NoParameters, Range

__all__ = [
    "ADDED_LATER",
    "AugmentationSpec",
    "BenchmarkSpec",
    "DatasetSpec",
    "ExecutorSpec",
    "ExportSpec",
    "FrameworkSpec",
    "Implementation",
    "LossSpec",
    "MetricSpec",
    "ModelSpec",
    "NoParameters",
    "OptimizerSpec",
    "PublishedResult",
    "Range",
    "RunContext",
    "ScheduleSpec",
    "StudyContext",
    "UserError",
    "benchmarks_in",
    "hookimpl",
    "published_in",
]
