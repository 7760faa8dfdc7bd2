"""``bench parity``: are two benchmarks twins?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from craterbench.cli.run_command import run_command
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry

__all__ = ["parity_command"]


@click.command("parity")
@click.argument("names", nargs=-1, metavar="[A B]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=42, show_default=True, help="Seed of the weights.")
@click.option(
    "--seeds", type=click.IntRange(0), default=5, show_default=True, help="Runs of each, with dropout, once proven."
)
@click.option(
    "--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True, help="What to compute on."
)
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
def parity_command(names: tuple[str, ...], seed: int, seeds: int, device: str, results: Path) -> None:
    """Compare the twins A and B, by default reference and torch-twin, layer by layer and step by step.

    Each runs in a process of its own, from the same weights and on the same batches, without dropout: every layer's
    output, every loss and its gradients, weights after 1 and 20 steps of every optimizer, and predictions from the
    other's weights. Exit status 1 says that a difference is over its tolerance. Then both are trained as bench run
    trains them, with dropout, which no two frameworks draw alike: there the table says how their scores compare.
    """
    from rich.console import Console

    from craterbench.execution.versions import versions_of
    from craterbench.parity.text import show_parity
    from craterbench.parity.verify import verify_parity
    from craterbench.results.parity_verdicts import Verdict, check_writable, write_verdict
    from craterbench.results.store import new_id

    if len(names) not in (0, 2):
        raise UserError("bench parity takes two benchmarks, or none for reference and torch-twin")
    first, second = names or ("reference", "torch-twin")
    check_writable(results)
    registry = Registry.installed()
    report = verify_parity(
        registry, (first, second), seed=seed, device=device, report=lambda line: click.echo(line, err=True)
    )
    show_parity(report, Console())
    packages = versions_of(name for framework in report.frameworks for name in framework.distributions)
    verdict = Verdict(
        id=new_id()[0],
        benchmarks=report.benchmarks,
        verdict="equal" if report.equal else "different",
        components=report.components,
        sources=report.sources,
        packages=packages,
        precisions=report.precisions,
        device=report.device,
    )
    click.echo(write_verdict(results, verdict))
    if not report.equal:
        sys.exit(1)
    if seeds:
        again = {"names": report.benchmarks, "seed": seed, "seeds": seeds, "device": device, "results": results}
        click.get_current_context().invoke(run_command, **again)
