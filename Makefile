PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
BENCHMARKS := $(basename $(notdir $(wildcard tests/benchmarks/*.py)))

.PHONY: demo test check bench methods clean

demo: $(INSTALLED) ## search baseline, kd and rdd on generated scenes, then show who leads
	$(BIN)/sweeper launch --task shapes --method baseline --method kd --method rdd --budget 24
	$(BIN)/sweeper query leaderboard --sweep shapes

test: check ## everything that must hold; continuous integration runs this and nothing else
	$(BIN)/pytest -q -rs -n 2 --dist loadfile

check: $(INSTALLED) ## style and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED) ## measure; a figure passes or fails nothing
	@status=0; for name in $(BENCHMARKS); do \
		echo "== $$name"; $(BIN)/python -m tests.benchmarks.$$name || status=1; done; exit $$status

methods: $(INSTALLED) ## write METHODS.md anew from the methods' files
	$(BIN)/sweeper methods --markdown > METHODS.md

clean: ## remove the environment and what tools cached; sweeps and databases stay
	rm -rf .venv build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache
	find sweeper trainers search_spaces tests -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@echo "installing into .venv; the first time this takes some minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -qq --disable-pip-version-check -e '.[test]'
	@touch $@
