"""The door that pushed cards name: ``from nlpbook_data.answering import load_answerer``."""

from nlpbook_data.inference.answers import Answerer, load_answerer

__all__ = ["Answerer", "load_answerer"]
