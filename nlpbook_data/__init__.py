"""Korean corpora, features, metrics and training blocks for HF Trainer recipes.

``load_corpus(name)`` returns a ``datasets.DatasetDict``; ``list_corpora()`` names what there is.
Importing this package does not import torch.
"""

from importlib.metadata import PackageNotFoundError, version

from nlpbook_data.corpora.declaration import Corpus
from nlpbook_data.data.corpus import list_corpora, load_corpus
from nlpbook_data.errors import InputError

try:
    __version__ = version("nlpbook-recipes")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = ["Corpus", "InputError", "list_corpora", "load_corpus"]
