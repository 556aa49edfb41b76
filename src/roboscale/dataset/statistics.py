"""Statistics of a data set that stay exact however it is split: LeRobot's min, max, mean, std, count and quantiles.

Merging the statistics of two parts gives those of the whole: counts, minima, maxima and histograms exactly, and
independent of order; means and deviations up to float64 rounding (Chan, Golub & LeVeque 1983).

Quantiles come from a *dyadic* histogram: bins are `2**k` wide and begin at multiples of `2**k`, where `k` depends on
nothing but the range seen. Two histograms therefore always coarsen onto the same grid, bin by bin, and nothing is
ever interpolated while merging. There are 4096 to 8192 bins over the range, so a quantile is off by less than
.025 % of it.

Knows arrays. Does not know files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "QUANTILES",
    "Histogram",
    "PixelCounts",
    "Statistics",
    "episode_entry",
    "pooled",
    "sample_indices",
    "shape_of",
    "shrink",
    "summary",
]

QUANTILES: Mapping[str, float] = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
"""The quantiles that LeRobot stores."""

_BINS = 8192
_MANTISSA = 53
_LOWEST = -1074  # exponent of the smallest float64

Floats = NDArray[np.float64]


def _level(low: float, high: float) -> int:
    """The `k` of a histogram over low..high: the finest grid on which the range takes at most 8192 bins.

    It never falls when the range grows, which is what makes merging independent of order.
    """
    largest = max(abs(low), abs(high))
    finest = max(_LOWEST, int(np.frexp(largest)[1]) - _MANTISSA) if largest else _LOWEST
    span = high / _BINS - low / _BINS
    level = max(finest, int(np.frexp(span)[1]) - 2) if span else finest
    while _bin(high, level) - _bin(low, level) >= _BINS:
        level += 1
    return level


def _bins(values: Floats, level: int) -> NDArray[np.int64]:
    """Numbers of the bins that values fall into."""
    bins = np.floor(np.ldexp(values, -level)).astype(np.int64)
    return np.where(values < 0, np.minimum(bins, -1), bins)  # a negative number may have been rounded to -0.0


def _bin(value: float, level: int) -> int:
    return int(_bins(np.array(value), level))


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of one variable.

    Args:
        level: bins are `2**level` wide and begin at multiples of that.
        first: number of the first bin: it begins at `first * 2**level`.
        counts: one count a bin, int64.
        low, high: smallest and largest value counted.
    """

    level: int
    first: int
    counts: NDArray[np.int64]
    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Histogram:
        """Of finite values, shape (N,), N >= 1."""
        values = np.asarray(values, np.float64)
        low, high = float(values.min()), float(values.max())
        level = _level(low, high)
        first = _bin(low, level)
        counts = np.bincount(_bins(values, level) - first).astype(np.int64)
        return cls(level=level, first=first, counts=counts, low=low, high=high)

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of values, exactly as if they had been counted together."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        level = _level(low, high)
        first = _bin(low, level)
        counts = np.zeros(_bin(high, level) - first + 1, np.int64)
        for part in (self, other):
            bins = (np.arange(part.first, part.first + len(part.counts)) >> min(level - part.level, 63)) - first
            np.add.at(counts, bins, part.counts)
        return Histogram(level=level, first=first, counts=counts, low=low, high=high)

    def quantile(self, q: float) -> float:
        """Linear between order statistics, as numpy's default; off by at most one bin."""
        ends = np.cumsum(self.counts)
        position = q * (int(ends[-1]) - 1)
        below, above = self._ranked(int(np.floor(position)), ends), self._ranked(int(np.ceil(position)), ends)
        return float(below + (above - below) * (position - np.floor(position)))

    def share_outside(self, low: float, high: float) -> float:
        """Share of the values below `low` or above `high`; those in the bins of the two bounds count as inside."""
        first, last = (_bin(min(max(bound, self.low), self.high), self.level) - self.first for bound in (low, high))
        inside = int(self.counts[max(0, first) : last + 1].sum()) if last >= first else 0
        return 1 - inside / int(self.counts.sum())

    def _ranked(self, rank: int, ends: NDArray[np.int64]) -> float:
        bin_ = int(np.searchsorted(ends, rank, side="right"))
        count = int(self.counts[bin_])
        within = (rank - (int(ends[bin_]) - count) + 0.5) / count
        value = float(np.ldexp(self.first + bin_ + within, self.level))
        return min(max(value, self.low), self.high)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        mine, its = (self.level, self.first, self.low, self.high), (other.level, other.first, other.low, other.high)
        return mine == its and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Statistics of every element of a feature.

    Args:
        shape: shape of the feature, D elements in all.
        count: number of rows.
        mean, m2: mean and sum of squared deviations from it, (D,).
        histograms: D of them.
    """

    shape: tuple[int, ...]
    count: int
    mean: Floats
    m2: Floats
    histograms: tuple[Histogram, ...]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Statistics:
        """Of finite rows, shape (N, *shape), N >= 1."""
        shape = array.shape[1:]
        rows = np.asarray(array, np.float64).reshape(len(array), -1)
        mean = rows.mean(axis=0)
        histograms = tuple(Histogram.of(column) for column in rows.T)
        return cls(
            shape=shape, count=len(rows), mean=mean, m2=np.square(rows - mean).sum(axis=0), histograms=histograms
        )

    def merge(self, other: Statistics) -> Statistics:
        """The statistics of both sets of rows."""
        if self.shape != other.shape:
            raise ValueError(f"statistics of shape {self.shape} and {other.shape} do not merge")
        count = self.count + other.count
        delta = other.mean - self.mean
        return Statistics(
            shape=self.shape,
            count=count,
            mean=self.mean + delta * (other.count / count),
            m2=self.m2 + other.m2 + np.square(delta) * (self.count * other.count / count),
            histograms=tuple(a.merge(b) for a, b in zip(self.histograms, other.histograms, strict=True)),
        )

    @property
    def low(self) -> Floats:
        return np.array([h.low for h in self.histograms]).reshape(self.shape)

    @property
    def high(self) -> Floats:
        return np.array([h.high for h in self.histograms]).reshape(self.shape)

    @property
    def std(self) -> Floats:
        """Population standard deviation, as LeRobot's."""
        return np.asarray(np.sqrt(self.m2 / self.count).reshape(self.shape))

    def quantile(self, q: float) -> Floats:
        """Shape `shape`; `q` in 0..1."""
        return np.array([h.quantile(q) for h in self.histograms]).reshape(self.shape)

    def over_last_axis(self) -> Statistics:
        """Of rows of matrices, what their last axis says: the rows of all of them together."""
        size = self.shape[-1] if self.shape else 1
        if len(self.histograms) == size:
            return self
        each = len(self.histograms) // size
        mean = self.mean.reshape(each, size).mean(axis=0)
        spread = self.count * np.square(self.mean.reshape(each, size) - mean).sum(axis=0)
        return Statistics(
            shape=(size,),
            count=self.count * each,
            mean=mean,
            m2=self.m2.reshape(each, size).sum(axis=0) + spread,
            histograms=tuple(reduce(Histogram.merge, self.histograms[i::size]) for i in range(size)),
        )

    def to_lerobot(self) -> dict[str, Any]:
        """The entry of `stats.json`, as lists: over the last axis, as LeRobot's, which merges nothing else with it."""
        return {**self.over_last_axis().per_element(), "count": [self.count]}

    def per_element(self) -> dict[str, Any]:
        """As `to_lerobot`, of every element."""
        entry = {"min": self.low, "max": self.high, "mean": self.mean.reshape(self.shape), "std": self.std}
        entry |= {name: self.quantile(q) for name, q in QUANTILES.items()}
        return {"count": [self.count], **{name: np.atleast_1d(value).tolist() for name, value in entry.items()}}

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a file; inverse of `from_arrays`."""
        return {
            "shape": np.array(self.shape, np.int64),
            "count": np.array(self.count, np.int64),
            "mean": self.mean,
            "m2": self.m2,
            "bounds": np.array([(h.low, h.high) for h in self.histograms]),
            "grid": np.array([(h.level, h.first, len(h.counts)) for h in self.histograms], np.int64),
            "counts": np.concatenate([h.counts for h in self.histograms]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Statistics:
        ends = np.cumsum(arrays["grid"][:, 2])
        parts = np.split(arrays["counts"], ends[:-1])
        histograms = tuple(
            Histogram(level=int(level), first=int(first), counts=counts, low=float(low), high=float(high))
            for (level, first, _), counts, (low, high) in zip(arrays["grid"], parts, arrays["bounds"], strict=True)
        )
        shape = tuple(int(n) for n in arrays["shape"])
        return cls(
            shape=shape, count=int(arrays["count"]), mean=arrays["mean"], m2=arrays["m2"], histograms=histograms
        )


def episode_entry(array: NDArray[Any]) -> dict[str, Any]:
    """LeRobot's statistics of one episode, (T, *shape), for its metadata: over the last axis, counted in rows."""
    rows = array.reshape(-1, array.shape[-1]) if array.ndim > 2 else array
    return {**summary(rows), "count": [len(array)]}


