"""How long a large comparison takes, and how large its page is.

    python -m tests.benchmarks.report [--methods 100] [--trials 1000] [--output DIR]

The sweep is written by COPY, with 10 confirmations a configuration and 30 of the baseline's.
Targets: the report in 60 s and 15 MB, the verdict table in 3 s, each in a process that has just
begun.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from sweeper.core.constants import BASELINE
from sweeper.postgres.embedded import Embedded
from sweeper.store.database import connect_engine
from sweeper.store.initialise import initialise
from tests.servers import end, home_in, new_database
from tests.sweeper.confirmed import confirm
from tests.sweeper.large import fill_large, level_of

REPORT_S, PAGE_MB, COMPARE_S = 60.0, 15.0, 3.0


def fill(url: str, methods: int, trials: int) -> None:
    """Write the sweep and its confirmation."""
    engine = connect_engine(url)
    names = [BASELINE, *(f"method{number}" for number in range(1, methods))]
    fill_large(engine, names, trials)
    generator = np.random.default_rng(0)
    values = {
        name: (level_of(name) - 3 + 0.4 * generator.standard_normal(seeds)).tolist()
        for name in names
        for seeds in [30 if name == BASELINE else 10]
    }
    confirm(engine, values, name="large", images=60)
    engine.dispose()


def timed(url: str, *arguments: str) -> float:
    """Return the seconds that a command takes."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "sweeper.cli.main", *arguments, "--database", url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


@click.command()
@click.option("--methods", default=100, show_default=True)
@click.option("--trials", default=1000, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Keep the report there.")
def main(methods: int, trials: int, output: Path | None) -> None:
    """Measure and print; exit code 1 where a target is missed."""
    folder = Path(tempfile.mkdtemp(prefix="sweeper-report-", dir="/tmp"))
    folder.chmod(0o755)
    os.environ["SWEEPER_HOME"] = str(folder / "home")
    server = Embedded(home_in(folder, "home"))
    server.ensure_running()
    target = output or folder / "report"
    try:
        with new_database(server, "") as url:
            initialise(url)
            fill(url, methods, trials)
            report_s = timed(url, "report", "large", "-o", str(target), "--allow-unequal")
            compare_s = timed(url, "compare", "large", "--allow-unequal")
    finally:
        end(server)
    page_mb = (target / "index.html").stat().st_size / 1e6
    tables_mb = sum(file.stat().st_size for file in (target / "data").iterdir()) / 1e6
    click.echo(f"{methods} methods x {trials} trials")
    click.echo(f"report   {report_s:6.1f} s   target {REPORT_S:.0f}")
    click.echo(f"page     {page_mb:6.1f} MB  target {PAGE_MB:.0f}   (tables {tables_mb:.1f} MB)")
    click.echo(f"compare  {compare_s:6.1f} s   target {COMPARE_S:.0f}")
    within = report_s < REPORT_S and page_mb < PAGE_MB and compare_s < COMPARE_S
    sys.exit(0 if within else 1)


if __name__ == "__main__":
    main()
