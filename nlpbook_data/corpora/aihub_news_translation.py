"""AI Hub's Korean-English parallel corpus: news."""

from nlpbook_data.corpora._aihub import declare, read_pairs

CORPUS = declare("aihub_news_translation", "한국어-영어 번역 말뭉치: 뉴스", ["뉴스"])
parse = read_pairs
