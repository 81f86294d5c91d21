"""Short film and product reviews written for this project; they ship with the package (CC0)."""

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora.declaration import Corpus, packaged
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.values import Files, Rows, malformed, member, read_texts

CORPUS = Corpus(
    name="sample_reviews",
    task="doccls",
    title="영화와 상품 후기 (직접 쓴 예제 말뭉치)",
    features=Features(
        text=Value("string"), label=ClassLabel(names=["부정", "긍정"]), domain=Value("string")
    ),
    **packaged("sample_reviews"),
)


def parse(files: Files) -> Rows:
    """Yield ``{"text", "label", "domain"}`` for each line of JSON."""
    for place, row in read_json_lines(files):
        label = member(place, row, "label", int)
        if label not in (0, 1):
            raise malformed(f"{place}, label", label, "0 or 1")
        yield {**read_texts(place, row, "text", "domain"), "label": label}
