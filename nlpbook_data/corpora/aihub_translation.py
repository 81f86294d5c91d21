"""AI Hub's Korean-English parallel corpus: all six parts."""

from nlpbook_data.corpora._aihub import PARTS, declare, read_pairs

CORPUS = declare("aihub_translation", "한국어-영어 번역(병렬) 말뭉치", list(PARTS))
parse = read_pairs
