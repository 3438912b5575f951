#!/bin/sh
# Learned cuts against a fixed grid and against no chunks, all weights fine-tuned: evaluation.sh DATA_FOLDER OUT_FOLDER [options]
# DATA_FOLDER holds the files of GUE. Five folds of H3K4me1, three epochs each: about two hours on two quiet CPU cores.
# A killed run goes on with the same command; OUT_FOLDER gets tables, differences with paired intervals, and a page.
set -eu
here=$PWD data=$1 out=$2
shift 2
case $data in /*) ;; *) data=$here/$data ;; esac
case $out in /*) ;; *) out=$here/$out ;; esac
cd "$(dirname "$0")/.."
baselines=ldarnet/weights/baselines
exec "${LDARNET:-.venv/bin/ldarnet}" evaluate --data "$data" --out "$out" --tasks "${TASKS:-H3K4me1}" --mode full --folds 5 \
    --max-epochs 3 --batch-size 32 --learning-rate 1e-3 --model default --model "fixed-4=$baselines/fixed-4.safetensors" \
    --model "no-chunk=$baselines/no-chunk.safetensors" "$@"
