"""KLUE: rows against expectations by hand and, on the real files, against a second reading."""

import re
from pathlib import Path

import pytest
from conftest import CORPORA
from fixture_rows import parse_changed

from nlpbook_data.corpora import klue_mrc, klue_ner, klue_nli, klue_re, klue_sts, klue_ynat
from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"


# --- rows, by hand -----------------------------------------------------------------------------


def test_ner_an_inside_tag_that_continues_nothing_begins_an_entity(tmp_path):
    path = tmp_path / "ner.tsv"
    lines = ["가\tB-PS", "나\tI-LC", "다\tO", "라\tI-LC", "마\tI-LC"]
    head = "## 주석 : ##\n## 컬럼명 : CHAR\tNE_TAG\n## id\t<가:PS><나:LC>다<라마:LC>\n"
    path.write_text(head + "\n".join(lines), encoding="utf-8")
    (row,) = klue_ner.parse([path])
    assert [(e["start"], e["end"]) for e in row["entities"]] == [(0, 1), (1, 2), (3, 5)]


# --- malformed input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "old", "new", "named"),
    [
        (klue_ynat, '"label": "사회"', '"label": "사회면"', "item 2, ynat-v1_train_00001, label"),
        (
            klue_ynat,
            '"title": "시장',
            '"titel": "시장',
            "train_00001: there is no 'title'",
        ),
        (klue_sts, '"label": 4.7', '"label": 5.7', "item 1, klue-sts-v1_train_00000, label"),
        (klue_sts, '"label": 4.7', '"label": "4.7"', "item 1, klue-sts-v1_train_00000, labels"),
        (klue_sts, '"binary-label": 1', '"binary-label": 2', "train_00000, binary-label"),
        (klue_nli, '"premise": "대회', '"premise": null, "p": "대회', "train_00002, premise"),
        (klue_nli, '"gold_label": "neutral"', '"gold_label": "-"', "train_00002, gold_label"),
        (klue_nli, '"guid": "klue-nli-v1_train_00001"', '"guid": 1', "item 2, guid"),
        (klue_re, '"start_idx": 4', '"start_idx": 3', "train_00001, subject_entity, characters 3"),
        (klue_re, '"end_idx": 20', '"end_idx": 99', "train_00002, subject_entity, characters 19"),
        (klue_re, '"start_idx": 4', '"start_idx": -1', "train_00001, subject_entity"),
        (klue_re, '"org:founded"', '"org:found"', "train_00000, label"),
        (klue_re, '"type": "DAT"', '"type": "DT"', "train_00000, object_entity, type"),
        (
            klue_mrc,
            '"answer_start": 65',
            '"answer_start": 64',
            "paragraph 1, question 2 (klue-mrc",
        ),
        (
            klue_mrc,
            '"answer_start": 65',
            '"answer_start": -2',
            "paragraph 1, question 2 (klue-mrc",
        ),
        (klue_mrc, '"is_impossible": true', '"is_impossible": false', "klue-mrc-v1_train_00002"),
        (klue_mrc, '"question_type": 2', '"question_type": 4', "klue-mrc-v1_train_00001"),
        (klue_mrc, '"data": [', '"date": [', "found the keys "),
        (
            klue_sts,
            '"source": "airbnb-rtt",',
            '"source": "airbnb-rtt"',
            "line 5, column 3: not JSON",
        ),
    ],
)
def test_a_malformed_object_is_named_with_its_item_and_guid(tmp_path, module, old, new, named):
    (file,) = module.CORPUS.splits["train"].files
    with pytest.raises(InputError, match=f"{file}.*{re.escape(named)}"):
        parse_changed(tmp_path, module.CORPUS.name, "train", file, old, new)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("이\tB-PS", "이 B-PS", "line 84: found '이 B-PS'"),
        ("이\tB-PS", "이\tB-PX", "line 84: found '이⇥B-PX'"),
        ("이\tB-PS", "이\tB-PS\tO", "line 84: found '이⇥B-PS⇥O'"),
        ("이\tB-PS", "\tB-PS", "line 84: found '⇥B-PS'"),
        ("이\tB-PS\n", "", "line 83, klue-ner-v1_train_00003-wikitree"),
        ("이\tB-PS", "저\tB-PS", "line 83, klue-ner-v1_train_00003-wikitree"),
        ("별\tB-OG\n", "", "klue-ner-v1_train_00004_nsmc"),
        ("## klue-ner-v1_train_00003-wikitree\t", "## klue-ner-v1_train_00003 ", "line 83: found"),
        ("## 컬럼명 : CHAR\tNE_TAG\n", "", "line 6: found"),
        ("## klue-ner-v1_train_00000", "가\tO\n## klue-ner-v1_train_00000", "line 6: found '가⇥O'"),
    ],
)
def test_ner_a_malformed_line_is_named(tmp_path, old, new, named):
    file = "klue-ner-v1.1_train.tsv"
    with pytest.raises(InputError, match=f"{file}.*{re.escape(named)}"):
        parse_changed(tmp_path, "klue-ner", "train", file, old, new)


# --- the real files, read a second time --------------------------------------------------------


# Where an entity stands in angle brackets of its own, <<레이:PS>>, the official character tags
# take the first one in; the tags are what everyone scores against, and stay as they are.
BRACKETS = {
    "klue-ner-v1_dev_01174-nsmc": "<레이",
    "klue-ner-v1_dev_02824-nsmc": "<10",
    "klue-ner-v1_dev_03610-nsmc": "<일지매",
}


@pytest.mark.corpora
@pytest.mark.parametrize("part", ["train", "dev"])
def test_ner_every_real_row_is_that_of_its_sentence_line(part):
    path = CORPORA / "klue-ner" / f"klue-ner-v1.1_{part}.tsv"
    tags = ["DT", "LC", "OG", "PS", "QT", "TI"]
    lines = [line for line in path.read_text("utf-8").split("\n") if line.startswith("## klue-ner")]
    for row, line in zip(klue_ner.parse([path]), lines, strict=True):
        id_, tagged = line.removeprefix("## ").split("\t")
        entities, plain = [], ""
        for piece in re.split("(<[^<>]+:[A-Z]{2}>)", tagged):
            if marked := re.fullmatch("<(.+):([A-Z]{2})>", piece):
                entities.append((len(plain), len(plain) + len(marked[1]), marked[2]))
            plain += marked[1] if marked else piece
        if id_ not in BRACKETS:
            found = [(e["start"], e["end"], tags[e["label"]]) for e in row["entities"]]
            assert (row["id"], row["text"], found) == (id_, plain, entities)


@pytest.mark.corpora
def test_ner_entities_are_those_of_the_character_tags_where_the_sentence_line_says_otherwise():
    files = [CORPORA / "klue-ner" / f"klue-ner-v1.1_{part}.tsv" for part in ("train", "dev")]
    found = {
        row["id"]: row["text"][entity["start"] : entity["end"]]
        for row in klue_ner.parse(files)
        for entity in row["entities"]
        if row["id"] in BRACKETS and row["text"][entity["start"]] == "<"
    }
    assert found == BRACKETS


@pytest.mark.corpora
def test_sts_of_which_only_the_dev_file_is_there_loads_it_with_a_warning(tmp_path, caplog):
    loaded = load_corpus("klue-sts", CORPORA, cache_dir=tmp_path)
    assert {split: len(dataset) for split, dataset in loaded.items()} == {"test": 519}
    assert "no train split" in caplog.text
