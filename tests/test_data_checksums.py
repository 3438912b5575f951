"""Lists of checksums as publishers write them, and the sums themselves."""

import hashlib
import re
import subprocess

import pytest

from ldarnet.data.checksums import Checksum, check, checksum_in_list, checksum_of
from ldarnet.data.errors import DataError

A, B = "a" * 32, "b" * 32


@pytest.mark.parametrize(
    ("text", "list_format", "expected"),
    [
        (f"{A}  x.fa.gz\n{B}  y.fa.gz\n", "md5sum", A),
        (f"{B} *./y.fa.gz\r\n{A.upper()} *./x.fa.gz\r\n", "md5sum", A),
        (f"{B}  old/x.fa.gz\n{A}  x.fa.gz\n", "md5sum", A),
        (f"{A}  new/x.fa.gz\n", "md5sum", A),
        (f"{A * 2}  x.fa.gz", "sha256sum", A * 2),
        ("00321 01234 x.fa.gz\n9 8 y.fa.gz\n", "sum", "321 1234"),
    ],
)
def test_the_line_of_the_file_is_found(text, list_format, expected):
    assert checksum_in_list(text, "sub/x.fa.gz", list_format, "https://x/LIST").value == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>moved</html>", "https://x/LIST: expected lines as md5sum writes them, found none"),
        (f"{A}  y.fa\n", "https://x/LIST: expected one line for x.fa.gz, found 0 among 1 files"),
        (f"{A}  x.fa.gz.tbi\n", "found 0 among 1 files"),
        (f"{A}  a/x.fa.gz\n{B}  b/x.fa.gz\n", "expected one line for x.fa.gz, found 2 among 2 files"),
    ],
)
def test_a_list_without_the_file_is_no_checksum(text, message):
    with pytest.raises(DataError, match=re.escape(message)):
        checksum_in_list(text, "x.fa.gz", "md5sum", "https://x/LIST")


@pytest.mark.parametrize("num_bytes", [0, 1, 1023, 1024, 1025, 3_000_001])
def test_sums_are_those_of_the_programs(tmp_path, num_bytes):
    path = tmp_path / "x"
    path.write_bytes((bytes(range(251)) * (num_bytes // 251 + 1))[:num_bytes])
    printed = subprocess.run(["sum", "-r", path], capture_output=True, text=True, check=True).stdout.split()[:2]
    assert checksum_of(path, "sum") == " ".join(str(int(each)) for each in printed)
    assert checksum_of(path, "md5") == hashlib.md5(path.read_bytes()).hexdigest()
    git = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert checksum_of(path, "git-sha1") == git.stdout.strip()


def test_a_wrong_file_is_removed_and_named(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"x")
    expected = Checksum("md5", A, "https://x/LIST")
    with pytest.raises(DataError, match=rf"https://x/x: md5 is 9dd4.*, expected {A} \(https://x/LIST\): damaged"):
        check(path, expected, "https://x/x")
    assert not path.exists()
