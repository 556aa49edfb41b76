"""A sentence as a vector: hashed words and character trigrams.

Deterministic and without a vocabulary, so any sentence has a vector and near sentences have near vectors. It tells
tasks apart; it does not understand them.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["SENTENCE_SIZE", "embed_sentence"]

SENTENCE_SIZE = 64


def embed_sentence(text: str) -> NDArray[np.float32]:
    """(SENTENCE_SIZE,) of unit length; zeros for an empty sentence. Case and repeated spaces do not matter.

    Source: feature hashing with signs (Weinberger et al. 2009) over the n-grams of fastText (Bojanowski et al. 2017).
    """
    words = text.lower().split()
    padded = f" {' '.join(words)} "
    grams = [*words, *(padded[i : i + 3] for i in range(len(padded) - 2))] if words else []
    vector = np.zeros(SENTENCE_SIZE, np.float64)
    for gram in grams:
        code = int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big")
        vector[code % SENTENCE_SIZE] += 1.0 if code >> 63 else -1.0
    length = np.linalg.norm(vector)
    return (vector / length if length > 0 else vector).astype(np.float32)
