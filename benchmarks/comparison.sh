#!/bin/sh
# Compare segmenters on the human test split: comparison.sh DATA_FOLDER OUT_FOLDER NAME=MODEL[@STAGE] ...
# DATA_FOLDER is that of benchmarks/results.py. Every NAME becomes a track of the + strand, kept where it is there already;
# MODEL is anything that --model takes, @1 the second router of a model of two stages. Tables, figures and report: OUT_FOLDER/compare.
set -eu
data=$1 out=$2
shift 2
here=$(dirname "$0")
python=${PYTHON:-.venv/bin/python}
ldarnet=$(dirname "$python")/ldarnet
mkdir -p "$out"
"$python" "$here/_comparison_inputs.py" --data "$data" --out "$out"
set_of_tracks=
for each in "$@"; do
  name=${each%%=*} model=${each#*=} stage=0
  case $model in *@[0-9]) stage=${model##*@} model=${model%@*} ;; esac
  [ -f "$out/$name.bw" ] || "$ldarnet" boundaries --fasta "$out/test.fa" --out "$out/$name.bw" --model "$model" --stage "$stage"
  set_of_tracks="$set_of_tracks --track $name=$out/$name.bw"
done
# The same model on the other strand: how far a segmenter agrees with itself.
first=${1:?expected at least one NAME=MODEL} && model=${first#*=} && name=${first%%=*}-other-strand
[ -f "$out/$name.bw" ] || "$ldarnet" boundaries --fasta "$out/test.fa" --out "$out/$name.bw" --model "${model%@[0-9]}" --strand -
# shellcheck disable=SC2086
exec "$ldarnet" compare --fasta "$out/test.fa" --regions "$out/regions.bed" --train-fasta "$out/train.fa" \
  $set_of_tracks --track "$name=$out/$name.bw" \
  --segmenter fixed:4 --segmenter kmer:6 --segmenter bpe:512 --segmenter bpe:4096 --segmenter entropy:5 --segmenter entropy:8 \
  --segmenter random --segmenter "shuffled:${first%%=*}" --segmenter annotation:exon --segmenter annotation:CDS \
  --annotation "$data/human/hg38_protein_coding_transcripts.bed12.gz" --records "$out/test.records.tsv" \
  --motifs "$data/motifs/core_promoter.jaspar" --out "$out/compare"
