"""Where the training text comes from: four Debian packages, pinned by version and SHA-256.

The packages are downloaded and unpacked, never installed: r-cran-janeaustenr would bring R.
"""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    architecture: str
    sha256: str
    licence: str
    provides: str

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


PACKAGES = (
    Package(
        "libpython3.11-minimal",
        "3.11.2-6+deb12u8",
        "amd64",
        "f3beaa03994ffedacf73c43a0843d53b062d347115d8af65bee2034552a4e6f9",
        "PSF-2.0",
        "code: the core modules of Python's standard library",
    ),
    Package(
        "libpython3.11-stdlib",
        "3.11.2-6+deb12u8",
        "amd64",
        "890b3540dad8a1ccc0deeca025db735bcc82629a76adacbe3b50fcc06ed528ca",
        "PSF-2.0",
        "code: the rest of Python's standard library",
    ),
    Package(
        "r-cran-janeaustenr",
        "1.0.0-1",
        "all",
        "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
        "public domain (text), MIT (package)",
        "story: six novels by Jane Austen from Project Gutenberg",
    ),
    Package(
        "wordnet-base",
        "1:3.0-37",
        "all",
        "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
        "WordNet 3.0 licence",
        "factual: WordNet's glosses and relations",
    ),
)


def fetch(cache: Path) -> Path:
    """Download what is missing, check every hash, unpack; return the folder that holds `usr/`."""
    cache.mkdir(parents=True, exist_ok=True)
    unpacked = cache / "unpacked"
    for package in PACKAGES:
        archive = cache / package.file_name
        if not archive.exists():
            command = ["apt-get", "download", f"{package.name}={package.version}"]
            if subprocess.run(command, cwd=cache, capture_output=True).returncode != 0:
                raise SystemExit(
                    f"sources: `{' '.join(command)}` failed; run `apt-get update`, or put "
                    f"{package.file_name} into {cache} yourself"
                )
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != package.sha256:
            raise SystemExit(f"sources: {archive.name} has SHA-256 {digest}, expected {package.sha256}; delete it")
        subprocess.run(["dpkg", "-x", str(archive), str(unpacked)], check=True)
    return unpacked


def python_files(unpacked: Path) -> dict[str, str]:
    """The standard library's modules by relative path, sorted."""
    root = unpacked / "usr" / "lib" / "python3.11"
    paths = sorted(path for path in root.rglob("*.py") if "encodings" not in path.parts and "test" not in path.parts)
    return {str(path.relative_to(root)): path.read_text("utf-8", errors="ignore") for path in paths}


def _string_vector(blob: bytes) -> list[str]:
    """The strings of one R character vector in serialisation format 3 (`X`, big-endian)."""
    encoding_length = struct.unpack(">i", blob[14:18])[0]
    at = 18 + encoding_length + 4  # past the header and the vector's type flags
    count = struct.unpack(">i", blob[at : at + 4])[0]
    at += 4
    lines = []
    for _ in range(count):
        length = struct.unpack(">i", blob[at + 4 : at + 8])[0]
        at += 8
        if length > 0:  # -1 is NA
            lines.append(blob[at : at + length].decode("utf-8", errors="ignore"))
            at += length
        else:
            lines.append("")
    return lines


def novels(unpacked: Path) -> list[list[str]]:
    """Six novels, each a list of paragraphs on one line.

    R keeps the objects of a lazy-load file one after the other: 4 bytes of length, then zlib data.
    """
    packed = (unpacked / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    books = []
    at = 0
    while at < len(packed):
        stream = zlib.decompressobj()
        lines = _string_vector(stream.decompress(packed[at + 4 :]))
        at = len(packed) - len(stream.unused_data)
        text = "\n".join(lines)
        paragraphs = [" ".join(block.split()) for block in re.split(r"\n\s*\n", text)]
        books.append([paragraph for paragraph in paragraphs if len(paragraph) > 60])
    return books


@dataclass(frozen=True)
class Synset:
    """One meaning in WordNet: its words, its gloss and what it points to."""

    key: str  # part of speech and offset
    lexicographer: int  # number of the lexicographer file: 15 is noun.location, 18 noun.person
    words: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    pointers: tuple[tuple[str, str], ...]  # (symbol, key)

    @property
    def word(self) -> str:
        return self.words[0]


def synsets(unpacked: Path) -> dict[str, Synset]:
    """All synsets by key, in the order of WordNet's data files."""
    found = {}
    for part, letter in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
        for line in (unpacked / "usr/share/wordnet" / f"data.{part}").read_text("utf-8").splitlines():
            if line.startswith("  "):  # the licence at the head of each file
                continue
            fields, _, gloss = line.partition(" | ")
            field = fields.split(" ")
            count = int(field[3], 16)
            words = tuple(re.sub(r"\(.*\)$", "", field[4 + 2 * i]).replace("_", " ") for i in range(count))
            at = 4 + 2 * count
            pointers = tuple(
                (field[at + 1 + 4 * i], field[at + 3 + 4 * i].replace("s", "a") + field[at + 2 + 4 * i])
                for i in range(int(field[at]))
            )
            meaning, *examples = re.split(r'; (?=")', gloss.strip())
            key = letter + field[0]
            found[key] = Synset(
                key, int(field[1]), words, meaning, tuple(example.strip('"') for example in examples), pointers
            )
    return found
