.PHONY: demo test check examples pictures
PYTHON ?= python3
BIN := .venv/bin

demo: .venv/demo  ## install what is missing, start the gallery, print its address
	$(BIN)/python app.py

test: .venv/dev chromium  ## all tests: mechanics, shipped weights, the page in a browser
	$(BIN)/python -m pytest

check: .venv/dev  ## formatting, lint and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -m "not weights and not browser"

examples: .venv/dev  ## compute the runs that the page shows before any network is loaded
	$(BIN)/python -m demos.examples

pictures: .venv/dev chromium  ## take the README's screenshots
	$(BIN)/python -m tests.pictures

.venv/demo: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

.venv/dev: requirements-dev.txt .venv/demo
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@

.PHONY: chromium
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium fonts-noto-cjk)
