#!/bin/sh
# Train the default model, or that of another recipe: [RECIPE=nano] train.sh DATA_FOLDER OUT_FOLDER [options of ldarnet train]
# Makes OUT_FOLDER/split (BED files, genomes.toml) and OUT_FOLDER/run; the same command goes on where it stopped.
set -eu
data=$1 out=$2
shift 2
here=$(dirname "$0")
python=${PYTHON:-.venv/bin/python}
recipe=${RECIPE:-nano}
case $recipe in
    dnahnet-*) species="ecoli sacCer3" ;;
    *) species= ;;
esac
mkdir -p "$out/split"
# shellcheck disable=SC2086 # several words
[ -f "$out/split/genomes.toml" ] || "$python" "$here/split.py" --data "$data" --out "$out/split" ${species:+--species $species}
cat "$here/$recipe.toml" "$out/split/genomes.toml" > "$out/split/run.toml"
exec env OMP_WAIT_POLICY=PASSIVE "$python" -m ldarnet.train --config "$out/split/run.toml" --out "$out/run" "$@"
