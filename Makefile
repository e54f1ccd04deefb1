# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
# The environment is .venv, installed by plain pip with the exact versions of constraints.txt.

# The versions in constraints.txt were tested on 3.11, so it is preferred. Override: make demo PYTHON=/path/to/python
PYTHON ?= $(firstword $(foreach python,python3.11 python3.12 python3.13 python3,$(shell \
	$(python) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(python))))

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
# One stamp for what the product needs, one for what its tests need as well: a demo does not wait for linters.
PRODUCT := .venv/.product
TOOLS := .venv/.tools
# Where torch is from, if not where pip takes everything else: for Linux the usual build brings gigabytes of CUDA, and
# torch's own index has one for the processor alone.
TORCH_INDEX ?=
TORCH_FROM = $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX))
NPM := $(shell command -v npm)
# More arguments for pytest: make test ARGS="-k search"
ARGS ?=
# One process of tests more than there are cores, for half of them wait for a server or a clock; but in CI, where coverage
# is measured and no test may come too late. More than four would lack memory.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PARALLEL ?= --numprocesses=$(if $(CI),$(CORES),$(shell expr $(CORES) + 1)) --maxprocesses=4

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(PRODUCT) ## Install Tribrid with training and measuring into .venv, torch for the processor (once)
	@echo "Installed: . .venv/bin/activate && tribrid --help"

.PHONY: demo
demo: $(PRODUCT) ## Run the whole loop on the Python standard library and show before against after
	@$(BIN)/tribrid demo

.PHONY: check
check: lint ## Check what takes under two minutes: lint, then all tests but the slow ones
	@$(BIN)/pytest $(PARALLEL) -m "not slow" $(ARGS)

# Where CI is set the tests of other services' clients run too, which want an environment of their own, and coverage
# is measured: of all tests, or its floor would mean nothing.
.PHONY: test
test: lint $(if $(CI),clients) ## Check everything: lint, then all tests but what takes minutes and only CI runs
	@$(BIN)/pytest $(PARALLEL) $(if $(ARGS),,$(if $(CI),--cov --cov-report=,-m "not heavy")) $(ARGS)

.PHONY: clients
clients: .venv-clients/.installed $(if $(NPM),.npm-clients/.installed) ## Install what makes and checks clients: other services' and TypeScript (once)

.venv-clients/.installed: tests/clients/requirements.txt
	@$(PYTHON) -m venv .venv-clients
	@echo "Installing the rerank clients into .venv-clients (once)"
# The file names every version that these clients need: nothing is left to resolve.
	@.venv-clients/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --requirement tests/clients/requirements.txt
	@touch $@

.npm-clients/.installed: packages/tribrid-typescript/package.json packages/tribrid-typescript/package-lock.json
	@mkdir -p .npm-clients && cp $^ .npm-clients
	@echo "Installing TypeScript and its generator into .npm-clients (once)"
	@cd .npm-clients && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

.PHONY: lint
lint: $(TOOLS) ## Check style, types and layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(TOOLS) ## Rewrite the code in the house's format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: docs
docs: $(TOOLS) ## Write the reference and TypeScript's types from the program, then run the docs' code blocks and check their links
	@$(BIN)/python docs/generate.py
	@test ! -f .npm-clients/.installed || $(BIN)/python tests/clients/typescript/generate.py
	@$(BIN)/pytest $(PARALLEL) tests/docs $(ARGS)

.PHONY: site
site: $(TOOLS) ## Make a site of the documentation in build/docs/site
	@$(BIN)/python docs/website.py

.PHONY: smoke
smoke: ## Install the built package alone, without extras and tools, and start it
	@rm -rf .venv-smoke && $(PYTHON) -m venv .venv-smoke
	@.venv-smoke/bin/pip install --quiet --constraint constraints.txt .
	@cd / && $(CURDIR)/.venv-smoke/bin/python -c 'import tribrid.api, tribrid.app, tribrid.jobs, tribrid.loop.search, tribrid.loop.rerank'
	@cd / && $(CURDIR)/.venv-smoke/bin/tribrid --help
	@rm -rf .venv-smoke

.PHONY: packages
packages: $(TOOLS) $(if $(NPM),.npm-clients/.installed) ## Build every wheel and sdist, and with npm the tarball, into dist/: the same bytes from the same commit
	@rm -rf dist packages/tribrid-typescript/dist
	@export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct); \
	for source in . packages/*/; do test ! -f $$source/pyproject.toml || \
		(cd $$source && $(CURDIR)/$(BIN)/python -m hatchling build --directory $(CURDIR)/dist) || exit 1; done
	@test -z "$(NPM)" || (cd packages/tribrid-typescript && \
		PATH="$(CURDIR)/.npm-clients/node_modules/.bin:$$PATH" npm pack --silent --pack-destination $(CURDIR)/dist)

.PHONY: clean
clean: ## Remove the environment and every cache; your data stays
	rm -rf .venv .venv-smoke .venv-clients .npm-clients build dist packages/*/dist packages/*/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(PRODUCT): pyproject.toml constraints.txt
	$(if $(PYTHON),,$(error Tribrid needs Python 3.11 or newer: install it, or name it with PYTHON=/path/to/python))
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Could not make .venv. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing Tribrid into .venv (once; a few minutes)"
	@$(PIP_INSTALL) --quiet pip
# torch by itself and first, by pip: it is the largest by far, and the exact build matters. Its index has other versions of
# what it needs than constraints.txt names: that comes with the rest.
	@$(PIP_INSTALL) $(TORCH_FROM) torch
	@$(PIP_INSTALL) --build-constraint constraints.txt --editable '.[train,pdf,postgres,storage,fast]'
	@$(BIN)/python -c 'import lightgbm' || { \
		echo "LightGBM needs the OpenMP runtime: apt-get install libgomp1 (macOS: brew install libomp)" >&2; exit 1; }
	@touch $@

$(TOOLS): $(PRODUCT)
	@echo "Installing the test tools into .venv (once)"
	@$(PIP_INSTALL) --group dev
	@touch $@
