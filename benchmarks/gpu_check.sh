#!/usr/bin/env bash
# Everything that wants a GPU, in nine minutes (benchmarks/gpu_check.py says what; its options are passed through).
# For a machine that reaches no registry: benchmarks/gpu_wheels.sh where there is one, and take .whl along. On a machine
# that is lent by the tool `device`: run(command="bash benchmarks/gpu_check.sh", carry=[".whl"], timeout_s=600); what it
# leaves is in $OUT. A second call with `--only tests` (or other parts) repeats what was mended.
set -u
cd "$(dirname "$0")/.."
export ANYECG_GPU_CHECK_BEGAN="$(date +%s)" PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
if [ -d .whl ]; then
    target=$(mktemp -d)
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$target" .whl/*.whl \
        || echo "some wheels could not be installed: the parts that need them will fail" >&2
    # after what the machine has, so that nothing of its own is replaced but what is missing
    export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$target"
fi
exec "$python" -m benchmarks.gpu_check "$@"
