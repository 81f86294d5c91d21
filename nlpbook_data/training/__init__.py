"""Code that the recipes share: arguments, order of rows, loss, trainer and the record of a run."""

import os

# By default OpenMP's threads spin while they wait, which makes torch several times slower if other
# processes use the cores. torch reads the variable at its import, so it is set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from nlpbook_data.training.arguments import (  # noqa: E402
    AnswerArguments,
    DataArguments,
    ModelArguments,
    RecipeArguments,
)
from nlpbook_data.training.features import text_lengths, versioned  # noqa: E402
from nlpbook_data.training.frozen import predict_frozen  # noqa: E402
from nlpbook_data.training.launch import launch  # noqa: E402
from nlpbook_data.training.loss import (  # noqa: E402
    ClassificationLoss,
    LanguageModelLoss,
    SpanLoss,
    SquaredErrorLoss,
    TokenLoss,
)
from nlpbook_data.training.models import (  # noqa: E402
    is_multi_label,
    label_names,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    match_token_types,
)
from nlpbook_data.training.run import Run  # noqa: E402
from nlpbook_data.training.trainer import RecipeTrainer, label_ids, padding  # noqa: E402

__all__ = [
    "ClassificationLoss",
    "AnswerArguments",
    "DataArguments",
    "LanguageModelLoss",
    "ModelArguments",
    "RecipeArguments",
    "RecipeTrainer",
    "Run",
    "SpanLoss",
    "SquaredErrorLoss",
    "TokenLoss",
    "is_multi_label",
    "label_ids",
    "label_names",
    "launch",
    "limit_length",
    "load_config",
    "load_model",
    "load_tokenizer",
    "match_token_types",
    "padding",
    "predict_frozen",
    "text_lengths",
    "versioned",
]
