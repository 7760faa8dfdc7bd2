"""A Dask cluster for the tests that want one; the others need no Dask."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from craterbench.execution.executor import Executor

if TYPE_CHECKING:
    from distributed import LocalCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    from distributed import LocalCluster

    with LocalCluster(host="127.0.0.1", n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster


@pytest.fixture
def address(cluster: LocalCluster) -> str:
    return str(cluster.scheduler_address).removeprefix("tcp://")


@pytest.fixture
def dask_pids(address: str) -> Iterator[Callable[[], dict[str, int]]]:
    """The process numbers of the Dask workers, as they are when it is called."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        yield lambda: dict(client.run(os.getpid))


@pytest.fixture
def executor(address: str) -> Iterator[Executor]:
    from dask_workers import executor_options

    from craterbench_executors import dask

    with dask.open_executor(executor_options(address)) as executor:
        yield executor
