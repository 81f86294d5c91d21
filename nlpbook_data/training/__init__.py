"""What the recipes share: arguments, order of rows, loss, trainer and the record of a run."""

import os

# OpenMP's default is to spin while it waits; with a neighbour on the cores that makes torch several
# times slower. It is read when torch is imported, which the modules below do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from nlpbook_data.training.arguments import (  # noqa: E402
    DataArguments,
    ModelArguments,
    RecipeArguments,
    parse,
)
from nlpbook_data.training.features import encode_splits, text_lengths  # noqa: E402
from nlpbook_data.training.loss import (  # noqa: E402
    ClassificationLoss,
    LanguageModelLoss,
    SpanLoss,
    SquaredErrorLoss,
    TokenLoss,
)
from nlpbook_data.training.models import (  # noqa: E402
    clamp_length,
    label_names,
    load_config,
    load_model,
    load_tokenizer,
    match_token_types,
)
from nlpbook_data.training.run import Run, launch  # noqa: E402
from nlpbook_data.training.trainer import make_trainer  # noqa: E402

__all__ = [
    "ClassificationLoss",
    "LanguageModelLoss",
    "DataArguments",
    "ModelArguments",
    "RecipeArguments",
    "Run",
    "SpanLoss",
    "SquaredErrorLoss",
    "TokenLoss",
    "clamp_length",
    "encode_splits",
    "label_names",
    "launch",
    "load_config",
    "load_model",
    "load_tokenizer",
    "make_trainer",
    "match_token_types",
    "parse",
    "text_lengths",
]
