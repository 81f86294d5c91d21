"""What official files may not be: one change to a fixture, and what the error says of its place."""

import pytest
from fixture_rows import parse, parse_changed

from nlpbook_data import InputError

# By corpus, split and file: what is there, what stands there instead, what the error says.
DAMAGE = {
    ("klue-mrc", "train", "klue-mrc-v1.1_train.json"): [
        ('"answer_start": 65', '"answer_start": 64', r"paragraph 1, question 2 \(klue-mrc"),
        ('"answer_start": 65', '"answer_start": -2', r"paragraph 1, question 2 \(klue-mrc"),
        ('"is_impossible": true', '"is_impossible": false', "klue-mrc-v1_train_00002"),
        ('"question_type": 2', '"question_type": 4', "klue-mrc-v1_train_00001"),
        ('"data": [', '"date": [', "found the keys "),
    ],
    ("klue-ner", "train", "klue-ner-v1.1_train.tsv"): [
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
    ("klue-nli", "train", "klue-nli-v1.1_train.json"): [
        ('"premise": "대회', '"premise": null, "p": "대회', "train_00002, premise"),
        ('"gold_label": "neutral"', '"gold_label": "-"', "train_00002, gold_label"),
        ('"guid": "klue-nli-v1_train_00001"', '"guid": 1', "item 2, guid"),
    ],
    ("klue-re", "train", "klue-re-v1.1_train.json"): [
        ('"start_idx": 4', '"start_idx": 3', "train_00001, subject_entity, characters 3"),
        ('"end_idx": 20', '"end_idx": 99', "train_00002, subject_entity, characters 19"),
        ('"start_idx": 4', '"start_idx": -1', "train_00001, subject_entity"),
        ('"org:founded"', '"org:found"', "train_00000, label"),
        ('"type": "DAT"', '"type": "DT"', "train_00000, object_entity, type"),
    ],
    ("klue-sts", "train", "klue-sts-v1.1_train.json"): [
        ('"label": 4.7', '"label": 5.7', "item 1, klue-sts-v1_train_00000, label"),
        ('"label": 4.7', '"label": "4.7"', "item 1, klue-sts-v1_train_00000, labels"),
        ('"binary-label": 1', '"binary-label": 2', "train_00000, binary-label"),
        ('"source": "airbnb-rtt",', '"source": "airbnb-rtt"', "line 5, column 3: not JSON"),
    ],
    ("klue-ynat", "train", "ynat-v1.1_train.json"): [
        ('"label": "사회"', '"label": "사회면"', "item 2, ynat-v1_train_00001, label"),
        ('"title": "시장', '"titel": "시장', "train_00001: there is no 'title'"),
    ],
    ("korean_chatbot_data", "train", "ChatbotData.csv"): [
        ("2   ", "", "line 4"),
        ("2   ", "3", "line 4"),
        ("2   ", "2 2", "line 4"),
        ("구름이 ", "구름이,", "line 2"),
    ],
    ("korean_hate_speech", "train", "labeled/train.tsv"): [
        ("\tothers\t", "\tother\t", "line 3: found 'other' .*none, gender, others"),
        ("\tgender\thate", "\tgender\tHate", "line 4: found 'Hate' .*none, offensive, hate"),
        ("\tFalse\tothers", "\tfalse\tothers", "line 3: found 'false' .*False, True"),
        ("\tTrue\tgender\thate", "\tgender\thate", "line 4"),
    ],
    ("korean_hate_speech", "train", "news_title/train.news_title.txt"): [
        ("'주말극' 주연 교체설\n", "", "ends after [34] rows, where .* has another"),
        (
            "'주말극' 주연 교체설\n",
            "'주말극' 주연 교체설\n새 제목\n",
            "ends after [34] rows, where .* has another",
        ),
    ],
    ("korean_parallel_koen_news", "test", "korean-english-park.test.en"): [
        ("\nThe end.\n", "\n", "test.en ends after 1 rows"),
    ],
    ("korean_parallel_koen_news", "test", "korean-english-park.test.ko"): [
        ("\n끝.", "", "test.ko ends after 1 rows"),
    ],
    ("korean_petitions", "train", "petitions_2017-08"): [
        ("정치개혁", "정치", "line 1: found '정치' .*정치개혁"),
        ('"num_agree": 0', '"num_agree": -1', "line 1, num_agree"),
        ('"num_agree": 0', '"num_agree": 99999999999', "line 1, num_agree"),
        ('"num_agree": 0', '"num_agree": true', "line 1, num_agree"),
        ('"num_agree": 0', '"num_agree": NaN', "line 1: not JSON"),
        ('"content"', '"contents"', "line 1: .*'content'"),
        ('"content": "', '"content": "\\ud83d', "line 1, content: .*half of a character"),
        ('{"category": "기타"', '["category": "기타"', "line 2: not JSON"),
        ("}\n", "}\n\n", "line 2: not JSON"),
    ],
    ("kornli", "train", "snli_1.0_train.ko.tsv"): [
        ("neutral", "", "line 3: .*entailment"),
        ("neutral", "neutral ", "line 3: .*entailment"),
        ("neutral", "2", "line 3: .*entailment"),
    ],
    ("korquad-v1", "train", "KorQuAD_v1.0_train.json"): [
        ('"answer_start": 31', '"answer_start": 30', r"paragraph 1, question 2 \(100-0-1\): found"),
        (
            '"answer_start": 31',
            '"answer_start": "31"',
            r"question 2 \(100-0-1\), answer_start: found",
        ),
        ('"answer_start": 31', '"answer_start": true', r"\(100-0-1\), answer_start: found"),
        ('"answer_start": 31', '"answer_start": 9000', r"\(100-0-1\): found '9000'"),
        ('"text": "바다"', '"text": ""', r"article 2, paragraph 1, question 1 \(101-0-0\): found"),
        ('"question": "글의', '"frage": "글의', r"\(101-0-0\): there is no 'question'"),
        ('"title": "나루마을_등대"', '"title": ["나루"]', "article 2, paragraph 1, title: found"),
        ('[{"text": "바다", "answer_start": 65}]', "[]", r"\(101-0-0\), answers: found '\[\]'"),
        ('"title": "나루마을_등대"}', '"title": "나루마을_등대"', "line 1, column"),
    ],
    ("korquad-v2", "test", "korquad2.1_dev_00.json"): [
        ('"answer_start": 102', '"answer_start": -1', r"article 1, question 1 \(21\): found '-1'"),
        ('"answer_start": 102', '"answer_start": 5000000000', r"\(21\): found '5000000000'"),
        ('"answer": {', '"answers": {', r"\(21\): there is no 'answer'"),
        ('"id": "21"', '"id": null', "question 1, id: found"),
        ('"context": "', '"context": 0, "c": "', "article 1, context: found '0'"),
        ('"url"', "url", "not JSON"),
    ],
    ("korsts", "train", "sts-train.tsv"): [
        ("5.000", "-0.1", "line 2: .*a score from 0 to 5"),
        ("5.000", "5.1", "line 2: .*a score from 0 to 5"),
        ("5.000", "nan", "line 2: .*a score from 0 to 5"),
        ("5.000", " 5.000", "line 2: .*a score from 0 to 5"),
        ("5.000", "٣", "line 2: .*a score from 0 to 5"),
        ("5.000", "3.", "line 2: .*a score from 0 to 5"),
        ("\t0017\t", "\t", "line 3"),
    ],
    ("modu_messenger", "train", "MDRW1900000002.json"): [
        ('"time"', '"at"', "utterance 1: .*'time'"),
        ("누나", "\\ud83d", "half of a character"),
    ],
    ("modu_mp", "train", "NXMP1902008040.json"): [
        ('"word_id": 3,', '"word_id": "3",', "sentence .*_id"),
        ('"VV"', '"VVV"', "one of the labels NNG"),
        ('"word_id": 3', '"word_id": 4', "one of the 3 words"),
        ('"word_id": 1', '"word_id": 0', "one of the 3 words"),
        ('"morpheme": [', '"morph": [', "there is no 'morpheme'"),
    ],
    ("modu_ne", "train", "NXNE1902008030.json"): [
        ('"begin": 8,\n                            "end": 14', '"begin": 9,"end": 15', "begin"),
        ('"begin": 18,', '"begin": -4,', "begin and end"),
        ('"label": "LC"', '"label": "XX"', "found 'XX'.*one of the labels PS, LC"),
        ('"label": "LC"', '"label": 1', "label: found '1'"),
        ('"NE": [', '"ne": [', "there is no 'NE'"),
        ('"sentence": [', '"sentences": [', "document NWRW1800000001.1: .*'sentence'"),
    ],
    ("modu_news", "train", "NWRW1800000001.json"): [
        ('"form": ', '"from": ', "paragraph 1: .*'form'"),
        ('"사회"', "3", "topic: found '3'"),
    ],
    ("modu_spoken", "train", "SARW1800000001.json"): [
        ("[\n", "[,\n", "line .*not JSON"),
        ('"speaker_id": "P1"', '"speaker_id": null', "None"),
    ],
    ("modu_web", "train", "EBRW1903002753.json"): [
        ('"paragraph": [', '"p": [', "there is no 'paragraph'"),
    ],
    ("modu_written", "train", "WARW1800000007.json"): [
        ('"document"', '"doc"', "'document'"),
    ],
    ("naver_changwon_ner", "train", "train_data"): [
        ("한강에서\tLOC_B", "한강에서\tLCO_B", "line 1: found 'LCO_B'"),
        ("한강에서\tLOC_B", "한강에서\tB-LOC", "line 1: found 'B-LOC'"),
        ("한강에서\tLOC_B", "한강에서 LOC_B", "line 1: .*index⇥word⇥tag"),
        ("1\t한강에서", "한강에서\t1", "line 1: .*index⇥word⇥tag"),
        ("2\t배를", "2\t", "line 2: .*index⇥word⇥tag"),
        (".\t-\n\n1\t시민", ".\t-\n1\t시민", "line 5: .*a blank line before a sentence"),
        (".\t-\n\n1\t시민", ".\t-\n \n1\t시민", "line 5: .*or a blank line"),
    ],
    ("ner", "train", "train.txt"): [
        ("<3일:DAT>", "<4일:DAT>", "line 1: .*the text before ␞"),
        ("<3일:DAT>", "<3일:DAY>", "line 1: .*the text before ␞"),
        ("<3일:DAT>", "<:DAT>3일", "line 1: .*the text before ␞"),
        ("올랐다.␞", "올랐다.", "line 1: .*␞"),
        ("값은 오천 원␞", "값은␞오천 원␞", "line 5: .*␞"),
    ],
    ("question_pair", "test", "kor_pair_test.csv"): [
        ("시험 언제 봐?,1,", "시험, 언제 봐?,1", "line 2"),
        ("않아,0,1", "않아,0,기타", "line 3"),
    ],
    ("question_pair", "train", "kor_pair_train.csv"): [
        ("오늘 비 와?,0", "오늘 비 와?,2", "line 2"),
        ("버스가 끊겼어", "버스가, 끊겼어", "line 5"),
        ("qid1,qid2", "qid2,qid1", "line 1"),
    ],
}


@pytest.mark.parametrize(
    ("where", "old", "new", "said"),
    [(where, *case) for where, cases in DAMAGE.items() for case in cases],
)
def test_a_damaged_file_is_refused_with_its_place(where, old, new, said, tmp_path):
    name, split, file = where
    with pytest.raises(InputError, match=said) as raised:
        parse_changed(tmp_path, name, split, file, old, new)
    assert file in str(raised.value)


def test_windows_line_ends_change_nothing(tmp_path):
    rows = parse_changed(tmp_path, "naver_changwon_ner", "train", "train_data", "\n", "\r\n")
    assert rows == parse("naver_changwon_ner", "train")
