"""`sweeper query` in every format, for one sweep or all, and with SQL that cannot write."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine

from sweeper.cli.tables import short_params
from tests.sweeper.cli.conftest import Run
from tests.sweeper.synthetic import BEST, fill, params_of, score_of


def test_the_leaderboard_puts_the_best_first(look: Run) -> None:
    lines = look("query", "leaderboard").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["kd", "rdd", "baseline"]


def test_the_trials_name_states_and_short_hyperparameters(look: Run) -> None:
    output = look("query", "trials").stdout
    assert {"diverged", "pruned", "failed", "complete"} <= set(output.split())
    assert short_params(params_of("kd", 0)) in output


@pytest.mark.parametrize("name", ["leaderboard", "trials", "curves", "ledger"])
def test_no_cell_of_a_plain_table_is_cut(look: Run, name: str) -> None:
    assert "…" not in look("query", name).stdout


def test_csv_keeps_every_digit(look: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(look("query", "trials", "--format", "csv").stdout)))
    assert len(rows) == 48
    best = next(row for row in rows if (row["method"], row["number"]) == ("kd", str(BEST)))
    assert float(best["score"]) == score_of("kd", BEST, 80)
    assert float(best["params.learning_rate"]) == params_of("kd", BEST)["learning_rate"]


def test_json_has_null_where_there_is_no_value(look: Run) -> None:
    rows = json.loads(look("query", "trials", "--format", "json").stdout)
    diverged = [row for row in rows if row["diverged"]]
    assert [row["score"] for row in diverged] == [None] * 3


def test_a_parquet_file_reads_back(look: Run, tmp_path: Path) -> None:
    result = look("query", "curves", "--output", "curves.parquet")
    assert "81 rows" not in result.stdout
    frame = pd.read_parquet(tmp_path / "curves.parquet")
    road, absent, sky = frame["class_iou"][0]
    assert (road + sky) / 2 == pytest.approx(frame["score"][0])
    assert math.isnan(absent)
    assert len(frame) == 3 * (15 + 9 + 0) + 3


def test_parquet_goes_into_a_pipe_as_well(look: Run) -> None:
    result = look("query", "ledger", "--format", "parquet")
    assert len(pd.read_parquet(io.BytesIO(result.stdout_bytes))) == 3


def test_an_output_of_unknown_kind_needs_a_format(look: Run) -> None:
    assert look("query", "ledger", "--output", "ledger").exit_code == 2


def test_a_folder_that_is_not_there_is_one_line(look: Run) -> None:
    result = look("query", "ledger", "--output", "nowhere/ledger.csv")
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.stderr


def test_limit_cuts_the_rows(look: Run) -> None:
    assert len(look("query", "trials", "--limit", "4").stdout.splitlines()) == 5


def test_without_a_choice_all_sweeps_are_shown_and_that_is_said(run: Run, demo: Engine) -> None:
    fill(demo, name="second", methods=("baseline",))
    result = run("query", "ledger")
    assert "all 2, --sweep chooses one" in result.stderr
    assert {line.split()[0] for line in result.stdout.splitlines()[1:]} == {"demo", "second"}


def test_the_configured_sweep_is_the_default(run: Run, demo: Engine, tmp_path: Path) -> None:
    fill(demo, name="second", methods=("baseline",))
    (tmp_path / "sweeper.toml").write_text('sweep = "second"\n')
    result = run("query", "ledger")
    assert result.stderr == "sweep: second (sweeper.toml)\n"
    assert len(result.stdout.splitlines()) == 2


def test_sql_answers_and_cannot_write(look: Run) -> None:
    counted = look("query", "--sql", "SELECT count(*) AS trials FROM sweeper.trials")
    assert counted.stdout.split() == ["trials", "48"]
    refused = look("query", "--sql", "DELETE FROM sweeper.trial")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: query refused")


def test_sql_comes_in_every_format(look: Run) -> None:
    sql = "SELECT method, max(score) AS best FROM sweeper.trials GROUP BY 1 ORDER BY 1"
    rows = json.loads(look("query", "--sql", sql, "--format", "json").stdout)
    assert [row["method"] for row in rows] == ["baseline", "kd", "rdd"]
