"""The baseline of question answering: the sentence of the context nearest to the question."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np
from datasets import Dataset

# The end of a sentence: its mark, closing quotes and brackets, then a blank; or a new line.
_SENTENCE = re.compile(r"\S.*?(?:[.!?…。]+[\"'”’」』)\]]*(?=\s)|(?=\s*(?:\n|\Z)))")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the start and end (exclusive) of each sentence of `text`, without outer blanks.

    A sentence ends with a line, or at a full stop, question or exclamation mark before a blank; so
    3.5 is one word, and "A. B" is two sentences. Every character that is not blank is in a
    sentence.
    """
    return [match.span() for match in _SENTENCE.finditer(text)]


def nearest_sentence(
    questions: Sequence[str], contexts: Sequence[str]
) -> list[tuple[int, int, float]]:
    """Return the sentence of each context that is nearest to its question.

    The distance is the cosine of TF-IDF vectors of character bi- and trigrams within words.
    Document frequencies are those of the contexts' sentences. Among equally near sentences the
    first one counts. Nothing is trained on answers.

    Returns:
        Start, end (exclusive) and cosine of one sentence for each question; 0, 0 for a blank
        context.
    """
    # Importing scikit-learn takes 1.5 s, so it is imported only here.
    from sklearn.feature_extraction.text import TfidfVectorizer

    spans = {context: split_sentences(context) for context in contexts}
    sentences = [context[a:b] for context, found in spans.items() for a, b in found]
    begins = dict(zip(spans, accumulate(map(len, spans.values()), initial=0), strict=False))
    if not sentences:
        return [(0, 0, 0.0)] * len(questions)
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 3), sublinear_tf=True, dtype=np.float32
    )
    passages = vectorizer.fit_transform(sentences)
    asked = vectorizer.transform(questions)
    nearest = []
    for row, context in enumerate(contexts):
        found, begin = spans[context], begins[context]
        if not found:
            nearest.append((0, 0, 0.0))
            continue
        cosines = (passages[begin : begin + len(found)] @ asked[row].T).toarray().ravel()
        best = int(cosines.argmax())
        nearest.append((*found[best], float(cosines[best])))
    return nearest


def answer_by_sentence(held_out: Mapping[str, Dataset]) -> Iterator[tuple[str, dict[str, list]]]:
    """Answer each question by the `nearest_sentence` of its context.

    Args:
        held_out: by split, the columns ``question`` and ``context``.

    Yields:
        Name, and the answer text of each question by split.
    """
    answers = {}
    for split, rows in held_out.items():
        contexts = rows["context"][:]
        spans = nearest_sentence(rows["question"][:], contexts)
        answers[split] = [c[a:b] for c, (a, b, _) in zip(contexts, spans, strict=True)]
    yield "nearest sentence", answers
