"""The baseline of named entities: a dictionary of the entities in the training texts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from datasets import Dataset

Entity = dict[str, Any]


class Dictionary:
    """The label of each known entity, and the entity lengths by first character."""

    def __init__(self, labels: Mapping[str, int]) -> None:
        self.labels = labels
        lengths = defaultdict(set)
        for word in labels:
            lengths[word[0]].add(len(word))
        self.lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def find(self, text: str) -> Iterator[Entity]:
        """Yield the entities of `text`: the longest one at the start of each word."""
        start = 0
        while start < len(text):
            within = start > 0 and text[start - 1].isalnum()
            for length in () if within else self.lengths.get(text[start], ()):
                word = text[start : start + length]
                if word in self.labels:
                    end = start + len(word)  # the last word may be shorter than length
                    yield {"start": start, "end": end, "label": self.labels[word]}
                    start = end
                    break
            else:
                start += 1


def learn_dictionary(train: Iterable[Mapping[str, Any]]) -> Dictionary:
    """Return the dictionary of the entities of the training rows.

    An entity gets its most frequent label in train (the first one, if several are equally
    frequent). It is left out if less than half of its matches in train are right: 이 is more often
    a particle than a name. A match must begin at the start of a word, with no letter or digit
    before it. Something may be glued to its end, such as a particle. Only the longest match counts.

    Args:
        train: ``{"text": str, "entities": [{"start", "end", "label"}, …]}``.
    """
    train = list(train)
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for row in train:
        for entity in row["entities"]:
            counts[row["text"][entity["start"] : entity["end"]]][entity["label"]] += 1
    everything = Dictionary({word: found.most_common(1)[0][0] for word, found in counts.items()})
    surplus: Counter[str] = Counter()  # of right matches over wrong ones
    for row in train:
        gold = {(entity["start"], entity["end"], entity["label"]) for entity in row["entities"]}
        for entity in everything.find(row["text"]):
            is_right = (entity["start"], entity["end"], entity["label"]) in gold
            surplus[row["text"][entity["start"] : entity["end"]]] += 1 if is_right else -1
    return Dictionary({w: label for w, label in everything.labels.items() if surplus[w] >= 0})


def find_known_entities(
    train: Dataset, held_out: Mapping[str, Dataset]
) -> Iterator[tuple[str, dict[str, list[list[Entity]]]]]:
    """Find what train's dictionary holds in the texts of the other splits.

    Args:
        train: the columns ``text`` and ``entities``.
        held_out: the same by split.

    Yields:
        Name, and ``[{"start", "end", "label"}, …]`` for each text by split, sorted by start and
        without overlap.
    """
    dictionary = learn_dictionary(train)
    yield "dictionary", {s: [[*dictionary.find(t)] for t in d["text"]] for s, d in held_out.items()}