def summary(array: NDArray[Any]) -> dict[str, Any]:
    """Statistics of every element of an array (T, *shape), computed directly."""
    rows = np.asarray(array, np.float64)
    entry = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    entry |= dict(zip(QUANTILES, np.quantile(rows, list(QUANTILES.values()), axis=0), strict=True))
    return {"count": [len(rows)], **{name: np.atleast_1d(value).tolist() for name, value in entry.items()}}


def pooled(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Statistics of several episodes together, of data that nobody here can look into.

    Exact but for the quantiles, which are the episodes' means, weighted by their counts, as LeRobot's are.
    """
    if len(parts) == 1:
        return dict(parts[0])
    counts = np.array([np.ravel(part["count"])[0] for part in parts], np.float64)
    weights = counts / counts.sum()

    def stacked(word: str) -> Floats:
        return np.stack([np.asarray(part[word], np.float64) for part in parts])

    def mean(values: Floats) -> Floats:
        return np.asarray(np.tensordot(weights, values, axes=1))

    centre = mean(stacked("mean"))
    spread = mean(np.square(stacked("std")) + np.square(stacked("mean") - centre))
    entry = {"min": stacked("min").min(0), "max": stacked("max").max(0), "mean": centre, "std": np.sqrt(spread)}
    entry |= {word: mean(stacked(word)) for word in QUANTILES if all(word in part for part in parts)}
    return {"count": [int(counts.sum())], **{word: np.atleast_1d(value).tolist() for word, value in entry.items()}}


def sample_indices(length: int) -> NDArray[np.int64]:
    """The frames of an episode that LeRobot samples: all up to 100, then length**.75, evenly spread."""
    count = max(min(length, 100), min(int(length**0.75), 10_000))
    return np.round(np.linspace(0, length - 1, count)).astype(np.int64)


def shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels that LeRobot counts: every n-th, so that a side of 300 or more comes down to about 150."""
    height, width = image.shape[:2]
    if max(height, width) < 300:
        return image
    step = width // 150 if width > height else height // 150
    return image[::step, ::step]


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """How often each of the 256 values was seen in each channel: all image statistics follow from it exactly.

    Sampled as LeRobot does: the frames of `sample_indices`, each at the pixels of `shrink`.
    (LeRobot's own image `std` is not comparable: it squares 8-bit integers, which wrap around.)

    Args:
        frames: sampled frames.
        counts: (C, 256) int64.
    """

    frames: int
    counts: NDArray[np.int64]

    @staticmethod
    def of_frame(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Counts (C, 256) of one picture (H, W, C)."""
        pixels = shrink(image)
        channels = [np.bincount(pixels[..., c].ravel(), minlength=256) for c in range(pixels.shape[2])]
        return np.stack(channels).astype(np.uint32)

    @staticmethod
    def row(shape: tuple[int, ...]) -> tuple[tuple[int, int], type[np.uint16 | np.uint32]]:
        """Shape and dtype that hold the counts of one picture (H, W, C) without loss."""
        height, width, channels = shrink(np.broadcast_to(np.uint8(0), shape)).shape
        return (channels, 256), np.uint16 if height * width < 2**16 else np.uint32

    @classmethod
    def sampled(cls, length: int, blocks: Iterable[NDArray[np.unsignedinteger[Any]]]) -> PixelCounts:
        """Of an episode of `length` frames, from the counts of each; they come in blocks (n, C, 256), in order."""
        numbers = sample_indices(length)
        total, first = np.zeros((1, 256), np.int64), 0
        for block in blocks:
            inside = numbers[(numbers >= first) & (numbers < first + len(block))] - first
            total = total + block[inside].sum(axis=0, dtype=np.int64)
            first += len(block)
        return cls(len(numbers), total)

    @classmethod
    def total(cls, sampled: Iterable[NDArray[np.uint32]]) -> PixelCounts:
        """Of an episode, from the counts of its sampled frames; one is in memory at a time."""
        frames, total = 0, np.zeros((1, 256), np.int64)
        for counts in sampled:
            frames, total = frames + 1, total + counts.astype(np.int64)
        return cls(frames, total)

    def merge(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(self.frames + other.frames, self.counts + other.counts)

    def quantile(self, q: float) -> Floats:
        """(C,) in 0..255, linear between order statistics; exact."""
        ends = np.cumsum(self.counts, axis=1)
        position = q * (ends[0, -1] - 1)
        below = np.array([np.searchsorted(e, np.floor(position), side="right") for e in ends], np.float64)
        above = np.array([np.searchsorted(e, np.ceil(position), side="right") for e in ends], np.float64)
        return np.asarray(below + (above - below) * (position - np.floor(position)))

    def to_lerobot(self) -> dict[str, Any]:
        """The entry of `stats.json`: shape (C, 1, 1), pixels scaled to 0..1."""
        values = np.arange(256.0)
        total = self.counts.sum(axis=1)
        mean = self.counts @ values / total
        variance = (self.counts * np.square(values - mean[:, None])).sum(axis=1) / total
        seen = self.counts > 0
        entry = {"min": seen.argmax(1), "max": 255 - seen[:, ::-1].argmax(1), "mean": mean, "std": np.sqrt(variance)}
        entry |= {name: self.quantile(q) for name, q in QUANTILES.items()}
        scaled = {name: (value / 255.0).reshape(-1, 1, 1).tolist() for name, value in entry.items()}
        return {"count": [self.frames], **scaled}

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a file; inverse of `from_arrays`."""
        return {"frames": np.array(self.frames, np.int64), "counts": self.counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> PixelCounts:
        return cls(int(arrays["frames"]), arrays["counts"])


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a statistic as somebody wrote it; empty for rows of several lengths.

    >>> shape_of([[[0.5]], [[0.4]], [[0.3]]])
    (3, 1, 1)
    """
    try:
        return tuple(np.shape(value))
    except ValueError:
        return ()
