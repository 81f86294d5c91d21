"""Comments on entertainment news, labelled for hate and bias, with the news' titles (kocohub).

A csv writer wrote the files, which are tsv or have one text a line. It put a text with a quote into
quotes and doubled the quotes inside (in files of one text a line, a text with a comma too). Here
these quotes are removed; otherwise 88 % of the titles and ten comments of train would have them.
The authors' loader and Korpora keep them.
"""

from collections.abc import Iterable

from datasets import ClassLabel, Features

from nlpbook_data.corpora.declaration import (
    Corpus,
    RawFile,
    Split,
    carved,
    in_file,
    korpora_urls,
    texts,
)
from nlpbook_data.reading.text import beside, read_lines, read_tsv
from nlpbook_data.reading.values import Files, Rows, read_label

CORPUS = Corpus(
    name="korean_hate_speech",
    task="doccls",
    title="연예 뉴스 댓글 혐오 표현 말뭉치",
    features=Features(
        **texts("text", "title"),
        label=ClassLabel(names=["없음", "공격적", "혐오"]),
        bias=ClassLabel(names=["없음", "성별", "기타"]),
        gender_bias=ClassLabel(names=["없음", "있음"]),
    ),
    splits={
        "train": in_file("labeled/train.tsv", aligned=("news_title/train.news_title.txt",)),
        "validation": carved(0.05),
        "test": in_file(
            "labeled/dev.tsv",
            "dev file; the official test has no labels",
            aligned=("news_title/dev.news_title.txt",),
        ),
        "unlabeled_test": in_file(
            "test.no_label.tsv",
            "the official test, whose labels are not public",
            aligned=("news_title/test.news_title.txt",),
        ),
        "unlabeled_comments": Split(
            "unlabeled/unlabeled_comments_1.txt to _5.txt",
            files=tuple(f"unlabeled/unlabeled_comments_{n}.txt" for n in range(1, 6)),
            aligned=tuple(f"news_title/unlabeled_comments.news_title_{n}.txt" for n in range(1, 6)),
            optional=True,
        ),
    },
    files={
        "labeled/train.tsv": RawFile(
            913_546, "ebebacdcd023af2c4acc8c0a37695fb6433ac04fc009feff8f222724e303a5a9", 7_896
        ),
        "labeled/dev.tsv": RawFile(
            54_903, "232b615d6e359a9d31dfb8370f32e1733dc5bb3f9c5430d34d7fcc7ba4b7e8ef", 471
        ),
        "test.no_label.tsv": RawFile(
            96_108, "87190f1fe55db520bbcf3958943714ebc0366be508f6ce6a0fe456a8241a4e1a", 974
        ),
        "news_title/train.news_title.txt": RawFile(
            742_357, "80fcb349633ddf38062c17363f18e62b3e533640c2a31ba50468963ff5db1492", 7_896
        ),
        "news_title/dev.news_title.txt": RawFile(
            44_175, "5332b771458697677396a6bae8de0f590be9b4b8718592d6e1a92b6592b5d47f", 471
        ),
        "news_title/test.news_title.txt": RawFile(
            91_110, "5dc930ee17d4068b1b62f7f4fab1857504b9009b4f8a37adcebbf99003c52508", 974
        ),
    },
    license="CC-BY-SA-4.0",
    homepage="https://github.com/kocohub/korean-hate-speech",
    citation=(
        "Moon, J., Cho, W. I., & Lee, J. (2020). BEEP! Korean Corpus of Online News Comments for "
        "Toxic Speech Detection. SocialNLP@ACL."
    ),
    urls=korpora_urls("korpus_korean_hate_speech.KOREAN_HATE_SPEECH_FETCH_INFORMATION"),
)

HEADER = ["comments", "contain_gender_bias", "bias", "hate"]
IDS = {
    "label": {"none": 0, "offensive": 1, "hate": 2},
    "bias": {"none": 0, "gender": 1, "others": 2},
    "gender_bias": {"False": 0, "True": 1},
}


def parse(files: Files) -> Rows:
    """Yield ``{"text", "title", "label", "bias", "gender_bias"}`` for each comment.

    `files` are the files of comments, then the files of titles in the same order. Missing labels
    are -1.
    """
    half = len(files) // 2
    for path, titles in zip(files[:half], files[half:], strict=True):
        rows: Iterable[tuple[str, list[str]]]
        if path.name.startswith("unlabeled_comments"):
            rows = ((place, [line]) for place, line in read_lines(path))
        else:
            rows = read_tsv([path], HEADER[:1] if path.name == "test.no_label.tsv" else HEADER)
        for place, (text, *tags), title in beside(rows, titles, path):
            labels = dict.fromkeys(IDS, -1)
            for name, tag in zip(IDS, reversed(tags), strict=False):
                labels[name] = read_label(place, tag, IDS[name])
            yield {"text": _unquote(text), "title": _unquote(title), **labels}


def _unquote(text: str) -> str:
    """Remove a csv writer's quotes; a text that a csv writer cannot have quoted stays unchanged."""
    inner = text[1:-1]
    if len(text) < 2 or f'"{inner}"' != text or '"' in inner.replace('""', ""):
        return text
    return inner.replace('""', '"')
