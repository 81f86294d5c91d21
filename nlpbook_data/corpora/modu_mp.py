"""모두의 말뭉치, morphemes of newspapers and speech, eojeol by eojeol (NIKL, v1)."""

from datasets import ClassLabel, Features, List, Value

from nlpbook_data.corpora._modu import declare, read_list, read_sentences
from nlpbook_data.corpora.declaration import texts
from nlpbook_data.reading.values import Files, Rows, malformed, member, read_label

# The official tags and their names.
NAMES = {
    "NNG": "일반 명사",
    "NNP": "고유 명사",
    "NNB": "의존 명사",
    "NP": "대명사",
    "NR": "수사",
    "VV": "동사",
    "VA": "형용사",
    "VX": "보조 용언",
    "VCP": "긍정 지정사",
    "VCN": "부정 지정사",
    "MMA": "성상 관형사",
    "MMD": "지시 관형사",
    "MMN": "수 관형사",
    "MAG": "일반 부사",
    "MAJ": "접속 부사",
    "IC": "감탄사",
    "JKS": "주격 조사",
    "JKC": "보격 조사",
    "JKG": "관형격 조사",
    "JKO": "목적격 조사",
    "JKB": "부사격 조사",
    "JKV": "호격 조사",
    "JKQ": "인용격 조사",
    "JX": "보조사",
    "JC": "접속 조사",
    "EP": "선어말 어미",
    "EF": "종결 어미",
    "EC": "연결 어미",
    "ETN": "명사형 전성 어미",
    "ETM": "관형형 전성 어미",
    "XPN": "체언 접두사",
    "XSN": "명사 파생 접미사",
    "XSV": "동사 파생 접미사",
    "XSA": "형용사 파생 접미사",
    "XR": "어근",
    "SF": "마침표, 물음표, 느낌표",
    "SP": "쉼표, 가운뎃점, 쌍점, 빗금",
    "SS": "따옴표, 괄호, 줄표",
    "SE": "줄임표",
    "SO": "붙임표, 물결표",
    "SW": "기타 기호",
    "SL": "외국어",
    "SH": "한자",
    "SN": "숫자",
    "NA": "분석 불능 범주",
    "NF": "명사 추정 범주",
    "NV": "용언 추정 범주",
    "NAP": "가린 이름 등 개인 정보",
}
LABELS = {tag: n for n, tag in enumerate(NAMES)}

CORPUS = declare(
    "modu_mp",
    "형태 분석 말뭉치",
    Features(
        **texts("id", "text"),
        morphemes=List(
            {
                "form": Value("string"),
                "tag": ClassLabel(names=list(NAMES)),
                "word": Value("int32"),
            }
        ),
    ),
    folder="NIKL_MP",
    pattern="[NS]XMP*.json",
    files="NXMP1902008040.json and SXMP1902008031.json",
    share=0.1,
    task="morphology",
    source="NXMP*.json (newspapers) + SXMP*.json (speech)",
)


def parse(files: Files) -> Rows:
    """Yield ``{"id", "text", "morphemes": [{"form", "tag", "word"}]}`` for each sentence.

    ``word`` is the number of the eojeol, from 0. A sentence without an analysis has no morphemes.
    """
    for place, sentence, name, text in read_sentences(files):
        morphemes, words = [], read_list(place, sentence, "word")
        for number, morpheme in enumerate(read_list(place, sentence, "morpheme"), start=1):
            where = f"{place}, morpheme {number}"
            word = member(where, morpheme, "word_id", int)
            if not 1 <= word <= len(words):
                raise malformed(f"{where}, word_id", word, f"one of the {len(words)} words")
            tag = read_label(f"{where}, label", member(where, morpheme, "label", str), LABELS)
            form = member(where, morpheme, "form", str)
            morphemes.append({"form": form, "tag": tag, "word": word - 1})
        yield {"id": name, "text": text, "morphemes": morphemes}
