# Two commands do everything: `make repro` and `make test`. Each sets up what it needs first.
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONWARNINGS ?=

.PHONY: repro test check tour bench clean setup

repro: .venv/ready  ## build the data set in the project's world, then say what there is
	dvc repro -q
	boxset status

test: .venv/ready-dev  ## every test, and the checks
	@command -v searx-run >/dev/null || echo "searx is not installed (apt-get install searx): the tests against a real one are skipped"
	@command -v "$${LABEL_STUDIO:-label-studio}" >/dev/null || echo "Label Studio is not installed (docs/labelling.md): the tests against a real one are skipped"
	@command -v chromedriver >/dev/null || echo "chromium and chromedriver are not installed (apt-get install chromium chromium-driver): the tests of the pages in a browser are skipped"
	ruff check .
	mypy
	pytest -n 2 --dist loadgroup --cov=boxset --cov-report=json:.boxset/coverage.json -q
	python -m tests.coverage_floor .boxset/coverage.json

tour: .venv/ready-dev  ## a user's first day, in a copy with an empty ledger
	python -m tests.tour

bench: .venv/ready-dev  ## the comparisons of docs/speed.md
	python -m bench.sources
	python -m bench.crawl

setup: .venv/ready

.venv/ready: requirements.txt pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	$(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:  ## remove what was built here (not the ledger, not the DVC cache)
	rm -rf data .boxset build dist
