"""The baseline of document search: BM25 over Korean morphemes."""

import functools
import logging
import unicodedata
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Features, List, Value
from tqdm import tqdm

from nlpbook_data.data.cache import cached_splits, code_hash, make_key, write_split
from nlpbook_data.errors import InputError, first_line

if TYPE_CHECKING:
    from bm25s import BM25

# Kiwi's tags of content morphemes, without particles, endings, auxiliaries and punctuation.
NOUNS = ("NNG", "NNP", "NNB", "NR", "NP", "XR", "XPN", "XSN")  # with roots and affixes of nouns
VERBS, MODIFIERS = ("VV", "VA"), ("MM", "MAG")
SIGNS = ("SL", "SH", "SN", "W_URL", "W_EMAIL", "W_HASHTAG", "W_MENTION", "W_SERIAL", "W_EMOJI")
CONTENT_TAGS = frozenset((*NOUNS, *VERBS, *MODIFIERS, *SIGNS))
# Chosen by MRR@10 of training questions only (`index_morphemes`).
K1, B = 0.4, 0.3


@functools.cache
def load_analyzer(dictionary: Path | None) -> Any:
    """Return Kiwi, once a process, with the words of `dictionary`; see `extract_morphemes`."""
    from kiwipiepy import Kiwi  # takes a second and 300 MB

    analyzer = Kiwi()
    if dictionary:
        try:
            analyzer.load_user_dictionary(str(dictionary))
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{dictionary}: no dictionary of Kiwi ({first_line(error)}). Write a word and its "
                "tag a line, a tab between them: 갤럭시노트\tNNP."
            ) from error
    return analyzer


def extract_morphemes(
    texts: Iterable[str], progress: str | None = None, dictionary: Path | None = None
) -> list[list[str]]:
    """Return the morphemes of each text that BM25 counts, by kiwipiepy, in lower case.

    They are those of `CONTENT_TAGS`: nouns, verb and adjective stems, modifiers, affixes of nouns,
    numbers, foreign words, Chinese characters, addresses. Chosen on the 3,632 training questions of
    a part of KorQuAD 1.0 over its 756 passages: MRR@10 0.938; all morphemes give 0.931, nouns and
    verbs alone 0.935, words between blanks 0.807.

    The analysis takes 12 µs a character on one core, and uses all cores: about a minute for all
    10,645 passages of KorQuAD.

    Args:
        texts: any texts; they are NFC-normalised, because Kiwi cannot read NFD.
        progress: the text of the progress bar; without it there is no bar.
        dictionary: a file of words that Kiwi does not know, in Kiwi's format: word, tag and
            optionally a score, separated by tabs.

    Raises:
        InputError: the dictionary cannot be read.
    """
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    analyses = load_analyzer(dictionary).tokenize(texts)
    bar = tqdm(analyses, progress, len(texts), disable=None if progress else True)
    return [
        # VA-I and VV-R are irregular and regular stems
        [token.form.lower() for token in tokens if token.tag.partition("-")[0] in CONTENT_TAGS]
        for tokens in bar
    ]


def cached_morphemes(texts: Sequence[str], cache_dir: str | None = None) -> list[list[str]]:
    """Return `extract_morphemes` of all texts, from the cache if they were analysed before."""
    if not texts:
        return []  # without loading the analyser
    key = make_key(
        texts=list(texts),
        code=code_hash(__name__),
        kiwi=[version("kiwipiepy"), version("kiwipiepy_model")],
    )
    features = Features({"morphemes": List(Value("string"))})

    def build(folder: Path) -> None:
        rows = ({"morphemes": found} for found in extract_morphemes(texts))
        write_split(folder, "train", rows, features)

    return cached_splits("morphemes", key, build, cache_dir)["train"][:]["morphemes"]


def index_morphemes(morphemes: Sequence[Sequence[str]], k1: float = K1, b: float = B) -> "BM25":
    """Return bm25s' index of passages, given as lists of morphemes.

    The variant is Lucene's (Kamphuis et al. 2020, "accurate"): the score of a passage is the sum
    over the query's morphemes (repeated ones count each time) of ln(1 + (N - df + 0.5) / (df +
    0.5)) · tf / (tf + k1 · (1 - b + b · length / mean length)).

    MRR@10 of training questions with k1 = 1.5 and b = 0.75 (bm25s' own), 0.9 and 0.4, 0.6 and 0.3,
    0.4 and 0.3: 1,000 of KorQuAD 1.0 over 727 contexts 0.944, 0.948, 0.947, 0.948, the same with
    9,000 sentences of KorSTS added 0.766, 0.907, 0.930, 0.942, and the 900 of sample_search 0.277,
    0.279, 0.280, 0.280. If lengths differ, bm25s' own values favour short passages.

    Raises:
        InputError: no passage has a morpheme, or k1 or b is out of range.
    """
    if k1 < 0 or not 0 <= b <= 1:
        raise InputError(f"BM25's k1 is {k1} and b {b}. k1 is 0 or more, b from 0 to 1.")
    from bm25s import BM25

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # by default it logs at debug level
    if not any(morphemes):
        raise InputError("There is no word in any passage. Look at the file.")
    index = BM25(k1=k1, b=b, method="lucene")
    index.index([list(passage) for passage in morphemes], show_progress=False)
    return index


def load_bm25(folder: Path) -> "BM25":
    """Return the index written by ``index_morphemes(…).save(folder)``, memory-mapped."""
    from bm25s import BM25

    return BM25.load(folder, mmap=True)


def rank_passages(
    index: "BM25", queries: Sequence[Sequence[str]], k: int = 100
) -> list[dict[int, float]]:
    """Return ``{id: score}`` of at most `k` passages for each list of morphemes, best first.

    Only passages that share a morpheme with the query are ranked; of equal scores the smaller id
    comes first.
    """
    ranked = []
    for query in queries:
        # bm25s refuses queries without a known word
        known = [word for word in query if word in index.vocab_dict]
        scores = index.get_scores(known) if known else np.zeros(0)
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            least = np.partition(scores[found], -k)[-k]
            found = found[scores[found] >= least]
        best = found[np.argsort(-scores[found], kind="stable")[:k]]
        ranked.append(dict(zip(best.tolist(), scores[best].tolist(), strict=True)))
    return ranked
