# A fresh machine needs no more than `make demo` and `make test`.
#   make demo    the whole story on this machine, in a minute
#   make demo-slurm   a sweep on a Slurm cluster of this machine alone (root)
#   make test    every check, and the tests but those that take long
#   make test-slow   those: chance, crowds, dead networks, tutorials, further rows
#   make coverage   how much of the code the tests of units and workflows run, subprocesses too
#   make lint    the checks that need no sshd
#   make matrix  the unit tests on every Python that is supported and here
#   make gates   other people's MCP suites, clients and hosts against our server; the real torchrun (npm, torch; 1.6 GB)
#   make docs    the documentation as a site, API reference included
#   make bench   the benchmarks
#   make agent-eval  scripted agents on good and bad days, in two minutes; with WRITE=1 the page, too
#   make audit   known vulnerabilities of the locked packages
#   make dist    what a release publishes, built and checked
#   make changelog VERSION=X.Y.Z   the notes of changes/ into CHANGELOG.md, the version everywhere
#   make lock    requirements.lock rewritten, from pyproject.toml
#   make clean   everything that make made

# Nothing of the environment chooses what runs or what is installed but PYTHON:
# the lock's hashes say what is installed, wherever it comes from.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE VIRTUAL_ENV BASH_ENV ENV CDPATH \
  PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_CONSTRAINT PIP_REQUIREMENT PIP_NO_BINARY PIP_EDITABLE
export PYTHONNOUSERSITE := 1
override MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input --retries 8
LOCK := $(VENV)/lock/bin/uv --quiet pip compile --universal --python-version 3.11 \
  --generate-hashes --upgrade --no-emit-index-url --custom-compile-command 'make lock'
CROWD := -n 5 --dist loadfile --no-loadscope-reorder
QUICK := -m "not slow and not soak"
SCRIPTS := sandbox_ops/remote/scripts
MAIN := $(SCRIPTS)/lib/main.sh
BSD := $(SCRIPTS)/lib/facts_bsd.sh
LIBRARY := $(filter-out $(MAIN) $(BSD),$(wildcard $(SCRIPTS)/lib/*.sh)) $(MAIN)

.PHONY: demo demo-slurm test test-slow coverage lint matrix gates audit docs dist changelog soak bench agent-eval lock clean

demo: $(VENV)/ready
	$(BIN)/sandbox-ops demo

demo-slurm: $(VENV)/ready
	.ci/system-packages
	$(BIN)/python tests/support/slurm_demo.py

test: lint
	.ci/system-packages
	@# five at once: for much of the time they wait. The files in their order: the unit tests,
	@# which are short, come last and fill the end. What fails in the crowd runs again,
	@# alone, and is listed by name; a chance test that failed stays failed
	$(BIN)/python tests/support/second_run.py --title tests $(CROWD) $(QUICK)

test-slow: $(VENV)/ready
	.ci/system-packages
	$(BIN)/python tests/support/second_run.py --title slow $(CROWD) -m "slow and not soak"

coverage: $(VENV)/ready
	@# apart from `make test`: it slows every process, and some promises are about seconds
	$(BIN)/coverage erase
	$(BIN)/coverage run tests/support/second_run.py --title measured -q $(CROWD) $(QUICK) tests/integration/workflows tests/unit
	@$(BIN)/coverage combine --quiet
	@echo "coverage: $$($(BIN)/coverage report --format=total) % of lines and branches, by the unit tests and those of the workflows"

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/* $(SCRIPTS)/*.sh sandbox_ops/cli/completions/*.bash $(SCRIPTS)/boot/*.sh $(SCRIPTS)/guards/*.sh
	cat $(LIBRARY) | $(BIN)/shellcheck --shell=sh -
	cat $(LIBRARY:$(SCRIPTS)/lib/facts.sh=$(BSD)) | $(BIN)/shellcheck --shell=sh -
	$(BIN)/codespell
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff

gates: $(VENV)/ready
	.ci/system-packages gates
	@# other people's programs, over a network
	$(BIN)/python tests/support/second_run.py --title gates -m gates tests/gates

matrix: $(VENV)/ready
	.ci/matrix

soak: $(VENV)/ready
	$(BIN)/pytest -m soak --timeout 3600 -s

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

agent-eval: $(VENV)/ready
	$(BIN)/python -m benchmarks.agent_eval run $(if $(WRITE),--write)

# The lock holds every wheel's hash, so what is installed is what was tested.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

lock:
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip --quiet install uv
	$(LOCK) pyproject.toml --all-extras --group dev --output-file requirements.lock
	$(LOCK) pyproject.toml --constraint requirements.lock --output-file packaging/bundle.lock
	for name in v1 fastmcp mlflow; do \
	  $(LOCK) tests/gates/$$name-client.in --output-file tests/gates/$$name-client.txt || exit; \
	done
	cd tests/gates && npm install --package-lock-only --ignore-scripts --no-audit --no-fund

clean:
	rm -rf $(VENV) .coverage* site build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

docs: $(VENV)/ready
	@# a warning is an error; the pages of docs/ are checked by the tests
	rm -rf site
	$(BIN)/python -W error docs/build_api.py site/api

dist: $(VENV)/ready
	rm -rf dist build/sbom.cdx.json
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*
	@# the wheel alone, in an environment of its own
	$(PYTHON) -m venv dist/try
	dist/try/bin/pip --quiet --disable-pip-version-check install dist/*.whl
	dist/try/bin/sandbox-ops --version
	@# what a user gets beside us, as CycloneDX
	mkdir -p build
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file build/sbom.cdx.json dist/try/bin/python
	rm -rf dist/try

audit: $(VENV)/ready
	.ci/audit

changelog: $(VENV)/ready
	@[ "$(VERSION)" ] || { echo "make changelog VERSION=X.Y.Z"; exit 1; }
	sed -i 's/^version = ".*"/version = "$(VERSION)"/' pyproject.toml
	sed -i 's/^version: .*/version: $(VERSION)/; s/^date-released: .*/date-released: "$(shell date +%F)"/' CITATION.cff
	sed -i 's/"version": "[0-9.]*"/"version": "$(VERSION)"/' packaging/server.json packaging/mcpb/manifest.json \
	  sandbox_ops/plugin/plugin.json sandbox_ops/plugin/.claude-plugin/plugin.json
	$(BIN)/towncrier build --yes --version $(VERSION)
