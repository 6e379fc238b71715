#!/bin/sh
# Makes .venv from the hash lock and stamps it .venv/.ready. `make setup` calls this when the lock changed.
set -eu
python=${PYTHON:-python3}
need='import sys; sys.exit(sys.version_info < (3, 11))'
if ! "$python" -c "$need" 2>/dev/null; then
  echo "Ringwork needs Python 3.11 or newer, and '$python' is not. Say which: make setup PYTHON=python3.11" >&2
  exit 1
fi

rm -rf .venv
mkdir -p build
if ! "$python" -m venv .venv >build/venv.log 2>&1; then
  # Debian ships Python without ensurepip: virtualenv brings its own pip.
  rm -rf .venv
  if ! { "$python" -m pip install -qq --target build/virtualenv virtualenv &&
    PYTHONPATH=build/virtualenv "$python" -m virtualenv --quiet .venv; }; then
    cat build/venv.log >&2
    echo "No virtual environment could be made. On Debian: apt-get install -y python3-venv" >&2
    exit 1
  fi
fi

echo "Installing the pinned packages into .venv (once, about a minute)"
export PIP_DISABLE_PIP_VERSION_CHECK=1
.venv/bin/python -m pip install -qq --require-hashes -r requirements/dev.txt
.venv/bin/python -m pip install -qq --no-build-isolation --no-deps -e .
touch .venv/.ready
