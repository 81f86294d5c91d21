"""AI Hub's Korean-English parallel corpus: ordinances."""

from nlpbook_data.corpora._aihub import declare, read_pairs

CORPUS = declare("aihub_decree_translation", "한국어-영어 번역 말뭉치: 조례", ["조례"])
parse = read_pairs
