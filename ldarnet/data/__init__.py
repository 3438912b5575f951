"""Genomes, annotations and benchmarks by name: fetched once, verified, kept in a cache folder."""
