"""Output files are there whole or not at all."""

import pytest

from ldarnet.tracks.atomic import TrackError, whole_file, write_text


def test_a_file_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "table.tsv"
    with whole_file(path) as file:
        file.write(b"a\tb\n")
        assert not path.exists()
    assert path.read_bytes() == b"a\tb\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.tsv"
    write_text(path, "old\n")
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write(b"new\n")
        raise ZeroDivisionError
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.tsv", tmp_path / "link.tsv"
    target.write_text("old\n")
    link.symlink_to(target)
    write_text(link, "new, in UTF-8: µ\n")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new, in UTF-8: µ\n"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(TrackError, match=r"folder .*gone does not exist"):
        write_text(tmp_path / "gone" / "table.tsv", "")
