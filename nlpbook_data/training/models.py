"""Blocks 3 and 4: load a recipe's tokenizer and model; random weights only on request."""

import importlib.util
import json
import logging
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from nlpbook_data.errors import InputError, first_line, shown
from nlpbook_data.features.paircls import separate_pairs
from nlpbook_data.training.arguments import SETTINGS, ModelArguments, resolve_package

logger = logging.getLogger(__name__)

LORA_TASKS = {
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForTokenClassification": "TOKEN_CLS",
    "AutoModelForQuestionAnswering": "QUESTION_ANS",
    "AutoModelForCausalLM": "CAUSAL_LM",
    "AutoModel": "FEATURE_EXTRACTION",
}
# The models that have each kind of head.
ARCHITECTURES = {
    "AutoModel": transformers.MODEL_MAPPING,
    "AutoModelForSequenceClassification": transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    "AutoModelForTokenClassification": transformers.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    "AutoModelForQuestionAnswering": transformers.MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    "AutoModelForCausalLM": transformers.MODEL_FOR_CAUSAL_LM_MAPPING,
    "AutoModelForMaskedLM": transformers.MODEL_FOR_MASKED_LM_MAPPING,
}
SUCH_AS = {"AutoModelForCausalLM": "GPT-2, Llama or Qwen"}
# RoBERTa and its relatives, which always have positions, number them from the padding id on.
FROM_PADDING = ("roberta", "camembert", "data2vec-text")
TOKENIZERS = (AutoTokenizer, PreTrainedTokenizerFast)
# Heads that are trained completely. For all-linear, peft itself leaves out the heads of other
# tasks.
LORA_HEADS = {"TOKEN_CLS": ["classifier", "score"], "QUESTION_ANS": ["qa_outputs"]}


def load_config(args: ModelArguments, labels: Sequence[str] | None = None, **overrides: Any) -> Any:
    """Return the model's config with `overrides` and, from scratch, ``--config_overrides``.

    Args:
        labels: the names of the labels, by id; None keeps the model's own.

    Raises:
        InputError: no model is named, it exists neither here nor on the Hub, or an override is
            unknown.
    """
    if labels is not None:
        overrides["id2label"] = dict(enumerate(labels))
        overrides["label2id"] = {label: number for number, label in enumerate(labels)}
    config = _load(AutoConfig, args.model_name_or_path, args, **overrides)
    # composed, as the data's
    config.id2label = {number: _compose(name) for number, name in config.id2label.items()}
    if config.label2id:
        config.label2id = {_compose(name): number for name, number in config.label2id.items()}
    if args.config_overrides:
        if not args.from_scratch:
            raise InputError(
                "--config_overrides changes the shape of a model and so needs "
                "--from_scratch true; pretrained weights fit only their own shape."
            )
        names = {part.partition("=")[0] for part in args.config_overrides.split(",")}
        if clash := sorted(names & {*overrides, "num_labels"}):
            raise InputError(
                f"--config_overrides {args.config_overrides}: {clash[0]} follows from the data and "
                "the recipe. Leave it out."
            )
        try:
            config.update_from_string(args.config_overrides)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"--config_overrides {args.config_overrides}: {error}. Write "
                "name=value,name=value with names of the model's config.json."
            ) from error
        if getattr(config, "layer_types", None):  # computed again for the new number of layers
            values = {k: v for k, v in config.to_dict().items() if k != "layer_types"}
            config = type(config).from_dict(values)
    return config


def label_names(args: ModelArguments, training: bool = False) -> list[str] | None:
    """Return the labels of a fine-tuned model, in the order of their ids.

    A model of scores has none. In training, None means that the model has no head yet.
    """
    config = None if training and args.from_scratch else load_config(args)
    if config is None or not _has_labels(config):
        if training:
            return None
        raise InputError(
            f"{args.model_name_or_path}: its config names no labels; it is not fine-tuned. Name "
            "the folder of a finished run."
        )
    scores = config.problem_type == "regression" or len(config.id2label) == 1
    return [] if scores else _names(config)


def saved_settings(config: Any) -> dict[str, Any]:
    """Return the recipe's settings in a model's config, saved by `Run.settle`."""
    saved = getattr(config, SETTINGS, None)
    return dict(saved) if isinstance(saved, dict) else {}  # another program's may be anything


