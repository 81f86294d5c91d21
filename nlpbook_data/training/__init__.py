"""Code that the recipes share: arguments, order of rows, loss, trainer and the record of a run."""

import os

# By default OpenMP's threads spin while they wait, which makes torch several times slower if other
# processes use the cores. torch reads the variable at its import, so it is set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from nlpbook_data.training.arguments import (
    AnswerArguments,
    DataArguments,
    ModelArguments,
    RecipeArguments,
    option,
)
from nlpbook_data.training.features import text_lengths, versioned
from nlpbook_data.training.frozen import predict_frozen
from nlpbook_data.training.launch import launch
from nlpbook_data.training.loss import (
    ClassificationLoss,
    LanguageModelLoss,
    SpanLoss,
    SquaredErrorLoss,
    TokenLoss,
)
from nlpbook_data.training.models import (
    is_multi_label,
    label_names,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    match_token_types,
)
from nlpbook_data.training.run import Run
from nlpbook_data.training.trainer import RecipeTrainer, label_ids, padding
