"""AI Hub's Korean-English parallel corpus: Korean culture."""

from nlpbook_data.corpora._aihub import declare, read_pairs

CORPUS = declare(
    "aihub_korean_culture_translation", "한국어-영어 번역 말뭉치: 한국문화", ["한국문화"]
)
parse = read_pairs