def is_multi_label(args: ModelArguments) -> bool:
    """Return whether a fine-tuned model predicts any number of labels for a text."""
    return load_config(args).problem_type == "multi_label_classification"


def _has_labels(config: Any) -> bool:
    """Whether the config names labels; without names, transformers uses LABEL_0, LABEL_1."""
    heads = ("ForSequenceClassification", "ForTokenClassification")
    architectures = config.architectures or [""]
    return architectures[0].endswith(heads) or _names(config) != ["LABEL_0", "LABEL_1"]


def _compose(name: Any) -> Any:
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else name


def _names(config: Any) -> list[str]:
    names = [config.id2label[number] for number in sorted(config.id2label)]
    if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise InputError(
            f"{config.name_or_path}: its labels ({shown(names)}) are not all words, each once. "
            "Mend id2label in its config.json."
        )
    return names


def load_tokenizer(args: ModelArguments, pairs: bool = False) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the model, or of ``--tokenizer_name``.

    If a decoder's tokenizer has no padding token, it pads with its end of text. With
    ``--special_tokens`` the folder's tokenizer.json is loaded unchanged: transformers would turn
    KoGPT2's into a byte-level tokenizer, which cannot read Korean.

    Args:
        pairs: it is given two texts at a time, between which something must stand.

    Raises:
        InputError: it exists neither here nor on the Hub, has no vocabulary, or no Korean in it.
    """
    auto_class, special = AutoTokenizer, {}
    if args.special_tokens:
        auto_class = PreTrainedTokenizerFast
        special = dict(part.partition("=")[::2] for part in args.special_tokens.split(","))
        for name in special:
            if name not in PreTrainedTokenizerFast.SPECIAL_TOKENS_ATTRIBUTES:
                raise InputError(f"--special_tokens {args.special_tokens}: there is no {name}.")
    name = args.tokenizer_name or args.model_name_or_path
    tokenizer = _load(auto_class, name, args, **special)
    if len(tokenizer) < 10:  # without a file, transformers 5 makes an empty vocabulary
        raise InputError(
            f"{name}: no vocabulary. Name a folder with a tokenizer by --tokenizer_name."
        )
    if not tokenizer.tokenize("한국어"):
        raise InputError(
            f"{name}: the tokenizer makes nothing of Korean. Where tokenizer.json does not fit the "
            "model's type, pass --special_tokens eos_token=</s>,… to have it read as it is."
        )
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise InputError(
                f"{name}: its tokenizer has no token to pad with. Name one of its words: "
                "--special_tokens pad_token=[PAD]."
            )
        tokenizer.pad_token = tokenizer.eos_token
    # Cached rows depend on the tokenizer's content, not its path; and no path should be pushed.
    tokenizer.name_or_path = ""
    tokenizer.init_kwargs.pop("name_or_path", None)
    if pairs and (separator := separate_pairs(tokenizer)):
        logger.info("%s: its tokenizer put nothing between two texts; now %s.", name, separator)
    return tokenizer


def limit_length(max_length: int, config: Any, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return `max_length`, or the model's number of positions if it is smaller, which is logged.

    The tokenizer gets it as its own limit, so later users truncate as in training. If words were
    added to the model's own tokenizer, `config` gets the new vocabulary size, and `load_model` adds
    embeddings.

    Raises:
        InputError: no room for a text, or a tokenizer with more tokens than the model's own.
    """
    if max_length < 8:
        raise InputError(f"{max_length} tokens leave no room for a text. Use 8 or more.")
    words = max(tokenizer.get_vocab().values()) + 1
    if words > getattr(config, "vocab_size", words):
        if tokenizer.vocab_size > config.vocab_size:
            raise InputError(
                f"The tokenizer has {tokenizer.vocab_size:,} words, and the model embeds "
                f"{config.vocab_size:,}. Name the model's own tokenizer."
            )
        config.vocab_size = words
    positions = getattr(config, "max_position_embeddings", None) or max_length
    if any(name in config.model_type for name in FROM_PADDING):
        positions -= config.pad_token_id + 1
    limit = min(max_length, tokenizer.model_max_length, positions)
    if limit < max_length:
        logger.warning("%d tokens are more than the model takes: %d are used.", max_length, limit)
    tokenizer.model_max_length = limit
    return limit


