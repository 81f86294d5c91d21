"""KorQuAD 2.1: questions about whole pages of the Korean Wikipedia, with their HTML.

Train is thirteen zips of three JSON files each; dev is two zips with five files. Hugging Face's
builder (huggingface/datasets, squad_kor_v2.py) lists them. A file is ``{"version", "data":
[{"title", "url", "context", "raw_html", "qas": [{"id", "question", "answer": {"text",
"answer_start", "html_answer_text", "html_answer_start"}}]}]}``. ``context`` is the page with the
attributes of its tags removed, and ``answer_start`` counts in it; ``raw_html`` is the original
page.
"""

import logging

from datasets import Features

from nlpbook_data.corpora.declaration import Archive, Corpus, Split, carved, texts
from nlpbook_data.reading.squad import ANSWERS, read_answer, read_passages
from nlpbook_data.reading.values import Files, Rows, member, read_texts

logger = logging.getLogger(__name__)

URL = "https://github.com/korquad/korquad.github.io/raw/master/dataset/KorQuAD_2.1"
TRAIN = tuple(f"korquad2.1_train_{n:02}.json" for n in range(39))
DEV = tuple(f"korquad2.1_dev_{n:02}.json" for n in range(5))
ARCHIVES = (
    *(Archive((f"KorQuAD_2.1_train_{n:02}.zip",), TRAIN[3 * n : 3 * n + 3]) for n in range(13)),
    *(Archive((f"KorQuAD_2.1_dev_{n:02}.zip",), DEV[3 * n : 3 * n + 3]) for n in range(2)),
)


def urls() -> dict[str, str]:
    """Return ``{zip: URL}``."""
    zips = [file for archive in ARCHIVES for file in archive.files]
    return {file: f"{URL}/{'train' if 'train' in file else 'dev'}/{file}" for file in zips}


CORPUS = Corpus(
    name="korquad-v2",
    task="qa",
    title="KorQuAD 2.1 한국어 위키백과 웹 문서 기계 독해",
    features=Features(**texts("id", "title", "url", "context", "question"), answers=ANSWERS),
    splits={
        "train": Split("KorQuAD_2.1_train_00.zip to _12.zip", files=TRAIN, rows=83_486),
        "validation": carved(0.05),
        "test": Split(
            "KorQuAD_2.1_dev_00.zip and _01.zip (dev files; the official test is not public)",
            files=DEV,
            rows=10_165,
        ),
    },
    texts=("context", "question"),
    groups=("context",),
    license="CC-BY-ND-2.0-KR",
    homepage="https://korquad.github.io/",
    citation="Kim, Y. et al. (2020). KorQuAD 2.0: Korean QA Dataset for Web Document Machine "
    "Comprehension. Journal of KIISE 47(6), 577-586.",
    urls=urls,
    archives=ARCHIVES,
    large=True,
)


def parse(files: Files) -> Rows:
    """Yield a row for each question, with the whole page as its context.

    Official counts are 83,486 for train and 10,165 for dev. An answer that is not at its position
    in the page is kept unchanged; a warning gives the number of such answers.
    """
    for path in files:
        moved = []
        for place, page, _, questions in read_passages(path):
            columns = read_texts(place, page, "title", "url", "context")
            for here, question in questions:
                id_ = str(member(here, question, "id", (str, int)))
                found = member(here, question, "answer", dict)
                answer = read_answer(here, found, columns["context"])
                if not columns["context"].startswith(answer["text"], answer["answer_start"]):
                    moved.append(id_)
                text = member(here, question, "question", str)
                yield {"id": id_, **columns, "question": text, "answers": [answer]}
        if moved:
            logger.warning(
                "%s: %d answers do not stand at their position in the page, the first at %s.",
                *(path, len(moved), moved[0]),
            )
