"""KLUE: rows against expectations by hand and, on the real files, against a second reading."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CORPORA

from nlpbook_data.corpora import klue_mrc, klue_ner, klue_nli, klue_re, klue_sts, klue_ynat
from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"


def rows(module: Any, split: str = "train") -> list[dict[str, Any]]:
    """The rows of a fixture, with the words of their labels."""
    corpus = module.CORPUS
    files = [FIXTURES / corpus.name / file for file in corpus.splits[split].files]
    return [in_words(row, corpus.features) for row in module.parse(files)]


def in_words(row: dict[str, Any], features: Any) -> dict[str, Any]:
    def word(value: Any, feature: Any) -> Any:
        if hasattr(feature, "int2str"):
            return feature.int2str(value)
        if isinstance(value, dict):
            return {key: word(item, feature[key]) for key, item in value.items()}
        if isinstance(value, list):
            return [word(item, feature.feature) for item in value]
        return value

    return {key: word(value, features[key]) for key, value in row.items()}


@pytest.fixture
def broken(tmp_path: Path) -> Callable[..., str]:
    """Parse a fixture in which `old` is `new`, and return the error's message."""

    def parse(module: Any, old: str, new: str, split: str = "train") -> str:
        (file,) = module.CORPUS.splits[split].files
        text = (FIXTURES / module.CORPUS.name / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
        path = tmp_path / file
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError) as error:
            list(module.parse([path]))
        assert str(error.value).startswith(str(path))
        return str(error.value)

    return parse


# --- rows, by hand -----------------------------------------------------------------------------


def test_ynat_rows_are_headlines_with_the_annotators_topic():
    common = {
        "date": "2019.03.02. 오전 9:15",
        "url": "https://news.example.com/read?sid1=105&oid=001",
    }
    assert rows(klue_ynat) == [
        {
            "id": "ynat-v1_train_00000",
            "text": '새 휴대전화, 값은 "그대로"…카메라만 바뀐다',
            "label": "IT과학",
            "news_category": "IT과학",
            **common,
        },
        {
            "id": "ynat-v1_train_00001",
            "text": "시장 골목에 다시 켜진 불빛 😀",
            "label": "사회",
            "news_category": "경제",
            **common,
        },
        {
            "id": "ynat-v1_train_00002",
            "text": unicodedata.normalize("NFD", "봄나물 축제") + " 한창",
            "label": "생활문화",
            "news_category": "생활문화",
            **common,
        },
        {
            "id": "ynat-v1_train_00003",
            "text": " 앞뒤에 빈칸이 있는 제목\t",
            "label": "세계",
            "news_category": "세계",
            **common,
        },
    ]
    assert [row["label"] for row in rows(klue_ynat, "test")] == ["스포츠", "정치", "경제"]


def test_sts_rows_have_the_three_labels():
    assert rows(klue_sts) == [
        {
            "id": "klue-sts-v1_train_00000",
            "sentence1": "방이 깨끗하고 따뜻했어요.",
            "sentence2": "방은 따뜻하고 깨끗했습니다.",
            "label": 4.7,
            "real_label": 4.666666666666667,
            "binary_label": "같은 뜻",
            "source": "airbnb-rtt",
        },
        {
            "id": "klue-sts-v1_train_00001",
            "sentence1": '창문을 "꼭" 닫아 주세요, 부탁해요 🙏',
            "sentence2": "내일은 비가 온다.",
            "label": 0.0,
            "real_label": 0.0,
            "binary_label": "다른 뜻",
            "source": "policy-sampled",
        },
    ]