def match_token_types(tokenizer: PreTrainedTokenizerBase, config: Any) -> bool:
    """Return whether the model distinguishes two texts by ``token_type_ids``.

    If not, the tokenizer no longer returns them: KLUE's RoBERTa has BERT's tokenizer, but
    embeddings for only one type.
    """
    if getattr(config, "type_vocab_size", 0) > 1:
        return "token_type_ids" in tokenizer.model_input_names
    names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names
    return False


def load_model(
    auto_class: Any, args: ModelArguments, config: Any, training: bool = True
) -> PreTrainedModel:
    """Return the model in float32: pretrained, or random with ``--from_scratch true``.

    With ``--quantization`` its weights are in 8 or 4 bits, if the hardware supports it.

    Args:
        auto_class: such as ``AutoModelForSequenceClassification``.
        config: from `load_config`, with label names.
        training: the task's head, and the pooler before it, may be new; otherwise the weights must
            have the head.

    Raises:
        InputError: weights are missing, broken or of another architecture; the model has no such
            head.
    """
    name = args.model_name_or_path
    if type(config) not in ARCHITECTURES[auto_class.__name__]:
        raise InputError(
            f"{name}: a model of the type {config.model_type} has no head for this task. Name "
            f"another, such as {SUCH_AS.get(auto_class.__name__, 'BERT, ELECTRA or RoBERTa')}."
        )
    extra = {"attn_implementation": args.attn_implementation} if args.attn_implementation else {}
    if args.quantization != "none":
        extra |= _quantize(args, training)
    if args.from_scratch:
        try:
            model = auto_class.from_config(config, trust_remote_code=False, **extra)
        except (ValueError, TypeError, RuntimeError, AssertionError) as error:
            raise InputError(f"{name}: {_first_line(error)} Mend the options.") from error
        logger.warning("%s starts from random weights (--from_scratch true).", name)
        return add_lora(model, args, auto_class)
    own, words = load_config(args), getattr(config, "vocab_size", None)
    if words:
        config.vocab_size = own.vocab_size
    folder = Path(resolve_package(name or ""))
    base = _adapted(folder)
    model, info = _load(
        auto_class,
        base or name,
        args,
        config=config,
        dtype="float32",
        use_safetensors=True,  # a .bin is a pickle
        ignore_mismatched_sizes=True,  # reported below
        output_loading_info=True,
        **extra,
    )
    body = "" if model.base_model is model else f"{model.base_model_prefix}."
    missing = sorted(info["missing_keys"])
    if base:
        model, loaded = _merge_adapters(model, folder)
        missing = [key for key in missing if key not in loaded]
    lost = [
        key for key in missing if not training or (key.startswith(body) and "pooler" not in key)
    ]
    sizes = {key[0] for key in info["mismatched_keys"]}
    mismatched = sorted(key for key in sizes if key.startswith(body))
    head = {key for key, _ in model.named_parameters() if not key.startswith(body)}
    trained = bool(head) and not head & {*missing}
    known, wanted = _names(own), _names(config)
    if trained and (sizes & head or (known != wanted and len(known) > 1)):
        if not training or not args.ignore_mismatched_sizes:
            raise InputError(
                f"{name}: its head ({min(head)}) has other labels ({shown(known)}) than the data "
                f"({shown(wanted)}). To train a new one pass --ignore_mismatched_sizes true."
            )
        logger.warning("%s: its head (%s) is replaced by a new one.", name, shown(known))
        fresh = auto_class.from_config(config, trust_remote_code=False).state_dict()
        model.load_state_dict({key: fresh[key] for key in head}, strict=False)
    elif trained and training and own.problem_type not in (None, config.problem_type):
        logger.warning(
            "%s: its head was trained for %s, and goes on for %s.",
            *(name, own.problem_type, config.problem_type),
        )
    if lost or mismatched:
        raise InputError(
            f"{name}: {len(lost) + len(mismatched)} weights of the model are not in its file, or "
            f"of another size, such as {(lost + mismatched)[0]}. It is "
            f"{'broken' if training else 'not fine-tuned'} or of another architecture: name "
            "another model."
        )
    broken = (key for key, value in model.named_parameters() if value.isnan().any())
    if spoiled := next(broken, None):
        raise InputError(f"{name}: its weight {spoiled} holds NaN. Name another model.")
    if missing and training:
        logger.info("New weights: %s.", ", ".join(missing))
    if words and words > own.vocab_size:
        added = f"{words - own.vocab_size:,} words were added to the tokenizer of {name}"
        if not training:
            raise InputError(f"{added}, and its weights do not hold them. Name its own tokenizer.")
        logger.warning("%s: they start near the mean of the others.", added)
        model.resize_token_embeddings(words)
    return add_lora(model, args, auto_class)


