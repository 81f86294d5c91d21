"""Folders of models and of finished runs, made without training: random weights, predictions."""

from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from writing import write_rows

from nlpbook_data.search.index import SearchIndex
from nlpbook_data.training.arguments import resolve_package

HEADS = {
    "doccls": "SequenceClassification",
    "paircls": "SequenceClassification",
    "ner": "TokenClassification",
    "qa": "QuestionAnswering",
    "generation": "CausalLM",
}
LABELS = {
    "doccls": ["부정", "긍정"],
    "paircls": ["함의", "중립", "모순"],
    "ner": ["O", "B-인물", "I-인물"],
}
ROWS: dict[str, dict[str, Any]] = {
    "doccls": {"text": "배송이 빨라요"},
    "paircls": {"premise": "비가 온다", "hypothesis": "날이 맑다"},
    "ner": {"text": "세종대왕은 한양에 살았다."},
    "qa": {"context": "훈민정음은 세종대왕이 만든 글자이다.", "question": "누가 만들었나?"},
    "generation": {"prompt": "긍정"},
    "search": {"query": "한강은 어디에 있나?"},
}
PASSAGES = ["한강은 서울을 지난다.", "<img src=x onerror=alert(1)>", "${alert(1)} {{query}}"]


def pretrained(
    folder: Path, family: str = "Bert", auto: str = "AutoModel", **settings: Any
) -> Path:
    """Return a folder of a small model; `auto` is the class that loads it."""
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        resolve_package("package:models/tiny_encoder")
    )
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes["intermediate_size"] = 64
    if family == "GPT2":  # decoders have no padding token
        backend = tokenizer.backend_tokenizer
        special = {"eos_token": "[SEP]", "unk_token": "[UNK]"}
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special)
        sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2}
    tokenizer.save_pretrained(folder)
    make_config = getattr(transformers, f"{family}Config")
    settings = {"pad_token_id": tokenizer.pad_token_id} | settings
    config = make_config(vocab_size=len(tokenizer), **sizes | settings)
    getattr(transformers, auto).from_config(config).save_pretrained(folder)
    return folder


def spoil(folder: Path) -> Path:
    """Make all weights of a folder infinite, so that the model predicts NaN; return the folder."""
    weights = load_file(folder / "model.safetensors")
    full = {name: torch.full_like(values, torch.inf) for name, values in weights.items()}
    save_file(full, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def save_run(folder: Path, task: str, **settings: Any) -> Path:
    """Return the folder of a run of `task`, or of an index of `PASSAGES` for search."""
    torch.manual_seed(7)
    name = "decoder" if task == "generation" else "tiny_encoder"
    source = resolve_package(f"package:models/{name}")
    config = transformers.AutoConfig.from_pretrained(source)
    if task != "generation":
        config.update({"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64})
    if labels := LABELS.get(task):
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
    config.update({"recipe_settings": {"task": task, "columns": [*ROWS[task]], **settings}})
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    auto = getattr(transformers, f"AutoModelFor{HEADS[task]}" if task in HEADS else "AutoModel")
    auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_rows(folder / "predictions.jsonl", [ROWS[task] | {"prediction": None}])
    if task != "search":
        return folder
    encoder = modules.Transformer(str(folder))
    pooling = modules.Pooling(encoder.get_embedding_dimension())
    made = folder / "model"
    SentenceTransformer(modules=[encoder, pooling], device="cpu").save(str(made))
    (folder / "predictions.jsonl").rename(made / "predictions.jsonl")
    SearchIndex.build(folder / "index", PASSAGES, str(made))
    return folder / "index"
