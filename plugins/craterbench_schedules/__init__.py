"""Schedules of the learning rate."""

from dataclasses import dataclass
from typing import Annotated

from craterbench.plugin import Range, ScheduleSpec, hookimpl


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """The parameters of a cosine decay.

    Attributes:
        final: share of the optimizer's learning rate to which it falls by the end of the last planned epoch.
    """

    final: Annotated[float, Range(0, 1, search=(0, 0.5))] = 0.0


@dataclass(frozen=True, kw_only=True)
class Exponential:
    """The parameters of an exponential decay.

    Attributes:
        final: share of the optimizer's learning rate to which it falls by the end of the last planned epoch.
    """

    final: Annotated[float, Range(1e-6, 1, search=(1e-3, 0.5), log=True)] = 0.01


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """The parameters of a warm-up.

    Attributes:
        start: share of the optimizer's learning rate at the first step.
        share: share of all steps over which it rises.
    """

    start: Annotated[float, Range(0, 1, search=(0, 0.5))] = 0.1
    share: Annotated[float, Range(0, 1, search=(0.01, 0.3))] = 0.05


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """The parameters of a decay on plateaus. To have an effect, ``patience`` is less than that of the training.

    Attributes:
        factor: by which the learning rate is multiplied each time.
        patience: epochs without a better monitor, since the best or since the last time, after which it is.
        lowest: share of the optimizer's learning rate below which it does not fall.
    """

    factor: Annotated[float, Range(0.01, 0.99, search=(0.1, 0.8))] = 0.5
    patience: Annotated[int, Range(1, 1000, search=(1, 4))] = 3
    lowest: Annotated[float, Range(0, 1, search=(0, 0.1))] = 0.0


@dataclass(frozen=True, kw_only=True)
class WarmUpCosine(Cosine, WarmUp):
    """The parameters of a warm-up with a cosine decay after it: those of both."""


@dataclass(frozen=True, kw_only=True)
class Polynomial:
    """The parameters of a polynomial decay.

    Attributes:
        power: of what is left of all steps; 1 is a straight line, and 0.9 what segmentation networks are mostly given.
        final: share of the optimizer's learning rate to which it falls by the end of the last planned epoch.
    """

    power: Annotated[float, Range(0.1, 10, search=(0.5, 2))] = 0.9
    final: Annotated[float, Range(0, 1, search=(0, 0.5))] = 0.0


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """The parameters of one cycle. The optimizer's learning rate is that of its top.

    Attributes:
        start: share of the optimizer's learning rate at the first step.
        share: share of all steps over which it rises.
        final: share of the optimizer's learning rate to which it falls by the end of the last planned epoch.
    """

    start: Annotated[float, Range(0, 1, search=(0.01, 0.3))] = 0.04
    share: Annotated[float, Range(0.01, 0.99, search=(0.1, 0.5))] = 0.3
    final: Annotated[float, Range(0, 1, search=(0, 0.1))] = 4e-6


@dataclass(frozen=True, kw_only=True)
class Cyclical:
    """The parameters of cycles. The optimizer's learning rate is that of their tops.

    Attributes:
        cycles: how many there are in all planned epochs.
        lowest: share of the optimizer's learning rate between them.
    """

    cycles: Annotated[int, Range(1, 1000, search=(1, 8))] = 4
    lowest: Annotated[float, Range(0, 1, search=(0.01, 0.5))] = 0.1


@hookimpl
def bench_schedules() -> list[ScheduleSpec]:
    return [
        ScheduleSpec(
            name="constant",
            summary="the optimizer's learning rate throughout",
            target="craterbench_schedules.numpy:constant",
        ),
        ScheduleSpec(
            name="cosine",
            summary="half a cosine, from the optimizer's learning rate to a share of it",
            target="craterbench_schedules.numpy:cosine",
            parameters=Cosine,
        ),
        ScheduleSpec(
            name="exponential",
            summary="the same factor at every step, from the optimizer's learning rate to a share of it",
            target="craterbench_schedules.numpy:exponential",
            parameters=Exponential,
        ),
        ScheduleSpec(
            name="warm-up",
            summary="a straight rise over the first steps, then the optimizer's learning rate",
            target="craterbench_schedules.numpy:warm_up",
            parameters=WarmUp,
        ),
        ScheduleSpec(
            name="plateau",
            summary="a factor whenever the monitor has not become better for some epochs",
            target="craterbench_schedules.numpy:plateau",
            parameters=Plateau,
        ),
        ScheduleSpec(
            name="warm-up-cosine",
            summary="a straight rise over the first steps, then half a cosine to a share of the learning rate",
            target="craterbench_schedules.numpy:warm_up_cosine",
            parameters=WarmUpCosine,
        ),
        ScheduleSpec(
            name="polynomial",
            summary="a power of the share of steps that is left, from the learning rate to a share of it",
            target="craterbench_schedules.numpy:polynomial",
            parameters=Polynomial,
        ),
        ScheduleSpec(
            name="one-cycle",
            summary="half a cosine up to the learning rate, then half a cosine down to almost nothing",
            target="craterbench_schedules.numpy:one_cycle",
            parameters=OneCycle,
        ),
        ScheduleSpec(
            name="cyclical",
            summary="straight up to the learning rate and down again, several times",
            target="craterbench_schedules.numpy:cyclical",
            parameters=Cyclical,
        ),
    ]
