# One environment in .venv serves every target.
PYTHON ?= python3
BIN := .venv/bin
CHECKED := tqconv tests bench docs sample_models

.PHONY: setup check test golden docs bench models

# ruff comes with the checks, which an environment made for the tests alone lacks.
setup: $(BIN)/ruff

$(BIN)/ruff: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -e '.[test,check]'
	touch $@

check: setup
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

test: setup
	$(BIN)/python -m pytest

# What tests compare with committed files.
golden: docs

docs: setup
	$(BIN)/python docs/generate_flags.py > docs/flags.tmp && mv docs/flags.tmp docs/flags.md
	$(BIN)/python docs/generate_ops.py
	$(BIN)/python docs/generate_man.py

# The peers are measured where TF names an interpreter that has TensorFlow.
bench: setup
	$(BIN)/python bench/corpus_table.py sample_models
	$(if $(TF),$(BIN)/python bench/pairs.py --tf-python $(TF) --workdir .bench)
	$(BIN)/python bench/scale.py --workdir .bench

models:
	$(if $(TF),,$(error set TF to an interpreter with tensorflow and scikit-learn))
	cd sample_models && for maker in make_*.py; do $(TF) $$maker || exit 1; done
