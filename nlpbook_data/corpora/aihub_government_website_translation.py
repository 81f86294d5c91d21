"""AI Hub's Korean-English parallel corpus: websites of local governments."""

from nlpbook_data.corpora._aihub import declare, read_pairs

CORPUS = declare(
    "aihub_government_website_translation",
    "한국어-영어 번역 말뭉치: 지자체 웹사이트",
    ["지자체웹사이트"],
)
parse = read_pairs
