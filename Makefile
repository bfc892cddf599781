# make demo: set up and run the main job. make chat: a page to ask its model about an ECG. make test: set up and run the tests, make slow: those of over 20 s. make lint: ruff and mypy, make docs: the pages, in site/. Nothing is done twice.
.PHONY: demo chat test slow lint docs setup bench clean

VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
BOOTSTRAP ?= python3
PYTEST := $(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

demo: $(VENV)/.ready
	$(PYTHON) -m anyecg.run experiments/anyecg_chat.yaml

chat: models/anyecg_chat/config.json
	$(PYTHON) -m anyecg chat models/anyecg_chat

models/anyecg_chat/config.json: runs/anyecg_chat/metrics.json
	$(PYTHON) -m anyecg.export runs/anyecg_chat --to models/anyecg_chat --overwrite

runs/anyecg_chat/metrics.json: | $(VENV)/.ready
	$(PYTHON) -m anyecg.run experiments/anyecg_chat.yaml

test: $(VENV)/.ready
	$(PYTEST) -m "not slow"

slow: $(VENV)/.ready
	$(PYTEST) -m slow

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy

docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --quiet

bench: $(VENV)/.ready
	$(PYTHON) -m benchmarks
	$(PYTHON) benchmarks/build_scale.py --small 500 --large 2000

setup: $(VENV)/.ready

$(UV):
	$(BOOTSTRAP) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "anyecg needs python 3.11 or newer; try: make BOOTSTRAP=python3.12")'
	$(BOOTSTRAP) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet uv

$(VENV)/.ready: pyproject.toml constraints.txt | $(UV)
	$(UV) pip install --quiet --python $(PYTHON) --constraint constraints.txt -e '.[smollm2,deepspeed,qlora,test,lint,docs]'
	touch $@

clean:
	rm -rf $(VENV) runs
