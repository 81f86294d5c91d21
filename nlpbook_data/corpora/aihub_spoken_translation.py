"""AI Hub's Korean-English parallel corpus: spoken sentences."""

from nlpbook_data.corpora._aihub import declare, read_pairs

CORPUS = declare("aihub_spoken_translation", "한국어-영어 번역 말뭉치: 구어체", ["구어체"])
parse = read_pairs
