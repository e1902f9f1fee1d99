# The project's commands; `make` alone lists them. All of them first see to the virtual environment in $(VENV).

# A Python 3.10 or 3.11 to make it with; empty: the one it was made with, else the first that is found.
PYTHON ?=
VENV ?= .venv
# More arguments for pytest or the benchmarks: make test ARGS="-k healing", make bench ARGS="download status"
ARGS ?=
# Of the managers that the demos and the soak install: 4 or 5.
GENERATION ?= 4
# For the soak: how long, and what all its faults follow from; empty: another one each time.
MINUTES ?= 60
SEED ?=
ROUND ?= 1
# For mutants: words in the paths of the modules that are meant.
WORDS ?=

BIN := $(VENV)/bin
# More than two cores: a third of the tests' time is waiting.
PYTEST := $(BIN)/pytest -n 4 --dist worksteal --durations 10
SHELL_SCRIPTS := .ci/run $(wildcard scripts/*.sh options/*.sh)

.DEFAULT_GOAL := help
.PHONY: help venv bench coverage mutants demo demo-heal demo-second-death demo-meta demo-down soak test unit lint format reference wagon

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

venv: ## make the virtual environment .venv (PYTHON=... chooses the Python)
	@python=$$(PYTHON="$(PYTHON)" scripts/find-python.sh $(BIN)/python 3.11 3.10) && "$$python" scripts/make_venv.py $(VENV)

demo: venv ## install a cluster of three managers on the lab with the real cfy, and show it (GENERATION=5: of 7.0)
	@exec $(BIN)/python -m lab.demo up --generation $(GENERATION)

demo-heal: venv ## kill the leader of the demo's cluster, and watch how it is found dead and healed
	@exec $(BIN)/python -m lab.demo_heal --generation $(GENERATION)

demo-second-death: venv ## kill two machines of a cluster of 7.0, the second one while the first is healed
	@exec $(BIN)/python -m lab.demo_second_death

demo-meta: venv ## install two clusters, kill one, and show the fleet
	@exec $(BIN)/python -m lab.demo_meta

demo-down: venv ## stop the demo's machines and remove everything it wrote
	@exec $(BIN)/python -m lab.demo down

soak: venv ## break three clusters at random for an hour, and see that nothing is lost (MINUTES=10 SEED=7)
	@exec $(BIN)/python -m lab.soak --generation $(GENERATION) --minutes $(MINUTES) --round $(ROUND) $(if $(SEED),--seed $(SEED))

test: venv ## run all tests (under 10 minutes on two cores)
	$(PYTEST) --ignore tests/live $(ARGS) tests

unit: venv ## run the unit tests only (under a minute)
	$(PYTEST) $(ARGS) tests/unit

coverage: venv ## measure which branches the tests take, those of the real cfy too (half an hour)
	$(BIN)/coverage erase
	-nice $(BIN)/coverage run -m pytest -q -n 0 --ignore tests/live $(ARGS) tests
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

mutants: venv ## change the modules that matter most, and see what no test notices (WORDS="plan store" chooses)
	@$(BIN)/python -m pip install -q -c constraints.txt cosmic-ray
	@exec $(BIN)/python scripts/mutants.py $(WORDS)

bench: venv ## measure the numbers to hold, and write benchmarks/RESULTS.md (ARGS="download status" chooses)
	@exec $(BIN)/python -m benchmarks $(ARGS)

lint: venv ## check style, types, layers, YAML, shell scripts, and that docs/reference.md is not stale
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/python scripts/make_reference.py --check

format: venv ## rewrite the Python files in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: venv ## write docs/reference.md out of plugin.yaml and the inputs
	$(BIN)/python scripts/make_reference.py

wagon: venv ## pack the plugins for a Tier 2 manager into dist/
	@exec $(BIN)/python scripts/make_wagons.py dist
