# A thin face on the `discover` command. Works with GNU make 3.81.
# Another Python or another environment: make PYTHON=/path/to/python3.12 VENV=.venv-3.12 …
PYTHON ?=
VENV := .venv
DISCOVER := $(VENV)/bin/discover
READY := $(VENV)/.ready
# The system's certificates include those of a company's proxy; uv's own list doesn't.
export UV_SYSTEM_CERTS ?= 1
# Files are UTF-8, whatever the locale says.
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo day2 test test-unit test-python312 test-jvm test-jvm-spark test-jvm-kafka test-jvm-trino lint format docs bench down clean lock

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
	rm -rf .discover .discover-* .venv .venv-* .jars dbt_project/target dbt_project/logs
	rm -rf dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

##@ Develop
setup: $(READY) ## environments only; the command is then .venv/bin/discover
	@$(DISCOVER) install

test: $(READY) ## set up and pass the tests
	@$(DISCOVER) install
	$(VENV)/bin/python -m pytest -n 2

test-unit: $(READY) ## the unit tests
	$(VENV)/bin/python -m pytest -n 2 tests/unit

test-python312: ## the demo on Python 3.12, in separate environments and a separate home
	@python="$$(sh requirements/find-python.sh 'sys.version_info[:2] == (3, 12)')" \
	  || { echo "error: no Python 3.12 was found" >&2; exit 2; }; \
	export DISCOVER_HOME="$(CURDIR)/.discover-3.12"; \
	$(MAKE) demo VENV=.venv-3.12 PYTHON="$$python"; status=$$?; \
	$(MAKE) down VENV=.venv-3.12; exit $$status

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

# Any Python 3 may install uv, so the project's limit doesn't apply to its list.
lock: $(READY) ## resolve the environments again, with hashes
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --all-extras --group dev pyproject.toml -o requirements/main.txt
	$(VENV)/bin/uv pip compile -q --no-config --universal --python-version 3.8 --generate-hashes requirements/uv.in -o requirements/uv.txt
	for name in ministack superset; do \
	  $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes requirements/$$name.in -o requirements/$$name.txt || exit 1; done

##@ Other
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: announce
announce:
	@if [ ! -f $(READY) ]; then \
	  echo "First run: downloads about 1 GB of packages, needs 4 GB of disk, takes about 5 minutes on two cores."; fi

$(READY): requirements/main.txt requirements/uv.txt requirements/install.sh pyproject.toml
	@sh requirements/install.sh $(VENV) "$(PYTHON)"
