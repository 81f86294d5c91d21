"""The yardstick of document search: BM25 over Korean morphemes."""

import functools
import logging
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from nlpbook_data.errors import InputError, first_line

if TYPE_CHECKING:
    from bm25s import BM25

# Kiwi's tags of what a word says; particles, endings, auxiliaries and punctuation are left out.
NOUNS = ("NNG", "NNP", "NNB", "NR", "NP", "XR", "XPN", "XSN")  # roots and affixes of nouns too
VERBS, MODIFIERS = ("VV", "VA"), ("MM", "MAG")
SIGNS = ("SL", "SH", "SN", "W_URL", "W_EMAIL", "W_HASHTAG", "W_MENTION", "W_SERIAL", "W_EMOJI")
CONTENT_TAGS = frozenset((*NOUNS, *VERBS, *MODIFIERS, *SIGNS))
# Chosen by MRR@10 of training questions alone (`index_morphemes`).
K1, B = 0.4, 0.3


@functools.cache
def _load_analyzer(dictionary: Path | None) -> Any:
    from kiwipiepy import Kiwi  # a second and 300 MB

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
    """Return the morphemes of each text that BM25 counts, by kiwipiepy and in small letters.

    They are those of `CONTENT_TAGS`: nouns, verb and adjective stems, modifiers, affixes of nouns,
    numbers, foreign words, Chinese characters, addresses. Chosen on the 3,632 training questions of
    a part of KorQuAD 1.0 over its 756 passages: MRR@10 0.938; all morphemes give 0.931, nouns and
    verbs alone 0.935, words between blanks 0.807.

    The analysis takes 12 µs a character on one core and runs on all: 3 to 5 s for those passages,
    by that rate a minute for all 10,645 of KorQuAD, once a run; so nothing is kept on disk.

    Args:
        texts: any; they are NFC-normalised, as Kiwi knows no letters of NFD.
        progress: what the progress bar says; without it there is none.
        dictionary: a file of words that Kiwi does not know, in its own format: word, tag and, if
            you like, a score, with tabs between them.

    Raises:
        InputError: the dictionary cannot be read.
    """
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    analyses = _load_analyzer(dictionary).tokenize(texts)
    bar = tqdm(analyses, progress, len(texts), disable=None if progress else True)
    return [
        # VA-I and VV-R are irregular and regular stems
        [token.form.lower() for token in tokens if token.tag.partition("-")[0] in CONTENT_TAGS]
        for tokens in bar
    ]


def index_morphemes(morphemes: Sequence[Sequence[str]], k1: float = K1, b: float = B) -> "BM25":
    """Return bm25s' index of passages, each given as its morphemes.

    The variant is Lucene's (Kamphuis et al. 2020, "accurate"): the score of a passage is the sum,
    over the query's morphemes, repeated ones each time, of
    ln(1 + (N - df + 0.5) / (df + 0.5)) · tf / (tf + k1 · (1 - b + b · length / mean length)).

    MRR@10 of training questions with k1 = 1.5 and b = 0.75 (bm25s' own), 0.9 and 0.4, 0.6 and 0.3,
    0.4 and 0.3: 1,000 of KorQuAD 1.0 over 727 contexts 0.944, 0.948, 0.947, 0.948, the same with
    9,000 sentences of KorSTS beside them 0.766, 0.907, 0.930, 0.942, and the 900 of sample_search
    0.277, 0.279, 0.280, 0.280. Where lengths differ, bm25s' own favours what is short.

    Raises:
        InputError: no passage has a morpheme.
    """
    from bm25s import BM25

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs its debugging by default
    if not any(morphemes):
        raise InputError("There is no word in any passage. Look at the file.")
    index = BM25(k1=k1, b=b, method="lucene")
    index.index([list(passage) for passage in morphemes], show_progress=False)
    return index


def load_bm25(folder: Path) -> "BM25":
    """Return the index that ``index_morphemes(…).save(folder)`` has written, memory-mapped."""
    from bm25s import BM25

    return BM25.load(folder, mmap=True)


def rank_passages(
    index: "BM25", queries: Sequence[Sequence[str]], k: int = 100, progress: str | None = None
) -> tuple[list[list[int]], list[list[float]]]:
    """Return the ids and the scores of the passages of each query, the best first, at most `k`.

    Only passages that share a morpheme with the query are ranked: of a query without any known one
    the ranking is empty. Of equal scores the smaller id comes first.

    Args:
        index: of `index_morphemes`.
        queries: as morphemes.
    """
    ids, scores = [], []
    for query in tqdm(queries, progress, disable=None if progress else True):
        # bm25s takes no query without a known word
        known = [word for word in query if word in index.vocab_dict]
        all_scores = index.get_scores(known) if known else np.zeros(0)
        found = np.flatnonzero(all_scores > 0)
        if len(found) > k:
            least = np.partition(all_scores[found], -k)[-k]
            found = found[all_scores[found] >= least]
        best = found[np.argsort(-all_scores[found], kind="stable")[:k]]
        ids.append(best.tolist())
        scores.append(all_scores[best].tolist())
    return ids, scores
