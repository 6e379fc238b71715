"""Where a canary was seen: in answers, in what was told outside, in log lines, in files.

A word is also looked for in hex and, at each of its three alignments, in Base64. Ciphertext hides
it, which is what sealing is for.
"""

from __future__ import annotations

import base64
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ringwork.app.proof.town import Canaries, Town
from ringwork.storage.sqlite.history import FILE_NAME

CHUNK_BYTES: Final = 8 * 1024 * 1024


def forms_of(word: str) -> tuple[bytes, ...]:
    """A word as bytes may hold it.

    >>> forms_of("canary")[:2]
    (b'canary', b'63616e617279')
    """
    plain = word.encode()
    coded = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + plain)
        # The first letters hold bits of what is before the word, the last of what is behind it.
        coded.append(text[(before * 8 + 5) // 6 : (before + len(plain)) * 8 // 6])
    return (plain, plain.hex().encode(), *coded)


class Sightings:
    """Counts them, by where."""

    def __init__(self, canaries: Canaries) -> None:
        self.seen: Counter[str] = Counter()
        self._mark = canaries.mark
        self._forms = forms_of(canaries.mark)

    def look_at(self, where: str, content: bytes) -> None:
        """Something that must not hold any canary."""
        if any(form in content for form in self._forms):
            self.seen[where] += 1

    def search(self, folder: Path, town: Town) -> int:
        """Every byte of every file; returns how many bytes.

        What people do stands in the history's own file, in the clear, and nowhere else: there only
        ids, profiles and people who were erased are looked for.
        """
        never = [f"{self._mark}p", f"{self._mark}x"]
        never += [town.canaries.topic(one.number) for one in town.of("erased")]
        size = 0
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                is_history = path.name.startswith(FILE_NAME)
                words = tuple(form for one in never for form in forms_of(one))
                size += self._search(path, words if is_history else self._forms)
        return size

    def _search(self, path: Path, forms: tuple[bytes, ...]) -> int:
        size, tail, longest = 0, b"", max(map(len, forms))
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                size += len(chunk)
                whole = tail + chunk
                for form in forms:
                    if form in whole:
                        self.seen[f"file {path.name}"] += 1
                        return path.stat().st_size
                tail = whole[-longest:]
        return size

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Every line that anything logs in here, of every level."""
        handler, root = _Ear(self), logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)


class _Ear(logging.Handler):
    def __init__(self, sightings: Sightings) -> None:
        super().__init__(logging.DEBUG)
        self._sightings = sightings

    def emit(self, record: logging.LogRecord) -> None:
        self._sightings.look_at("log lines", self.format(record).encode())
