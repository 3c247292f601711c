# Each target makes the environment where it is missing; `make PYTHON=/path/to/python3.13 ...` names an interpreter.
export PYTHONPATH := $(CURDIR)
export PYTHONWARNINGS := ignore:`torch.jit.script` is deprecated:FutureWarning
export MPLBACKEND := Agg
PYTHON_OF_ENVIRONMENT = $$(tools/python)

.PHONY: demo test test-all coverage lint lock tutorials smoke environment wheel install-check bench

demo:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" examples/clover.py

test test-all coverage: export OMP_NUM_THREADS = 1
test test-all coverage: export OPENBLAS_NUM_THREADS = 1
test test-all coverage: export MKL_NUM_THREADS = 1
test:  # contiguous tests in one process, which share what they compile
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m pytest -n 2 --dist worksteal

test-all:  # every case of modules with many cases of one kind
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m pytest -n 2 --dist worksteal --every-case

coverage:  # the test suite, with the floor of pyproject.toml
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m pytest -n 2 --dist worksteal --cov --cov-report=term --cov-report=xml

lint:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m ruff check . && "$$python" -m ruff format --check . && "$$python" -m mypy \
		&& "$$python" -m mypy --config-file tests/typed/mypy.ini tests/typed/trial.py

lock:  # after a change of dependencies; `make lock UPGRADE=--upgrade` takes their newest versions
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" tools/lock.py $(UPGRADE)

tutorials:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" tools/tutorials.py

smoke: export SMOKE_TEST = 1
smoke:  # all notebooks with short loops; shows their warnings, writes nothing
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" tools/tutorials.py

.PHONY: docs docs-check docs-serve
docs docs-check docs-serve: export NO_MKDOCS_2_WARNING = 1
docs:  # the site, into site/, with warnings as errors
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m mkdocs build --strict --quiet

docs-check:  # the same; its links, and each page in a headless browser (skipped without Chromium), on a phone and a screen
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m pytest -m site tests/test_site.py

docs-serve:  # at http://127.0.0.1:8000, built anew at each change
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m mkdocs serve

environment:
	@echo "$(PYTHON_OF_ENVIRONMENT)"

wheel:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m build

install-check:  # the README's first commands in new environments of the Pythons that are found
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" tools/install_check.py --all

bench: export OMP_NUM_THREADS = 1
bench: export OPENBLAS_NUM_THREADS = 1
bench: export MKL_NUM_THREADS = 1
bench: export PYTHONPATH = $(CURDIR):$(CURDIR)/benchmarks:$(CURDIR)/tests
bench:  # all of them, whatever bars are missed
	@python="$(PYTHON_OF_ENVIRONMENT)" || exit 1; missed=""; \
	for name in gradients acquisitions speed trust calibration seasons draws sensitivity ax_campaigns first_use \
			compiled_acquisition shape; do \
		"$$python" benchmarks/$$name.py || missed="$$missed $$name"; \
	done; \
	test -z "$$missed" || { echo "Below a bar:$$missed" >&2; exit 1; }
