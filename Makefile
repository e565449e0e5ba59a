# Everything from nothing but python3, make and the package registry. `make help` lists what there is.
PYTHON ?= python3
BIN := .venv/bin
UV := uv==0.13.9
export GRADIO_ANALYTICS_ENABLED = False
# Tests start many processes; without bytecode each takes 9 seconds more to import torch and Gradio.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-quick test-oldest check audit format lint types fix docs space deploy clean browser

help: ## list what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: .venv/app ## open the window: http://127.0.0.1:7860
	$(BIN)/featvis serve

# Two processes, as most tests wait for one thread or for the browser; a file stays in one of them,
# in the order of tests/conftest.py: the slow ones first.
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder

test: .venv/dev browser ## run all tests, or some: make test ARGS='-k cam'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_TWO) $(ARGS)

test-quick: .venv/dev ## run all but the browser, live servers and many networks: 3 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_TWO) -m "not slow and not browser and not real" $(ARGS)

# torch 2.8 is the oldest that ZeroGPU has. Left out: what drives a browser, what needs real weights,
# and the Space, whose requirements are the tested ones.
test-oldest: .venv/made ## run the tests with the oldest packages that pyproject.toml allows
	[ -x .venv-oldest/bin/python ] || $(BIN)/uv venv --quiet --seed .venv-oldest
	UV_SYSTEM_CERTS=true $(BIN)/uv pip install --quiet --python .venv-oldest/bin/python \
	  --resolution lowest-direct -r pyproject.toml --extra transformers
	$(BIN)/uv pip freeze --quiet --python .venv-oldest/bin/python > .venv-oldest/versions.txt
	UV_SYSTEM_CERTS=true $(BIN)/uv pip install --quiet --python .venv-oldest/bin/python \
	  -c .venv-oldest/versions.txt pytest pytest-xdist captum faiss-cpu httpx-sse \
	  hypothesis ipykernel jupytext nbclient
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -p no:cacheprovider $(IN_TWO) \
	  -m "not browser and not real" --ignore tests/test_space.py $(ARGS)

check: format lint types test ## format, lint, types, tests

audit: .venv/made ## look for advisories about the pinned packages (0 none, 1 some, 2 no source)
	@$(BIN)/python .ci/audit.py

format: .venv/dev
	$(BIN)/ruff format --check .

lint: .venv/dev
	$(BIN)/ruff check .

types: .venv/dev
	$(BIN)/mypy

fix: .venv/dev ## format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/app ## write the tables of README.md and docs/links.md again
	$(BIN)/python -m app.docs

# As on the platform: its Python if it is here, only the folder's requirements, and Gradio beside them.
space: .venv/app ## build the Space's folder, and try it in an environment of its own
	$(BIN)/python spaces/build.py build/space
	$(BIN)/python spaces/try.py build/space

deploy: .venv/app ## upload the Space: make deploy SPACE=user/name [HARDWARE=zerogpu]
	@[ -n "$(SPACE)" ] || { echo "name the Space: make deploy SPACE=user/name"; exit 1; }
	$(BIN)/python spaces/build.py build/space --hardware $(or $(HARDWARE),cpu) --upload $(SPACE)

clean: ## remove the environments and what was built
	rm -rf .venv .venv-oldest build

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "featvis needs Python 3.10 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "$(PYTHON) cannot make an environment; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV) || \
	  echo "uv cannot be had: pip does its work"
	@touch $@

# uv takes seconds where pip takes minutes. Its certificates are the system's, as behind a proxy.
INSTALL = { [ -x $(BIN)/uv ] && \
	UV_SYSTEM_CERTS=true $(BIN)/uv pip install --quiet --python $(BIN)/python $(1); } || \
	{ echo "pip installs it, which may take minutes"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); }

# The checkout itself is installed, too, so that `featvis` is a command; what is edited counts at
# once. setuptools is one of the pinned packages.
.venv/app: requirements.txt pyproject.toml | .venv/made
	@echo 'installing the packages of $<, and the command featvis'
	@$(call INSTALL,-r $<)
	@$(call INSTALL,--no-deps --no-build-isolation --editable .)
	@touch $@

.venv/dev: requirements-dev.txt .venv/app
	@echo 'installing the packages of $<'
	@$(call INSTALL,-r $<)
	@touch $@

# The browser tests need a Chromium: an installed one, or Debian's where we may install it.
# Without one they are skipped with the reason, but fail where FEATVIS_REAL_DATA is set.
browser:
	@for name in chromium chromium-browser google-chrome chrome; do \
	  command -v $$name >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then exit 0; fi; \
	echo "installing chromium"; \
	export DEBIAN_FRONTEND=noninteractive; \
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
	  </dev/null >/dev/null || echo "chromium cannot be installed"
