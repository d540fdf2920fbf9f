# Everywear sets itself up in .venv and runs there; `make` alone lists what there is.
# It needs Python 3.10 to 3.14 with its venv module, and no system library beyond the C library.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help run test models lint bench bench-networks bench-grouping pins clean

PINS := backend_requirements.txt

# Stamps in .venv carry this hash: a second run installs nothing, changed pins or a moved folder install anew.
KEY := $(shell { pwd; cat pyproject.toml $(PINS); } | sha256sum | cut -c1-16)

# Sets $python to PYTHON, or else to the first interpreter on the PATH that can make the environment.
define find_python
python= seen=
for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.10 python3.14); do
    version=$$("$$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
        $(if $(PYTHON),seen+="  $$candidate does not run"$$'\n')
        continue
    }
    case $$version in
        3.10 | 3.11 | 3.12 | 3.13 | 3.14) ;;
        *) seen+="  $$candidate is Python $$version"$$'\n'; continue ;;
    esac
    if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$$candidate; break; fi
    seen+="  $$candidate ($$version) lacks venv and ensurepip; on Debian and Ubuntu: apt-get install python$$version-venv"$$'\n'
done
if [ -z "$$python" ]; then
    echo "Everywear needs Python 3.10 to 3.14 with its venv module. Found:"
    printf '%s' "$${seen:-  none; on Debian and Ubuntu: apt-get install python3 python3-venv$$'\n'}"
    echo "Name one that is elsewhere: make run PYTHON=/path/to/python3"
    exit 1
fi >&2
endef

# $(call install,EXTRA) makes .venv where there is none that works, and installs the package with the extra into it.
define install
venv_version() { .venv/bin/python -c 'import sys, pip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
if [ -z "$$(venv_version)" ] || [ -n "$(PYTHON)" ]; then
    $(find_python)
    if [ "$$(venv_version)" != "$$version" ]; then
        echo "Making .venv with $$python (Python $$version)"
        "$$python" -m venv --clear .venv
    fi
fi
# What is there with an extra is there without one
if ! compgen -G ".venv/.installed-$(KEY)$(if $(1),-$(1),*)" >/dev/null; then
    echo "Installing Everywear$(if $(1), with its extra '$(1)') at the versions of $(PINS)"
    $(if $(TORCH_INDEX),$(if $(1),.venv/bin/python -m pip install --constraint $(PINS) --index-url $(TORCH_INDEX) torch))
    .venv/bin/python -m pip install --disable-pip-version-check --constraint $(PINS) --editable ".$(if $(1),[$(1)])"
    find .venv -maxdepth 1 -name '.installed-*' ! -name '.installed-$(KEY)*' -delete
    touch ".venv/.installed-$(KEY)$(if $(1),-$(1))"
fi
endef

define HELP
make run      set up, fetch the embedded networks, start all services, dress the sample, keep serving
              ONCE=1 stops after the sample
make test     set up and run the tests; ARGS="-k pose" goes to pytest
make models   add torch and what else the published networks need
make lint     check style
make bench    time 50 try-ons; ARGS go to bench/tryon.py
make bench-networks, make bench-grouping
              time the published networks, and OpenPose's grouping, against straightforward code
make pins     resolve $(PINS) and .yaml anew from pyproject.toml (needs uv)
make clean    remove .venv, out and caches; the weights folder stays

PYTHON=python3.12 chooses the interpreter.
TORCH_INDEX=URL has models and test take torch from that wheel index (a CPU build: docs/dependencies.md).
endef
export HELP

help:
	@echo "$$HELP"

run:
	@$(call install,)
	.venv/bin/everywear weights fetch
	exec .venv/bin/everywear demo $(if $(ONCE),--once)

# The smaller landmark network serves by setting only; its golden numbers are tested too.
test:
	@$(call install,test)
	.venv/bin/everywear weights fetch
	.venv/bin/everywear weights fetch pose_landmark_full
	exec .venv/bin/python -m pytest $(ARGS)

models:
	@$(call install,models)

lint:
	@$(call install,test)
	.venv/bin/ruff check

bench:
	@$(call install,)
	.venv/bin/everywear weights fetch
	exec .venv/bin/python bench/tryon.py $(ARGS)

bench-networks:
	@$(call install,models)
	exec .venv/bin/python bench/networks.py $(ARGS)

bench-grouping:
	@$(call install,)
	exec .venv/bin/python bench/grouping.py $(ARGS)

# What is pinned stays unless pyproject.toml rules it out; ARGS=--upgrade, or ARGS="--upgrade-package NAME", moves it.
pins:
	@uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-annotate --no-emit-index-url \
	    --custom-compile-command 'make pins' $(ARGS) pyproject.toml --output-file $(PINS) >/dev/null
	sed -i "/sys_platform == '\(win32\|emscripten\)'/d" $(PINS)
	{
	    echo "# The pins of $(PINS) as a conda environment, written by \`make pins\`:"
	    echo "#    conda env create -f $(PINS:.txt=.yaml)"
	    printf '%s\n' 'name: everywear' 'channels:' '  - conda-forge' 'dependencies:' '  - python>=3.10,<3.15' '  - pip' '  - pip:'
	    sed -n 's/^[^# ]/      - &/p' $(PINS)
	} > $(PINS:.txt=.yaml)

clean:
	@rm -rf .venv out build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .schemathesis
	find . -name __pycache__ -prune -exec rm -rf {} +
