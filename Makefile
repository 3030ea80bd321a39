# make run    the switch, on 127.0.0.1:8080 and a unix socket; no root, no configuration
# make test   every test; as root also those with real TAPs in network namespaces
# make lint   ruff and mypy --strict
# make demo   two stations in namespaces reach each other through nginx, TLS and the switch (root)
# make tables  write the tables of the documentation that the code can tell
# make bench  CPU time per frame, stage by stage
# make compare  vpnws beside OpenVPN, tinc and the bare bridge (root, a quarter of an hour; COMPARE=--quick: minutes)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help run test lint demo tables bench compare clean

help:
	@sed -n '/^# make/s/^# //p' Makefile

run: $(READY)
	$(BIN)/uwsgi --ini uwsgi.ini

test: $(READY)
	tests/install-tools.sh
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: $(READY)
	tests/install-tools.sh
	$(BIN)/python -m tests.demo

tables: $(READY)
	$(BIN)/python -m tests.support.tables

bench: $(READY)
	$(BIN)/python -m bench.stages
	$(BIN)/python -m bench.offload

compare: $(READY)
	tests/install-tools.sh
	$(BIN)/python -m bench.compare $(COMPARE)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build

$(READY): requirements.txt pyproject.toml
	tests/install-tools.sh build
	$(PYTHON) -m venv $(VENV)
	@echo "installing the requirements into $(VENV); uWSGI may be compiled, which takes a minute"
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
