"""KLUE-NER's tags, on the real files against its sentence lines; KLUE-STS without train."""

import re

import pytest
from conftest import CORPORA

from nlpbook_data.corpora import klue_ner
from nlpbook_data.data.corpus import load_corpus


def test_ner_an_inside_tag_that_continues_nothing_begins_an_entity(tmp_path):
    path = tmp_path / "ner.tsv"
    lines = ["가\tB-PS", "나\tI-LC", "다\tO", "라\tI-LC", "마\tI-LC"]
    head = "## 주석 : ##\n## 컬럼명 : CHAR\tNE_TAG\n## id\t<가:PS><나:LC>다<라마:LC>\n"
    # the blank line before the second sentence is missing
    content = head + "\n".join([*lines, "## id-2\t<바:PS>", "바\tB-PS"])
    path.write_text(content, encoding="utf-8")
    spans = [[(e["start"], e["end"]) for e in row["entities"]] for row in klue_ner.parse([path])]
    assert spans == [[(0, 1), (1, 2), (3, 5)], [(0, 1)]]


# Where an entity stands in angle brackets of its own, <<레이:PS>>, the official character tags
# take the first one in; the tags are what everyone scores against, and stay as they are.
BRACKETS = {
    "klue-ner-v1_dev_01174-nsmc": "<레이",
    "klue-ner-v1_dev_02824-nsmc": "<10",
    "klue-ner-v1_dev_03610-nsmc": "<일지매",
}


@pytest.mark.corpora
def test_ner_every_real_row_is_that_of_its_sentence_line():
    tags, brackets = ["DT", "LC", "OG", "PS", "QT", "TI"], {}
    for part in ("train", "dev"):
        path = CORPORA / "klue-ner" / f"klue-ner-v1.1_{part}.tsv"
        lines = path.read_text("utf-8").split("\n")
        lines = [line for line in lines if line.startswith("## klue-ner")]
        for row, line in zip(klue_ner.parse([path]), lines, strict=True):
            id_, tagged = line.removeprefix("## ").split("\t")
            entities, plain = [], ""
            for piece in re.split("(<[^<>]+:[A-Z]{2}>)", tagged):
                if marked := re.fullmatch("<(.+):([A-Z]{2})>", piece):
                    entities.append((len(plain), len(plain) + len(marked[1]), marked[2]))
                plain += marked[1] if marked else piece
            found = [(e["start"], e["end"], tags[e["label"]]) for e in row["entities"]]
            if (row["id"], row["text"], found) != (id_, plain, entities):
                texts = [row["text"][start:end] for start, end, _ in found]
                brackets[row["id"]] = next(text for text in texts if text.startswith("<"))
    assert brackets == BRACKETS


@pytest.mark.corpora
def test_sts_of_which_only_the_dev_file_is_there_loads_it_with_a_warning(tmp_path, caplog):
    loaded = load_corpus("klue-sts", CORPORA, cache_dir=tmp_path)
    assert {split: len(dataset) for split, dataset in loaded.items()} == {"test": 519}
    assert "no train split" in caplog.text
