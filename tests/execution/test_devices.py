"""What a machine, or a container on it, leaves to be shared out."""

from __future__ import annotations

import os

import pytest

from craterbench.execution import devices, local, worker
from craterbench.execution.devices import (
    available_cores,
    environment,
    fitting_workers,
    memory_of_each,
    workers_and_threads,
)
from craterbench.execution.executor import ExecutionOptions

GIB = 2**30


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Write what a container says of its limits."""
    monkeypatch.setattr(devices, "_CONTAINER", tmp_path)

    def limit(**files: str) -> None:
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content)

    return limit


def test_a_share_of_time_is_so_many_cores(container):
    plain = available_cores()
    container(cpu_max="max 100000\n")
    assert available_cores() == plain == len(os.sched_getaffinity(0))
    container(cpu_max="100000 100000\n")
    assert available_cores() == 1
    container(cpu_max="50000 100000\n")
    assert available_cores() == 1
    container(cpu_max="99900000 100000\n")
    assert available_cores() == plain


def test_files_that_a_container_has_read_are_not_memory_that_is_taken(container):
    container(
        memory_max=f"{9 * GIB}\n", memory_current=f"{8 * GIB}\n", memory_stat=f"anon 0\ninactive_file {4 * GIB}\n"
    )
    assert memory_of_each(1) == 5 * GIB
    assert fitting_workers("cpu") == min(2, available_cores())
    container(memory_stat="anon 0\ninactive_file 0\n")
    assert fitting_workers("cpu") == 1
    assert memory_of_each(1) == 2 * GIB  # what one may need, or no child would ever stay warm


@pytest.mark.parametrize(
    ("runs", "workers", "most", "expected"),
    [
        (1, None, 1, (1, 8)),
        (2, None, 1, (2, 4)),
        (9, None, 1, (3, 2)),  # as many as fit
        (0, None, 1, (1, 8)),
        (9, None, 3, (2, 4)),  # one has three threads anyway
        (9, None, 99, (1, 8)),
        (9, 5, 1, (5, 1)),
        (1, 4, 8, (4, 2)),  # what is asked for is had
        (1, 99, 1, (99, 1)),
    ],
)
def test_cores_are_shared_among_the_runs_that_train_at_once(monkeypatch, runs, workers, most, expected):
    monkeypatch.setattr(devices, "available_cores", lambda: 8)
    monkeypatch.setattr(devices, "fitting_workers", lambda device: 3)
    assert workers_and_threads(runs, workers, "cpu", most=most) == expected


@pytest.mark.parametrize(
    ("most", "growth", "stays"), [(2**50, 2**50, True), (None, 2**50, True), (1, 2**50, False), (2**50, -1, False)]
)
def test_a_child_stays_warm_until_it_has_grown_by_much_or_beyond_its_share(monkeypatch, most, growth, stays):
    monkeypatch.setattr(local, "memory_of_each", lambda workers: most)
    monkeypatch.setattr(worker, "_GROWTH", growth)
    variables = environment(threads=1, device="cpu", framework={})
    with local.open_executor(ExecutionOptions(device="cpu", workers=1)) as executor:
        first = executor.acquire(variables)
        executor.release(first, usable=True)
        assert (executor.acquire(variables) is first) == stays


def test_a_child_that_began_with_other_threads_is_not_given_for_one_that_has_those_asked_for():
    one, other = (environment(threads=threads, device="cpu", framework={}) for threads in (1, 2))
    with local.open_executor(ExecutionOptions(device="cpu", workers=1)) as executor:
        first = executor.acquire(one)
        assert executor.acquire(one) is None
        executor.release(first, usable=True)
        assert executor.acquire(other) is not first
        assert not first.alive


WAITING_AND_MEMORY = {"GOMP_SPINCOUNT", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"}


@pytest.fixture
def variables(monkeypatch):
    """Return the names of a child's environment variables where nobody has set any."""
    for name in WAITING_AND_MEMORY:
        monkeypatch.delenv(name, raising=False)
    return lambda: environment(threads=1, device="cpu", framework={})


def test_on_linux_threads_wait_asleep_and_memory_is_kept_unless_its_user_says_otherwise(monkeypatch, variables):
    monkeypatch.setattr(devices.sys, "platform", "linux")
    assert variables().keys() >= WAITING_AND_MEMORY
    monkeypatch.setenv("GOMP_SPINCOUNT", "infinite")
    assert "GOMP_SPINCOUNT" not in variables()  # so that a child inherits it as it is
    assert variables().keys() >= WAITING_AND_MEMORY - {"GOMP_SPINCOUNT"}


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_only_threads_and_device_are_set(monkeypatch, variables, platform):
    monkeypatch.setattr(devices.sys, "platform", platform)
    assert variables().keys() == {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"}
