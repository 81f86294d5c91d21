"""Questions made from plain text by rule, to pretrain a model that points at answers.

A phrase of a sentence is asked for with the sentence's own words, as cloze questions are (Lewis et
al. 2019, "Unsupervised Question Answering by Cloze Translation"). No person and no model wrote
them: many are clumsy, and they teach where to look, not what to know. Fine-tune on real questions
afterwards.
"""

import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nlpbook_data.search.bm25 import load_analyzer

# Kiwi's tags of what an answer consists of: nouns, numbers, foreign words, their affixes
PHRASE = frozenset(("NNG", "NNP", "NNB", "NR", "XPN", "XSN", "SN", "SL", "SH"))
NUMBERS = frozenset(("SN", "NR"))
TIMES = frozenset("년월일시")
ENDINGS = [("니다", "니까"), ("이다", "인가"), ("다", "나")]
# Particles of which the form depends on the sound before them
AFTER_CONSONANT = {"를": "을", "는": "은", "가": "이", "와": "과", "로": "으로"}
AFTER_VOWEL = {other: particle for particle, other in AFTER_CONSONANT.items()}
COPULAS = ["인가?", "인가요?", "일까?", "이었나?", "인지?"]
SHARE_WITHOUT_ANSWER = 0.1
BATCH = 256  # texts that Kiwi analyses at a time


def make_questions(
    texts: Iterable[str], longest: int = 400, per_sentence: int = 2, seed: int = 7
) -> Iterator[dict[str, Any]]:
    """Yield questions about running text, in its order.

    A context is a sentence and its neighbours, from a quarter of `longest` characters up to it. The
    question asks for a phrase that occurs once in the context: words of the sentence, some of them
    left out, without particles or in another place, around a question word that fits the phrase.
    One in ten has no answer: its sentence is not in the context.

    Args:
        texts: texts of which neighbours belong together, for example the lines of a book.
        longest: characters of a context, at most.
        per_sentence: questions tried a sentence; those that fail a rule are left out.
        seed: the same texts and seed give the same questions.

    Yields:
        ``{"id", "context", "question", "answer_text", "answer_start"}``; the last two are None,
        and ``"is_impossible"`` is True, for a question without an answer.
    """
    rng = random.Random(seed)
    number = 0
    for sentences in _sentences(texts):
        for place, (sentence, tokens) in enumerate(sentences):
            phrases = _phrases(tokens)
            if len(sentence.split()) < 4 or not phrases:
                continue
            for _ in range(per_sentence):
                around = _around(sentences, place, rng.uniform(longest / 4, longest), rng)
                question = _question(sentence, tokens, rng.choice(phrases), rng)
                if row := question and _row(*question, sentence, *around, rng):
                    number += 1
                    yield {"id": str(number), **row}


def _sentences(texts: Iterable[str]) -> Iterator[list[tuple[str, list[Any]]]]:
    """Yield, for some texts at a time, their sentences with Kiwi's tokens, placed in them."""
    texts = (unicodedata.normalize("NFC", text) for text in texts)
    analyses = load_analyzer(None).split_into_sents(texts, return_tokens=True)
    found: list[tuple[str, list[Any]]] = []
    for count, parts in enumerate(analyses, 1):
        found += [
            (part.text, [(t.tag, t.start - part.start, t.end - part.start) for t in part.tokens])
            for part in parts
            if 10 <= len(part.text) <= 160
        ]
        if count % BATCH == 0:
            yield found
            found = []
    yield found


