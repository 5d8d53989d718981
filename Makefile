# Two commands to know: `make up` and `make test`. Everything lives in .venv and .ecap.
# Only relative paths: the folder may have spaces in its name.

.DEFAULT_GOAL := help
.PHONY: help env up down test lint unit coverage infra bench demo lock clean

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Tools of the checks of infra/ and deploy/, apart: some want packages older than ours.
INFRA := .venv-infra
# Ctrl-C belongs to `ecap up`, and a failed step names itself.
MAKEFLAGS += --no-print-directory

# $(call step,name,command): runs the command and says how long it took.
define step
	@start=$$(date +%s); $(2) && echo "$(1): $$(($$(date +%s) - start)) s" \
		|| { code=$$?; echo "$(1): FAILED after $$(($$(date +%s) - start)) s"; exit $$code; }
endef

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1  \2/p' Makefile

env: $(STAMP)  ## create .venv and install what requirements.lock pins

$(STAMP): requirements.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "ECAP needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON) (once) ..."
	@test -x $(PY) || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Cannot create $(VENV): on Debian and Ubuntu, install the package python3-venv"; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(PY) -m uv pip install --quiet --python $(PY) --require-hashes -r requirements.lock
	@$(PY) -m uv pip install --quiet --python $(PY) --no-deps --editable .
	@# Without byte code eight replicas compile the same modules at every first start: 70 s, not 20.
	@PYTHONDONTWRITEBYTECODE= $(PY) -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
	@touch $@

up: $(STAMP)  ## start everything here, in the foreground; Ctrl-C ends it (ARGS="--dashboard")
	@$(PY) -m compileall -q ecap
	@exec $(VENV)/bin/ecap up $(ARGS)

down: $(STAMP)  ## end what `make up` started in another terminal
	@$(VENV)/bin/ecap down

test: $(STAMP)  ## every check and test (ARGS="-k words" narrows the tests)
	@$(PY) -m compileall -q ecap
	@$(MAKE) lint
	@$(if $(ARGS),echo "infra: not with ARGS",$(MAKE) infra)
	$(call step,pytest,$(PY) -m pytest --durations=15 $(ARGS))

lint: $(STAMP)  ## formatting, rules, types and import contracts: what the commit hook runs
	$(call step,ruff check,$(PY) -m ruff check .)
	$(call step,ruff format,$(PY) -m ruff format --check .)
	$(call step,mypy,$(PY) -m mypy)
	$(call step,lint-imports,$(VENV)/bin/lint-imports)

unit: $(STAMP)  ## the tests that need no server (ARGS="-k words" narrows them)
	$(call step,pytest,$(PY) -m pytest tests/unit -q $(ARGS))

coverage: $(STAMP)  ## which lines the unit and integration tests run; shown, no gate
	@$(PY) -m coverage run --source ecap -m pytest tests/unit tests/integration -q $(ARGS)
	@$(PY) -m coverage report --skip-covered --sort=cover

infra: $(STAMP)  ## every check of infra/ and deploy/, with planted faults; part of `make test`
	@$(MAKE) $(INFRA)/.installed || echo "SKIP: the tools of these checks cannot be installed here"
	$(call step,infra,$(PY) infra/checks/run.py $(INFRA))

$(INFRA)/.installed: infra/checks/tools.lock infra/checks/checkov.lock infra/checks/promtool.sh
	@echo "Installing tools into $(INFRA) (once) ..."
	@mkdir -p $(INFRA)/bin
	@for name in tools checkov; do \
		$(PY) -m uv venv --quiet --clear --python $(PY) $(INFRA)/$$name && \
		$(PY) -m uv pip install --quiet --python $(INFRA)/$$name/bin/python --require-hashes \
			-r infra/checks/$$name.lock || exit 1; done
	@infra/checks/promtool.sh $(INFRA)/bin || echo "promtool cannot be had: alerts are not evaluated"
	@touch $@

bench: $(STAMP)  ## measure, each figure beside its baseline
	@$(PY) -m bench $(ARGS)

demo: $(STAMP)  ## real shoppers for a minute (ARGS="--rate 50 --seed 7")
	@$(VENV)/bin/ecap demo $(ARGS)

lock: $(STAMP)  ## pin again after a change in pyproject.toml
	@$(PY) -m uv pip compile --quiet pyproject.toml --all-extras --group dev --generate-hashes \
		--universal --python-version 3.11 --no-header -o requirements.lock
	@for name in tools checkov; do $(PY) -m uv pip compile --quiet infra/checks/$$name.in \
		--generate-hashes --universal --python-version 3.11 --no-header -o infra/checks/$$name.lock; done

clean:  ## remove the environment and caches; the data in .ecap stays
	@rm -rf $(VENV) $(INFRA) build bench-results *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	@find ecap tests -name __pycache__ -type d -prune -exec rm -rf {} +
