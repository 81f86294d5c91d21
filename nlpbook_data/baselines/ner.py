"""The yardstick of named entities: a dictionary of those that the training texts have."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

Entity = dict[str, Any]


@dataclass(frozen=True)
class Dictionary:
    """The label of each known entity, and the lengths of those with the same first character."""

    labels: Mapping[str, int]
    lengths: Mapping[str, list[int]]

    def find(self, text: str) -> Iterator[Entity]:
        """Yield the entities of `text`: at the start of each word the longest that begins there."""
        start = 0
        while start < len(text):
            within = start > 0 and text[start - 1].isalnum()
            for length in () if within else self.lengths.get(text[start], ()):
                word = text[start : start + length]
                if word in self.labels:
                    end = start + len(word)  # at the end of the text it is shorter than length
                    yield {"start": start, "end": end, "label": self.labels[word]}
                    start = end
                    break
            else:
                start += 1


def make_dictionary(labels: Mapping[str, int]) -> Dictionary:
    """Return a dictionary of ``{entity: label}``."""
    lengths = defaultdict(set)
    for word in labels:
        lengths[word[0]].add(len(word))
    return Dictionary(labels, {c: sorted(found, reverse=True) for c, found in lengths.items()})


def learn_dictionary(train: Iterable[Mapping[str, Any]]) -> Dictionary:
    """Return the dictionary of the entities of the training rows.

    An entity has the label that it has most often in train (of equally frequent ones the first),
    and is left out where less than half of what it finds there is right: 이 is a name more rarely
    than it is a particle. It must begin where a word does, with no letter or digit before it; what
    follows may be glued, as particles are. The longest match counts, and nothing else does.

    Args:
        train: ``{"text": str, "entities": [{"start", "end", "label"}, …]}``.
    """
    train = list(train)
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for row in train:
        for entity in row["entities"]:
            counts[row["text"][entity["start"] : entity["end"]]][entity["label"]] += 1
    labels = {word: found.most_common(1)[0][0] for word, found in counts.items()}
    everything = make_dictionary(labels)
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row in train:
        gold = {(entity["start"], entity["end"], entity["label"]) for entity in row["entities"]}
        for entity in everything.find(row["text"]):
            word = row["text"][entity["start"] : entity["end"]]
            found[word] += 1
            right[word] += (entity["start"], entity["end"], entity["label"]) in gold
    return make_dictionary({w: label for w, label in labels.items() if 2 * right[w] >= found[w]})


def find_known_entities(
    train: Dataset, held_out: Mapping[str, Dataset]
) -> Iterator[tuple[str, dict[str, list[list[Entity]]], float]]:
    """Find what train's dictionary holds in the texts of the other splits.

    Args:
        train: the columns ``text`` and ``entities``.
        held_out: the same by split.

    Yields:
        Name, ``[{"start", "end", "label"}, …]`` a text by split, by start and without overlap, and
        seconds.
    """
    start = time.perf_counter()
    dictionary = learn_dictionary(train)
    found = {
        split: [list(dictionary.find(text)) for text in rows["text"]]
        for split, rows in held_out.items()
    }
    yield "dictionary", found, time.perf_counter() - start
