#!/bin/sh
# Every GPU row of docs/performance.md, in one go of under ten minutes: gpu_all.sh [OUT_FOLDER]
# Needs an NVIDIA GPU, torch with CUDA and mamba-ssm. Logs, and the rows as JSON lines, go to OUT_FOLDER.
# A part that fails or takes too long does not stop the others; the exit status is the number of such parts.
set -u
cd "$(dirname "$0")/.."
out=${1:-gpu_rows}
python=${PYTHON:-python3}
mkdir -p "$out"
failed=0
part() { # name, seconds, command
    name=$1 limit=$2
    shift 2
    echo "== $name"
    if ! timeout "$limit" "$@" > "$out/$name.log" 2>&1; then
        failed=$((failed + 1))
        echo "failed: see $out/$name.log"
    fi
    grep '^\[' "$out/$name.log" >> "$out/rows.jsonl" || true # of a part that ran out of time, the rows it had
    tail -n 12 "$out/$name.log"
}
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader > "$out/machine.txt"
"$python" -c 'import torch; print("torch", torch.__version__)' >> "$out/machine.txt"
cat "$out/machine.txt"
# Triton times 51 shapes of each kernel in every process, unless it may keep what it found.
export TRITON_CACHE_AUTOTUNING=1
part kernels 150 "$python" -m pytest -q -m gpu tests
part track-110m 180 "$python" benchmarks/boundaries.py --device cuda --dtypes bfloat16 --models ldarnet-110m --runs 3
part genome 90 "$python" benchmarks/memory.py --device cuda --dtype bfloat16 --model ldarnet-110m --sizes 1 100
part train-110m 90 "$python" benchmarks/train.py --device cuda --dtype bfloat16 --models ldarnet-110m --runs 20
part track-small 80 "$python" benchmarks/boundaries.py --device cuda --dtypes bfloat16 --models ldarnet-2m default --runs 2
exit "$failed"
