"""AI Hub's Korean-English parallel corpus: conversations."""

from nlpbook_data.corpora._aihub import declare, read_pairs

CORPUS = declare("aihub_conversation_translation", "한국어-영어 번역 말뭉치: 대화체", ["대화체"])
parse = read_pairs
