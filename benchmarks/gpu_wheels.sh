#!/usr/bin/env bash
# Download the wheels of gpu_wheels.txt into .whl/ (which git should ignore), for gpu_check.sh to install on a machine
# that reaches no registry. PYTHON_THERE: its version (default 3.12).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
there=${PYTHON_THERE:-3.12}
mkdir -p .whl
platforms=()
for n in 17 24 27 28 31 34; do platforms+=(--platform "manylinux_2_${n}_x86_64"); done
for package in $(grep -v '^#' benchmarks/gpu_wheels.txt); do
    case $package in
        deepspeed==* | hjson==*) # published as sources; without kernels of its own it is the same for every machine
            DS_BUILD_OPS=0 "$python" -m pip wheel -q --no-deps -w .whl "$package" ;;
        *)
            "$python" -m pip download -q --no-deps --only-binary=:all: --python-version "$there" --implementation cp \
                "${platforms[@]}" --platform manylinux2014_x86_64 --platform manylinux1_x86_64 -d .whl "$package" ;;
    esac
done
du -sh .whl
size=$(du -sm .whl | cut -f1)
[ "$size" -le 60 ] || { echo ".whl is $size MiB; 64 may travel, with the repository: leave something out" >&2; exit 1; }