def _quantize(args: ModelArguments, training: bool) -> dict[str, Any]:
    quantization = args.quantization
    if not torch.cuda.is_available() or importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"--quantization {quantization} needs an NVIDIA GPU and the package bitsandbytes, "
            "which are not both here. Leave it out."
        )
    if args.from_scratch or (training and not args.lora):
        raise InputError(
            f"--quantization {quantization}: such weights are not trained themselves. Name a "
            "pretrained model, and pass --lora true."
        )
    config = BitsAndBytesConfig(
        load_in_8bit=quantization == "8bit",
        load_in_4bit=quantization == "4bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype="bfloat16",
    )
    return {"quantization_config": config, "device_map": {"": torch.cuda.current_device()}}


def add_lora(model: PreTrainedModel, args: ModelArguments, auto_class: Any) -> PreTrainedModel:
    """Return the model; with ``--lora true`` add adapters and freeze its weights."""
    if not args.lora:
        return model
    from peft import get_peft_model, prepare_model_for_kbit_training

    if getattr(model, "is_quantized", False):
        model = prepare_model_for_kbit_training(model)
    with named_lora_targets(args):
        return get_peft_model(model, lora_config(args, auto_class))


def lora_config(args: ModelArguments, auto_class: Any) -> Any:
    """Return peft's LoraConfig for the task of `auto_class`."""
    from peft import LoraConfig, TaskType

    task, targets = LORA_TASKS[auto_class.__name__], args.lora_target_modules
    return LoraConfig(
        task_type=TaskType[task],
        r=args.lora_r,
        lora_alpha=args.lora_alpha,
        lora_dropout=args.lora_dropout,
        target_modules=targets[0] if targets == ["all-linear"] else targets,
        exclude_modules=LORA_HEADS.get(task),
    )


@contextmanager
def named_lora_targets(args: ModelArguments) -> Iterator[None]:
    """Turn peft's error about missing layers into an InputError."""
    try:
        yield
    except ValueError as error:
        raise InputError(
            f"--lora_target_modules {' '.join(args.lora_target_modules)}: "
            f"{_first_line(error).split('. ')[0]}. Name layers of the model, or all-linear."
        ) from error


