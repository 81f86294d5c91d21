"""The import path that pushed cards use: ``from nlpbook_data.answering import load_answerer``."""

from nlpbook_data.inference.answers import Answerer, load_answerer
from nlpbook_data.inference.entities import Tagger, load_tagger

__all__ = ["Answerer", "Tagger", "load_answerer", "load_tagger"]
