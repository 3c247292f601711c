# Each target makes the environment where it is missing; `make PYTHON=/path/to/python3.13 ...` names an interpreter.
export PYTHONPATH := $(CURDIR)
export PYTHONWARNINGS := ignore:`torch.jit.script` is deprecated:FutureWarning
export MPLBACKEND := Agg
PYTHON_OF_ENVIRONMENT = $$(tools/python)

.PHONY: demo test test-all lint tutorials environment bench

demo:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" examples/clover.py

test test-all: export OMP_NUM_THREADS = 1
test test-all: export OPENBLAS_NUM_THREADS = 1
test test-all: export MKL_NUM_THREADS = 1
test:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m pytest -n 2

test-all:  # every case of modules with many cases of one kind
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m pytest -n 2 --every-case

lint:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" -m ruff check . && "$$python" -m ruff format --check . && "$$python" -m mypy

tutorials:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" tools/tutorials.py

environment:
	@echo "$(PYTHON_OF_ENVIRONMENT)"

bench: export OMP_NUM_THREADS = 1
bench: export OPENBLAS_NUM_THREADS = 1
bench: export MKL_NUM_THREADS = 1
bench: export PYTHONPATH = $(CURDIR):$(CURDIR)/benchmarks:$(CURDIR)/tests
bench:
	@python="$(PYTHON_OF_ENVIRONMENT)" && "$$python" benchmarks/gradients.py && "$$python" benchmarks/acquisitions.py && \
		"$$python" benchmarks/speed.py && "$$python" benchmarks/trust.py && "$$python" benchmarks/calibration.py && \
		"$$python" benchmarks/seasons.py && "$$python" benchmarks/draws.py && \
		"$$python" benchmarks/sensitivity.py && "$$python" benchmarks/ax_campaigns.py && \
		"$$python" benchmarks/first_use.py && "$$python" benchmarks/compiled_acquisition.py  # a bar of the last is missed
