"""Writers of small genome files in every format, for tests."""

import gzip
import io
import re
import struct

from Bio import bgzf


def write_bgzf(path, data, block_bytes=1 << 16):
    with path.open("wb") as file:
        writer = bgzf.BgzfWriter(fileobj=file, mode="wb")
        for i in range(0, len(data), block_bytes):
            writer.write(data[i : i + block_bytes])
            writer.flush()
        writer.close()


def gzip_bytes(data):
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(data)
    return buffer.getvalue()


def twobit_bytes(records, order="<"):
    """A .2bit file of {name: letters}, lower case as masked runs, by the letter of the format."""

    def numbers(*values):
        return struct.pack(f"{order}{len(values)}I", *values)

    def runs(pattern, letters):
        spans = [match.span() for match in re.finditer(pattern, letters)]
        return numbers(len(spans), *(start for start, _ in spans), *(end - start for start, end in spans))

    header = numbers(0x1A412743, 0, len(records), 0)
    offset = len(header) + sum(len(name.encode()) + 5 for name in records)
    index, body = b"", b""
    for name, letters in records.items():
        index += bytes([len(name.encode())]) + name.encode() + numbers(offset + len(body))
        body += numbers(len(letters)) + runs("[Nn]+", letters) + runs("[a-z]+", letters) + numbers(0)
        codes = ["TCAG".index(letter) for letter in letters.upper().replace("N", "T")]
        codes += [0] * (-len(codes) % 4)
        body += bytes(
            a << 6 | b << 4 | c << 2 | d
            for a, b, c, d in zip(codes[::4], codes[1::4], codes[2::4], codes[3::4], strict=True)
        )
    return header + index + body
