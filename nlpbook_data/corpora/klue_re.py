"""KLUE-RE: the relation of two entities in a sentence (a list of JSON objects)."""

from collections.abc import Mapping
from typing import Any

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora._klue import declare, read_rows
from nlpbook_data.corpora.declaration import Corpus, texts
from nlpbook_data.reading.relations import TYPES, read_entity
from nlpbook_data.reading.values import Files, Rows, member, read_label, read_notes

# In the order of the official relation_list.json.
RELATIONS = {
    "no_relation": "관계 없음",
    "org:dissolved": "기관: 해산 연도",
    "org:founded": "기관: 설립 연도",
    "org:place_of_headquarters": "기관: 본부 소재지",
    "org:alternate_names": "기관: 다른 이름",
    "org:member_of": "기관: 상위 기관",
    "org:members": "기관: 구성 기관",
    "org:political/religious_affiliation": "기관: 정치·종교 성향",
    "org:product": "기관: 제품",
    "org:founded_by": "기관: 설립자",
    "org:top_members/employees": "기관: 주요 인물",
    "org:number_of_employees/members": "기관: 구성원 수",
    "per:date_of_birth": "인물: 출생일",
    "per:date_of_death": "인물: 사망일",
    "per:place_of_birth": "인물: 출생지",
    "per:place_of_death": "인물: 사망지",
    "per:place_of_residence": "인물: 거주지",
    "per:origin": "인물: 출신",
    "per:employee_of": "인물: 소속",
    "per:schools_attended": "인물: 출신 학교",
    "per:alternate_names": "인물: 다른 이름",
    "per:parents": "인물: 부모",
    "per:children": "인물: 자녀",
    "per:siblings": "인물: 형제자매",
    "per:spouse": "인물: 배우자",
    "per:other_family": "인물: 그 밖의 가족",
    "per:colleagues": "인물: 동료",
    "per:product": "인물: 작품",
    "per:religion": "인물: 종교",
    "per:title": "인물: 직함",
}
LABELS = {relation: id_ for id_, relation in enumerate(RELATIONS)}
TYPE_IDS = {tag: id_ for id_, tag in enumerate(TYPES)}
ENTITY = {
    "text": Value("string"),
    "start": Value("int32"),
    "end": Value("int32"),
    "type": ClassLabel(names=list(TYPES.values())),
}

CORPUS = Corpus(
    name="klue-re",
    task="relation",
    title="KLUE 관계 추출",
    features=Features(
        **texts("id", "text"),
        subject=ENTITY,
        object=ENTITY,
        label=ClassLabel(names=list(RELATIONS.values())),
        source=Value("string"),
    ),
    **declare("klue-re-v1.1", train=32_470, dev=7_765),
)


def parse(files: Files) -> Rows:
    """Yield a row for each sentence with two entities; `end` is exclusive, unlike in the file."""
    for place, row in read_rows(files):
        text = member(place, row, "sentence", str)
        yield {
            "id": row["guid"],
            "text": text,
            "subject": _entity(place, row, "subject_entity", text),
            "object": _entity(place, row, "object_entity", text),
            "label": read_label(f"{place}, label", row.get("label"), LABELS),
            **read_notes(place, row, "source"),
        }


def _entity(place: str, row: Mapping[str, Any], key: str, text: str) -> dict[str, Any]:
    entity = read_entity(place, row, key, text)
    return entity | {"type": read_label(f"{place}, {key}, type", entity["type"], TYPE_IDS)}