def merge_lora(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model with its adapters, if any, merged into its weights."""
    merge = getattr(model, "merge_and_unload", None)
    return merge() if merge else model


def merge_added(model: PreTrainedModel, auto_class: Any) -> PreTrainedModel:
    """Return the model of `auto_class` whose weights hold the adapters of ``add_adapter``, if any.

    They are put into the model that they belong to, loaded anew: the one at hand cannot lose them.
    """
    if not getattr(model, "peft_config", None):
        return model
    from peft import PeftModel

    with tempfile.TemporaryDirectory() as adapters:
        model.save_pretrained(adapters)
        options = {"config": model.config, "dtype": "float32", "use_safetensors": True}
        whole = _load(auto_class, model.name_or_path, ModelArguments(), **options)
        whole.config = model.config  # not a copy: the recipe writes into it
        merged: Any = PeftModel.from_pretrained(whole, adapters).merge_and_unload()
    return merged.to(model.device)


def save_trained(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    merge: bool = True,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Save model and tokenizer, without paths of this machine; adapters are merged, or saved alone.

    adapter_config.json names the base model of the adapters. With a config.json the folder would be
    read as a complete model.

    Args:
        weights: gathered from all processes, for a model that is spread over them.
    """
    model = merge_lora(model) if merge else model
    model.config.name_or_path = ""
    if settings := saved_settings(model.config):
        setattr(model.config, SETTINGS, settings | {"max_length": tokenizer.model_max_length})
    forget_batch(tokenizer)
    tokenizer.save_pretrained(folder)
    if hasattr(model, "get_base_model"):
        model.save_pretrained(folder, save_embedding_layers=False)
        base: Any = model.get_base_model()  # type: ignore[operator]  # PEFT's
        if base.can_generate():
            base.generation_config.save_pretrained(folder)
    else:
        model.save_pretrained(folder, state_dict=weights)


def forget_batch(tokenizer: PreTrainedTokenizerBase) -> None:
    """Reset the padding and truncation of the last batch, so that they are not saved.

    Otherwise saved files would depend on whether rows came from the cache.
    """
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        backend.no_padding()
        backend.no_truncation()


def _adapted(folder: Path) -> str | None:
    """Return the base model of the adapters in `folder`, None without adapters."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return None
    try:
        base = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        base = None
    if not isinstance(base, str):
        raise InputError(
            f"{path}: does not say which model it belongs to (base_model_name_or_path). Write it "
            "there, or name another folder."
        )
    return base


def _merge_adapters(model: PreTrainedModel, folder: Path) -> tuple[PreTrainedModel, set[str]]:
    """Return `model` with the adapters in `folder` merged, and the names of replaced weights."""
    from peft import PeftModel

    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        hint = _conversion(folder, "adapter_model") or "Save the adapters as safetensors."
        raise InputError(f"{path}: no such file. {hint}")
    try:
        adapted = PeftModel.from_pretrained(model, str(folder))
    except (ValueError, RuntimeError, OSError, AttributeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: the adapters do not fit their model ({_first_line(error)}). Name others, "
            "or the labels that they were trained with."
        ) from error
    heads = tuple(f"{name}." for name in adapted.modules_to_save or [])
    merged: Any = adapted.merge_and_unload()
    return merged.requires_grad_(), {k for k in merged.state_dict() if k.startswith(heads)}


def _load(auto_class: Any, name: str | None, args: ModelArguments, **options: Any) -> Any:
    if not name:
        raise InputError("Nothing names the model: pass --model_name_or_path, or a --config.")
    path = resolve_package(name)
    local = Path(path).is_dir()
    if path.startswith(("/", ".")) and not local:
        raise InputError(f"{name}: no such folder. Check the path.")
    lacks = not (Path(path) / "tokenizer_config.json").is_file()
    if auto_class is AutoConfig or (lacks and auto_class in TOKENIZERS):
        path = _adapted(Path(path)) or path
    previous = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # hide its table of new weights; we log a line
    try:
        return auto_class.from_pretrained(
            path, revision=args.model_revision, trust_remote_code=False, **options
        )
    except Exception as error:  # loading raises many unrelated types for a few faults
        if "trust_remote_code" in str(error):
            raise InputError(
                f"{name}: its own code would have to run, which it may not. Name a model whose "
                "architecture is one of transformers'."
            ) from error
        names = {AutoTokenizer: "tokenizer", AutoConfig: "configuration"}
        names[PreTrainedTokenizerFast] = "tokenizer"
        hint = (
            "It must be a folder, or a name on the Hub while there is a network (nlpbook-data "
            "prefetch fetches it beforehand)."
        )
        if local:
            hint = (
                "The folder must hold config.json, tokenizer.json and model.safetensors (a pickle "
                "is not read); random weights are for --from_scratch true alone."
            )
            hint = _conversion(Path(path), "pytorch_model") or hint
        raise InputError(
            f"{name}: the {names.get(auto_class, 'model')} could not be loaded "
            f"({_first_line(error).rstrip('.: ')}). {hint}"
        ) from error
    finally:
        transformers.logging.set_verbosity(previous)


def _conversion(folder: Path, name: str) -> str:
    """Return how to convert the pickle `name`.bin, or the parts of it; without them, ``""``."""
    found = [p for p in (f"{name}.bin", f"{name}-*.bin") if any(folder.glob(p))]
    if not found:
        return ""
    target = folder / f"{name.removeprefix('pytorch_')}.safetensors"
    return (
        'A pickle is not read; convert it by: python -c "import torch; from pathlib import Path; '
        "from safetensors.torch import save_file; save_file({k: v.clone().contiguous() "
        f"for part in Path('{folder}').glob('{found[0]}') "
        "for k, v in torch.load(part, weights_only=True).items()}, "
        f"'{target}', {{'format': 'pt'}})\""
    )


def _first_line(error: Exception) -> str:
    line = first_line(error)[:240]
    return line if line.endswith(".") else f"{line}."
