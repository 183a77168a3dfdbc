.PHONY: demo test check examples pictures space benchmarks audit
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

space: .venv/demo  ## build the folder that is uploaded to a Space, and check it
	rm -rf build/space
	$(BIN)/python -m hosting.space build/space

benchmarks: .venv/dev chromium  ## measure how quick and steady the serving is; writes benchmarks/RESULTS.md
	missed=0; for name in startup together page load replicas device; do $(BIN)/python -m benchmarks.$$name || missed=1; done; exit $$missed

audit: .venv/demo  ## look the packages up among the known weaknesses; asks the internet
	$(BIN)/pip install --quiet pip-audit==2.10.1
	$(BIN)/pip-audit --requirement requirements.txt

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
	@command -v nginx >/dev/null || (apt-get update -qq && apt-get install -y -qq nginx-light) || true
