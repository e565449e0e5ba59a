# Everything from nothing but python3, make and the package registry. `make help` lists what there is.
PYTHON ?= python3
BIN := .venv/bin
export GRADIO_ANALYTICS_ENABLED = False

.DEFAULT_GOAL := help
.PHONY: help run test check format lint types fix docs clean

help: ## list what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: .venv/app ## open the window: http://127.0.0.1:7860
	$(BIN)/python -m app serve

test: .venv/dev .venv/browser ## run all tests
	$(BIN)/python -m pytest

check: format lint types test ## format, lint, types, tests

format: .venv/dev
	$(BIN)/ruff format --check .

lint: .venv/dev
	$(BIN)/ruff check .

types: .venv/dev
	$(BIN)/mypy

fix: .venv/dev ## format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/app ## write the tables of README.md again
	$(BIN)/python -m app.docs

clean: ## remove the environment
	rm -rf .venv

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "featvis needs Python 3.10 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3 cannot make an environment; on Debian: \
	  apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || \
	  echo "uv cannot be had: pip installs instead, which takes some minutes"
	@touch $@

INSTALL = if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python -r $(1); \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(1); fi

.venv/app: requirements.txt | .venv/made
	$(call INSTALL,requirements.txt)
	@touch $@

.venv/dev: requirements-dev.txt .venv/app
	$(call INSTALL,requirements-dev.txt)
	@touch $@

# The browser tests need a Chromium: an installed one, or Debian's where we may install it.
# Without one they are skipped with the reason, but fail where CI=true.
.venv/browser:
	@if ! command -v chromium chromium-browser google-chrome >/dev/null && \
	    [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing chromium"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 || true; \
	fi
	@mkdir -p .venv && touch $@