def _phrases(tokens: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Return the ranges of tokens that can be an answer: noun phrases, as words and in a row."""
    found: set[tuple[int, int]] = set()
    for gap in (0, 1):  # characters between two tokens of a phrase
        first = None
        for n, (tag, start, _) in enumerate([*tokens, ("", -1, -1)]):
            if first is not None and (tag not in PHRASE or start - tokens[n - 1][2] > gap):
                if _is_answer(tokens[first:n], tag, gap):
                    found.add((first, n))
                first = None
            if first is None and tag in PHRASE:
                first = n
    return sorted(found)


def _is_answer(phrase: Sequence[tuple[str, int, int]], follows: str, gap: int) -> bool:
    tags = [tag for tag, *_ in phrase]
    is_number = not NUMBERS.isdisjoint(tags)
    if tags[-1] == "NNB" and not is_number:  # 것, 때문
        return False
    if is_number and gap and tags[-1] != "NNB":
        return False
    # before XSV and XSA, 하 and 되, a noun is the stem of a verb
    return not follows.startswith("XS") and 2 <= phrase[-1][2] - phrase[0][1] <= 20


def _question(
    sentence: str, tokens: Sequence[tuple[str, int, int]], phrase: tuple[int, int], rng: Any
) -> tuple[str, str] | None:
    """Return a question for the tokens `phrase` of the sentence, and the phrase; None if short."""
    first, end = phrase
    start, stop = tokens[first][1], tokens[end - 1][2]
    answer = sentence[start:stop]
    particle = tokens[end] if end < len(tokens) and tokens[end][0].startswith("J") else None
    after = particle[2] if particle and particle[1] == stop else stop
    wh = _question_word(answer, {tag for tag, *_ in tokens[first:end]}, sentence[stop:after])
    particles = {begin: close for tag, begin, close in tokens if tag.startswith("J")}
    share = rng.uniform(0, 0.5)
    kept, before = [], 0
    for word in re.finditer(r"\S+", sentence):
        if word.start() < after and word.end() > start:  # what is asked for, with its particle
            continue
        if rng.random() < share:
            continue
        cut = next((b for b, c in particles.items() if c == word.end() and b > word.start()), None)
        ends = cut if cut is not None and rng.random() < 0.3 else word.end()
        kept.append(sentence[word.start() : ends].strip('"“”‘’(),.!?'))
        before += word.start() < start
    kept_words = [word for word in kept if word]
    if len(kept_words) < 2 or answer in " ".join(kept_words):
        return None
    before = min(before, len(kept_words))
    if rng.random() < 0.5:  # in its place, and the sentence ends as a question
        pair = AFTER_CONSONANT if wh == "무엇" else AFTER_VOWEL
        asked_for = wh + pair.get(sentence[stop:after], sentence[stop:after])
        words = " ".join([*kept_words[:before], asked_for, *kept_words[before:]])
        ending, asked = next((pair for pair in ENDINGS if words.endswith(pair[0])), ("", ""))
        return f"{words.removesuffix(ending)}{asked}?", answer
    return f"{' '.join(kept_words)} {rng.choice(['것은 ', ''])}{wh}{rng.choice(COPULAS)}", answer


def _question_word(answer: str, tags: set[str], particle: str) -> str:
    if tags & NUMBERS:
        unit = re.sub(r"^[\d,.\s]+", "", answer)
        if unit and unit[-1] in TIMES:
            return "언제"
        return f"몇 {unit}" if unit != answer and 0 < len(unit) < 4 else "얼마"
    if particle in ("에서", "에"):
        return "어디"
    if "NNP" in tags and particle in ("이", "가", "은", "는", "께서", "의", "에게"):
        return "누구"
    return "무엇"


def _around(
    sentences: Sequence[tuple[str, Any]], place: int, longest: float, rng: Any
) -> tuple[str, str]:
    """Return the text before and after a sentence, which takes part in the limit."""
    left, right, size = place, place + 1, len(sentences[place][0])
    while True:
        other = left - 1 if rng.random() < 0.5 else right
        if not 0 <= other < len(sentences) or size + len(sentences[other][0]) > longest:
            break
        size += len(sentences[other][0])
        left, right = min(left, other), max(right, other + 1)
    texts = [text for text, _ in sentences[left:right]]
    return " ".join(texts[: place - left]), " ".join(texts[place - left + 1 :])


def _row(
    question: str, answer: str, sentence: str, before: str, after: str, rng: Any
) -> dict[str, Any] | None:
    """Return the row, if the answer is in the context once, or is not to be in it."""
    others = f"{before}\n{after}".count(answer)
    without = " ".join(filter(None, (before, after)))
    if not without or sentence.count(answer) > 1 or others > 1:
        return None
    row = {"context": without, "question": question, "answer_text": answer}
    if others == 0 and rng.random() < SHARE_WITHOUT_ANSWER:
        return row | {"answer_text": None, "answer_start": None, "is_impossible": True}
    if not others:
        row["context"] = " ".join(filter(None, (before, sentence, after)))
    return row | {"answer_start": row["context"].index(answer), "is_impossible": False}
