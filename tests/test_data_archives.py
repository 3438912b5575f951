"""Archives from outside: what may be unpacked, and that nothing is left of what may not."""

import io
import shutil
import tarfile
import zipfile
from collections import namedtuple

import pytest

from ldarnet.data.archives import unpack
from ldarnet.data.errors import DataError


def write_tar(path, members, kind="w:gz"):
    with tarfile.open(path, kind) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                (info.type,), info.linkname = content, "/etc/passwd"
                archive.addfile(info)
    return path


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


WRITERS = {"tar": write_tar, "zip": write_zip}


@pytest.mark.parametrize("kind", WRITERS)
def test_files_keep_their_folders(tmp_path, kind):
    archive = WRITERS[kind](tmp_path / "a.bin", [("a/b/x.txt", b"one"), ("y.txt", b"")])
    files = unpack(archive, tmp_path / "files")
    assert [path.relative_to(tmp_path / "files").as_posix() for path in files] == ["a/b/x.txt", "y.txt"]
    assert files[0].read_bytes() == b"one"


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "..\\out.txt", "C:out.txt"])
def test_a_path_out_of_the_folder_is_refused(tmp_path, kind, name):
    archive = WRITERS[kind](tmp_path / "a.bin", [("good.txt", b"good"), (name, b"bad")])
    with pytest.raises(DataError, match=r"a.bin: '.*out.txt' leads out of the folder it is unpacked to"):
        unpack(archive, tmp_path / "files")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert not (tmp_path.parent / "out.txt").exists()


@pytest.mark.parametrize("link", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, link):
    archive = write_tar(tmp_path / "a.tar", [("x", (link,))], "w")
    with pytest.raises(DataError, match=r"a.tar: 'x' is a link or device, so nothing is unpacked"):
        unpack(archive, tmp_path / "files")


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("x")
    info.external_attr = 0o120777 << 16
    with pytest.raises(DataError, match=r"a.zip: 'x' is no plain file"):
        unpack(write_zip(tmp_path / "a.zip", [(info, "/etc/passwd")]), tmp_path / "files")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_truncated_archive_leaves_nothing(tmp_path, kind):
    noise = bytes((i * i >> 3) % 251 for i in range(50_000))
    archive = WRITERS[kind](tmp_path / "a.bin", [("x", noise)])
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"a.bin: "):
        unpack(archive, tmp_path / "files")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_damaged_byte_in_a_zip_is_seen(tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("x", bytes(1000))])
    data = bytearray(archive.read_bytes())
    data[33] ^= 255
    archive.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a.zip: "):
        unpack(archive, tmp_path / "files")


def test_what_is_no_archive_or_holds_nothing(tmp_path):
    (tmp_path / "a.html").write_text("<html>")
    with pytest.raises(DataError, match=r"a.html: expected a whole tar or zip archive"):
        unpack(tmp_path / "a.html", tmp_path / "files")
    with pytest.raises(DataError, match=r"a.zip: expected files in the archive, found none"):
        unpack(write_zip(tmp_path / "a.zip", []), tmp_path / "files")


def test_a_name_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a.tar: holds 'x' twice"):
        unpack(write_tar(tmp_path / "a.tar", [("x", b"1"), ("x", b"2")]), tmp_path / "files")


def test_room_is_asked_for_before_a_member_is_written(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "bomb.zip", [("x", bytes(10_000_000))])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 1_000_000))
    with pytest.raises(DataError, match=r"bomb.zip, x: needs 10.0 MB, free are 1.0 MB"):
        unpack(archive, tmp_path / "files")


def test_an_earlier_half_is_replaced(tmp_path):
    (tmp_path / "files.part").mkdir()
    (tmp_path / "files.part" / "old").write_text("old")
    files = unpack(write_zip(tmp_path / "a.zip", [("x", b"new")]), tmp_path / "files")
    assert [path.name for path in files] == ["x"]


def test_a_zip_that_states_too_small_a_size_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("x", bytes(1000))])
    data = archive.read_bytes()
    central = data.rindex(b"PK\x01\x02") + 24
    archive.write_bytes(data[:central] + (10).to_bytes(4, "little") + data[central + 4 :])
    with pytest.raises(DataError, match=r"a.zip: expected a whole tar or zip archive"):
        unpack(archive, tmp_path / "files")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
