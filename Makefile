# `make test` and `make serve` set up everything that they need, in .venv.
PYTHON ?= python3
BIN = .venv/bin
READY = .venv/.ready

.PHONY: test serve check docs picture train bench bench-others soak clean
.DEFAULT_GOAL := serve

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

test: $(READY)
	$(BIN)/pytest --numprocesses 2 --dist worksteal

serve: $(READY)
	$(BIN)/adjourn serve

# Format, lint, types, layers, docs.
check: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

# Write the generated pages of docs/ again.
docs: $(READY)
	$(BIN)/python docs/generate.py

# The picture in the README, from the running page.
picture: $(READY)
	$(BIN)/python docs/picture.py

# The weights of the trained detectors, from the rows in training/ and the public files in ADJOURN_PUBLIC_DATA.
train: $(READY)
	$(BIN)/python -m training.train

bench: $(READY)
	$(BIN)/python -m bench.turns
	$(BIN)/python -m bench.replay
	$(BIN)/python -m bench.chats
	$(BIN)/python -m bench.gateway

# The gateway beside others that install from a package index, in a venv of its own; what does not start is named.
bench-others: $(READY)
	test -x .venv-others/bin/python || $(PYTHON) -m venv .venv-others
	$(BIN)/python -m bench.others .venv-others

# Servers, faulty models and all kinds of clients for SOAK_MINUTES; fails with what did not hold.
soak: $(READY)
	$(BIN)/python -m bench.soak

clean:
	rm -rf .venv .venv-others
