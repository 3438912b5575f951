"""Benchmark suites: tasks, their files, folds, runs of models over them, and checks that splits do not share sequences.

`tasks` says what there is, `locate` and `readers` find and read it, `folds` divides it, `leakage` looks for sequences
in two splits, `run` fits models and keeps one JSON file per fold. `ldarnet_analysis` makes the report from these.
"""