def test_nli_rows_have_korean_labels_and_a_source_whatever_the_file_calls_it():
    assert [tuple(row.values()) for row in [*rows(klue_nli), *rows(klue_nli, "test")]] == [
        (
            "klue-nli-v1_train_00000",
            "주인공이 끝까지 웃지 않는다.",
            "주인공은 웃음이 많다.",
            "모순",
            "NSMC",
        ),
        (
            "klue-nli-v1_train_00001",
            "주인공이 끝까지 웃지 않는다.",
            "주인공이 나온다.",
            "함의",
            "NSMC",
        ),
        (
            "klue-nli-v1_train_00002",
            '대회는 "봄"에, 강릉에서 열렸다',
            "대회에 많은 사람이 왔다",
            "중립",
            "wikinews",
        ),
        ("klue-nli-v1_dev_00000", "부엌이 넓어서 좋았어요 😀", "부엌이 좁았다.", "모순", "airbnb"),
        ("klue-nli-v1_dev_00001", "", "가설만 있다.", "중립", "policy"),
    ]


def test_re_rows_have_both_entities_with_exclusive_ends():
    assert rows(klue_re) == [
        {
            "id": "klue-re-v1_train_00000",
            "text": "솔빛출판사는 1987년 전주에서 문을 열었다.",
            "subject": {"text": "솔빛출판사", "start": 0, "end": 5, "type": "기관"},
            "object": {"text": "1987년", "start": 7, "end": 12, "type": "날짜와 시간"},
            "label": "기관: 설립 연도",
            "source": "wikipedia",
        },
        {
            "id": "klue-re-v1_train_00001",
            "text": '소설가 한겨울이 쓴 《강가에서》는 "조용한 책"이다 😀',
            "subject": {"text": "한겨울", "start": 4, "end": 7, "type": "인물"},
            "object": {"text": "강가에서", "start": 12, "end": 16, "type": "그 밖의 고유 명사"},
            "label": "인물: 작품",
            "source": "wikitree",
        },
        {
            "id": "klue-re-v1_train_00002",
            "text": "이 모임의 회원은 40명, 회장은 윤슬",
            "subject": {"text": "윤슬", "start": 19, "end": 21, "type": "인물"},
            "object": {"text": "40명", "start": 10, "end": 13, "type": "그 밖의 수량"},
            "label": "관계 없음",
            "source": "policy_briefing",
        },
    ]


def test_mrc_rows_have_answers_and_impossible_questions_none():
    context = (
        '나루마을의 등대는 1931년에 처음 불을 켰다. 지금은 "작은 도서관"으로 쓰이며, '
        "책은 2,400권이다 😀. 끝은 바다"
    )
    article = {"title": "등대가 도서관이 되기까지", "context": context}
    extra = {"news_category": "문화", "source": "acrofan"}
    assert rows(klue_mrc) == [
        {
            "id": "klue-mrc-v1_train_00000",
            **article,
            "question": "등대가 불을 켠 해는?",
            "answers": [
                {"text": "1931년", "answer_start": 10},
                {"text": "1931", "answer_start": 10},
            ],
            "question_type": "바꿔 쓴 질문",
            "is_impossible": False,
            **extra,
        },
        {
            "id": "klue-mrc-v1_train_00001",
            **article,
            "question": "등대 너머에 있는 것은?",
            "answers": [{"text": "바다", "answer_start": 65}],
            "question_type": "여러 문장 추론",
            "is_impossible": False,
            **extra,
        },
        {
            "id": "klue-mrc-v1_train_00002",
            **article,
            "question": "등대를 지은 사람은?",
            "answers": [],
            "question_type": "답 없음",
            "is_impossible": True,
            **extra,
        },
    ]
    (wikipedia,) = rows(klue_mrc, "test")
    assert (wikipedia["news_category"], wikipedia["source"]) == (None, "wikipedia")


