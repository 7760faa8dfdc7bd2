"""What the environment of a training process is worth: ``child_environment.py [--beside N]``.

Two environment variables of a process settle how its threads wait for each other and whether its memory goes back to
the system. Trained is the reference without augmentation, an epoch of each process in turn. Printed are the images a
second of each environment for each of the first, as it was before any was chosen, and its processor time; with
``--beside N``, while N other processes keep the cores busy.
"""

from __future__ import annotations

import argparse
import statistics

from trainers import Trainer, busy_processes, in_turn, ratios

from craterbench.execution.devices import available_cores, environment
from craterbench.plugin.registry import Registry

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
SPIN = {"GOMP_SPINCOUNT": "1000"}
KEEP = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}


def trainers(framework: str, precision: str) -> dict[str, Trainer]:
    """Return a process for each environment that is compared."""
    spec = Registry.installed().get("framework", framework)
    threads = available_cores()
    chosen = environment(threads=threads, device="auto", framework=spec.environment)
    plain = {name: value for name, value in chosen.items() if name not in SPIN | KEEP}
    alone = environment(threads=1, device="auto", framework=spec.environment)

    def trainer(variables: dict[str, str], *, plain_dropout: bool = True) -> Trainer:
        return Trainer(
            framework=framework,
            precision=precision,
            environment=variables,
            plain_dropout=plain_dropout and framework == "torch",
        )

    every = {
        "as it was": trainer(plain),
        "OMP_WAIT_POLICY=PASSIVE": trainer(plain | PASSIVE),
        "GOMP_SPINCOUNT=1000": trainer(plain | SPIN),
        "memory kept": trainer(plain | KEEP),
        "spin and memory": trainer(plain | SPIN | KEEP),
        "our dropout alone": trainer(plain, plain_dropout=False),
        "as it is": trainer(chosen, plain_dropout=False),
        "as it is, one thread": trainer(alone, plain_dropout=False),
    }
    of_torch = {"OMP_WAIT_POLICY=PASSIVE", "GOMP_SPINCOUNT=1000", "spin and memory", "our dropout alone"}
    return {name: each for name, each in every.items() if framework == "torch" or name not in of_torch}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--beside", type=int, default=0, help="other processes that keep the cores busy")
    parser.add_argument("--framework", default="torch", choices=("torch", "keras"))
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    asked = parser.parse_args()
    with busy_processes(asked.beside):
        measured = in_turn(trainers(asked.framework, asked.precision), asked.rounds, copies=0)
    print(f"{asked.framework}, {asked.precision}, {available_cores()} cores, beside {asked.beside} busy processes")
    first = measured["as it was"]
    for name, pairs in measured.items():
        wall, processor = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"  {name:24} {ratios(first, pairs):22} {wall:6.2f} s an epoch, processor {processor:6.2f} s")


if __name__ == "__main__":
    main()
