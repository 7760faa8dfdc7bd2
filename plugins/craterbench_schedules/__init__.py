"""Schedules of the learning rate."""

from craterbench.plugin import ScheduleSpec, hookimpl


@hookimpl
def bench_schedules() -> list[ScheduleSpec]:
    return [
        ScheduleSpec(
            name="constant",
            summary="the optimizer's learning rate throughout",
            target="craterbench_schedules.in_numpy:constant",
        )
    ]