def test_ner_rows_are_characters_and_spans():
    nfd = unicodedata.normalize("NFD", "서울")
    assert [row["text"] for row in rows(klue_ner)] == [
        "김하늘 선수는 3일 부산에서 2시간 10분 만에 1등을 했다.",
        '재밌다ㅋㅋ "별 다섯", 추천 😀 솔빛미디어',
        f" {nfd} 좋아 # 1",
        "이몽룡성춘향 짝",
        "<별주부전> 3 > 2",
        "1, 2편:QT>은 좋다",
    ]
    assert [
        [(row["text"][e["start"] : e["end"]], e["label"]) for e in row["entities"]]
        for row in rows(klue_ner)
    ] == [
        [("김하늘", "인물"), ("3일", "날짜"), ("부산", "장소"), ("2시간 10분", "시간")]
        + [("1등", "수량")],
        [("솔빛미디어", "기관")],
        [(nfd, "장소")],
        [("이몽룡", "인물"), ("성춘향", "인물")],
        [("별주부전", "기관")],
        [("1", "수량")],
    ]
    assert rows(klue_ner, "test") == [
        {"id": "klue-ner-v1_dev_00000-wikitree", "text": "오늘은 아무도 없다", "entities": []},
        {
            "id": "klue-ner-v1_dev_00001-nsmc",
            "text": "전주",
            "entities": [{"start": 0, "end": 2, "label": "장소"}],
        },
    ]


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
def test_a_malformed_object_is_named_with_its_item_and_guid(broken, module, old, new, named):
    assert named in broken(module, old, new)


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
def test_ner_a_malformed_line_is_named(broken, old, new, named):
    assert named in broken(klue_ner, old, new)


# --- the real files, read a second time --------------------------------------------------------


# Where an entity stands in angle brackets of its own, <<레이:PS>>, the official character tags
# take the first one in; the tags are what everyone scores against, and stay as they are.
BRACKETS = {
    "klue-ner-v1_dev_01174-nsmc": "<레이",
    "klue-ner-v1_dev_02824-nsmc": "<10",
    "klue-ner-v1_dev_03610-nsmc": "<일지매",
}


def second_reading(name: str, path: Path) -> Iterator[dict[str, Any]]:
    """Read a real file with json or str.split alone."""
    text = path.read_text(encoding="utf-8")
    if name == "klue-ner":
        for block in text.split("\n\n")[:-1]:
            head, *lines = block.split("\n")[-1 - len(re.findall("\n(?!## )", "\n" + block)) :]
            id_, tagged = head.removeprefix("## ").split("\t")
            entities, plain = [], ""
            for piece in re.split("(<[^<>]+:[A-Z]{2}>)", tagged):
                if marked := re.fullmatch("<(.+):([A-Z]{2})>", piece):
                    entities.append((len(plain), len(plain) + len(marked[1]), marked[2]))
                plain += marked[1] if marked else piece
            assert len(plain) == len(lines)
            yield {"id": id_, "text": plain, "entities": entities}
        return
    for row in json.loads(text):
        if name == "klue-nli":
            yield {
                "id": row["guid"],
                "premise": row["premise"],
                "hypothesis": row["hypothesis"],
                "label": row["gold_label"],
                "source": row["source"],
            }
        else:
            yield {
                "id": row["guid"],
                "sentence1": row["sentence1"],
                "sentence2": row["sentence2"],
                "label": row["labels"]["label"],
                "real_label": row["labels"]["real-label"],
                "binary_label": row["labels"]["binary-label"],
                "source": row["source"],
            }


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("module", "split", "count"),
    [
        (klue_ner, "train", 3800),
        (klue_ner, "test", 700),
        (klue_nli, "train", 2160),
        (klue_nli, "test", 480),
        (klue_sts, "test", 519),
    ],
)
def test_every_real_row_is_that_of_a_second_reading(module, split, count):
    name = module.CORPUS.name
    (file,) = module.CORPUS.splits[split].files
    parsed = list(module.parse([CORPORA / name / file]))
    if name == "klue-nli":
        official = ["entailment", "neutral", "contradiction"]
        parsed = [row | {"label": official[row["label"]]} for row in parsed]
    if name == "klue-ner":
        tags = ["DT", "LC", "OG", "PS", "QT", "TI"]
        for row in parsed:
            row["entities"] = [(e["start"], e["end"], tags[e["label"]]) for e in row["entities"]]
    assert [r for r in parsed if r["id"] not in BRACKETS] == [
        r for r in second_reading(name, CORPORA / name / file) if r["id"] not in BRACKETS
    ]
    assert len(parsed) == count


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
