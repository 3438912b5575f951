"""The count of bases that can have a value, against counting them one by one."""

from contextlib import nullcontext

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ldarnet.census import take_census
from ldarnet.genome import GenomeError, open_genome, parse_regions
from tests.command_line import write_fasta

sequences = st.text(alphabet="ACGTacgtNnRYU", min_size=1, max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_census(tmp_path, data):
    contigs = data.draw(st.dictionaries(st.sampled_from("abc"), sequences, min_size=1))
    wanted = {name: range(len(sequence)) for name, sequence in contigs.items()}
    asked = None
    with open_genome(write_fasta(tmp_path / "x.fa", **contigs)) as genome:
        if data.draw(st.booleans()):
            chosen = data.draw(st.lists(st.sampled_from(list(contigs)), min_size=1, max_size=4))
            spans = [(name, data.draw(st.integers(0, len(contigs[name]) - 1))) for name in chosen]
            spans = [(name, start, data.draw(st.integers(start + 1, len(contigs[name])))) for name, start in spans]
            (tmp_path / "r.bed").write_text("".join(f"{name}\t{start}\t{end}\n" for name, start, end in spans))
            asked = parse_regions(str(tmp_path / "r.bed"), genome.contigs).intervals
            wanted = {n: {i for name, s, e in spans if name == n for i in range(s, e)} for n in chosen}
        bases = [(i, contigs[name][i].upper()) for name in wanted for i in wanted[name]]
        num_unknown = sum(base in "NRY" for _, base in bases)
        num_starts = sum(i == 0 and base not in "NRY" for i, base in bases)
        possible = len(bases) - num_unknown - num_starts
        refusal = pytest.raises(GenomeError, match="no base can have a value: of ") if not possible else nullcontext()
        with refusal:
            census = take_census(genome, asked)
            assert (census.num_bases, census.num_unknown, census.num_contig_starts, census.num_possible) == (
                len(bases), num_unknown, num_starts, possible
            )  # fmt: skip
            assert census.num_contigs == len(wanted)
            for name, length_bp, md5, num_n_bp, num_iupac_bp in census.contigs:
                sequence = contigs[name].upper()
                assert length_bp == len(sequence)
                assert (md5 is None) == (name not in wanted)
                if md5:
                    assert num_n_bp == sequence.count("N")
                    assert num_iupac_bp == sequence.count("R") + sequence.count("Y")
