# make run    the switch, on 127.0.0.1:8080 and a unix socket; no root, no configuration
# make test   every test; as root also those with real TAPs in network namespaces
# make lint   ruff and mypy --strict
# make demo   two stations in namespaces reach each other through nginx, TLS and the switch (root)
# make man    write the manual pages into build/man
# make tables  write the tables of the documentation that the code can tell
# make bench  CPU time per frame, stage by stage
# make compare  vpnws beside OpenVPN, tinc and the bare bridge (root, a quarter of an hour; COMPARE=--quick: minutes)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
# What runs, and what tests.
READY := $(VENV)/ready
READY_DEV := $(VENV)/ready-dev

.PHONY: help run test lint demo man tables bench compare clean

help:
	@sed -n '/^# make/s/^# //p' Makefile

run: $(READY)
	$(BIN)/uwsgi --ini uwsgi.ini

test: $(READY_DEV)
	tests/install-tools.sh
	$(BIN)/python -m tests.run

lint: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: $(READY)
	tests/install-tools.sh demo
	$(BIN)/python -m tests.demo

man: $(READY)
	mkdir -p build/man/man1
	$(BIN)/vpnws-client man > build/man/man1/vpnws-client.1
	$(BIN)/vpnws-ctl man > build/man/man1/vpnws-ctl.1

tables: $(READY)
	$(BIN)/python -m tests.support.tables

bench: $(READY_DEV)
	$(BIN)/python -m bench.stages
	$(BIN)/python -m bench.offload

compare: $(READY_DEV)
	tests/install-tools.sh
	$(BIN)/python -m bench.compare $(COMPARE)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build

# pip keeps the uWSGI that it compiled, also for another Python of the same version, whose library it
# would then load ("No module named '_socket'"). So uWSGI is compiled for the Python that is here.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and sys.argv[1])' \
		"$(PYTHON) is older than Python 3.11: name a newer one, as in PYTHON=python3.11 make"
	tests/install-tools.sh run
	$(PYTHON) -m venv $(VENV)
	@echo "installing what runs into $(VENV); uWSGI is compiled, which takes a minute"
	$(PIP) install --no-cache-dir $$(grep '^uwsgi==' requirements.txt)
	$(PIP) install --requirement requirements.txt
	$(PIP) install --no-deps --editable .
	touch $@

$(READY_DEV): $(READY) requirements-dev.txt
	@echo "installing what tests into $(VENV)"
	$(PIP) install --requirement requirements-dev.txt
	touch $@
