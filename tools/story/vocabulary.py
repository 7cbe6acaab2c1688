"""A SentencePiece-style BPE vocabulary with byte fallback: training, and encoding as SentencePiece does it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

SPACE = "\u2581"  # what pieces have for a space
UNKNOWN, BOS, EOS = 0, 1, 2
CONTROL = ["<unk>", "<s>", "</s>"]
FIRST_BYTE = len(CONTROL)
FIRST_PIECE = FIRST_BYTE + 256

# No piece goes beyond one of these. A line's end is always a byte.
CHUNK = re.compile(r" ?[A-Za-z]+| ?[가-힣]+| ?[^\sA-Za-z가-힣]+|\s")


def _merged(symbols: list[str], left: str, right: str) -> list[str]:
    result: list[str] = []
    at = 0
    while at < len(symbols):
        if symbols[at] == left and symbols[at + 1:at + 2] == [right]:
            result.append(left + right)
            at += 2
        else:
            result.append(symbols[at])
            at += 1
    return result


def train(texts: Iterable[str], size: int) -> list[str]:
    """The pieces after the control and byte pieces: merges, the first one first, then single characters."""
    counts = Counter(chunk.replace(" ", SPACE) for text in texts for chunk in CHUNK.findall(text) if chunk != "\n")
    words = {word: list(word) for word in counts}
    characters = sorted({c for word in words for c in word})
    merges: list[str] = []
    while len(merges) < size - FIRST_PIECE - len(characters):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            break
        (left, right), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if left + right not in merges:
            merges.append(left + right)
        for word, symbols in words.items():
            if left + right in word:
                words[word] = _merged(symbols, left, right)
    return merges + characters


class Vocabulary:
    """Encodes by merging the adjacent pair whose piece has the best score, the leftmost on a tie."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self._ids = {piece: FIRST_PIECE + i for i, piece in enumerate(pieces)}
        self._chunks: dict[str, list[int]] = {}

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        return cls(path.read_text(encoding="utf-8").split("\n"))

    def save(self, path: Path) -> None:
        path.write_text("\n".join(self.pieces), encoding="utf-8")

    def __len__(self) -> int:
        return FIRST_PIECE + len(self.pieces)

    def tokens(self) -> list[str]:
        return CONTROL + [f"<0x{byte:02X}>" for byte in range(256)] + self.pieces

    def scores(self) -> list[float]:
        return [0.0] * FIRST_PIECE + [-float(i) for i in range(len(self.pieces))]

    def _encode_chunk(self, chunk: str) -> list[int]:
        symbols = list(chunk.replace(" ", SPACE))
        while True:
            ranked = [(self._ids[a + b], i) for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if a + b in self._ids]
            if not ranked:
                break
            _, i = min(ranked)
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
        ids: list[int] = []
        for symbol in symbols:
            known = self._ids.get(symbol)
            ids += [known] if known is not None else [FIRST_BYTE + byte for byte in symbol.replace(SPACE, " ").encode()]
        return ids

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for chunk in CHUNK.findall(text):
            if chunk not in self._chunks:
                self._chunks[chunk] = self._encode_chunk(chunk)
            ids += self._chunks[chunk]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        data = bytearray()
        for i in ids:
            if i >= FIRST_PIECE:
                data += self.pieces[i - FIRST_PIECE].replace(SPACE, " ").encode()
            elif i >= FIRST_BYTE:
                data.append(i - FIRST_BYTE)
        return data.decode(errors="replace")
