"""What every task asks of a tokenizer: character positions, and what it puts around texts."""

from transformers import BatchEncoding, PreTrainedTokenizerBase

from nlpbook_data.errors import InputError


def check_fast(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer without character positions."""
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} is not a fast tokenizer, and only they tell which "
            "characters a token stands for. Choose a model with a tokenizer.json."
        )


def tokenize(
    texts: list[str], tokenizer: PreTrainedTokenizerBase, offsets: bool = True
) -> BatchEncoding:
    """Return the ids of whole texts without special tokens, and with `offsets` their places."""
    if not texts:
        return BatchEncoding({"input_ids": [], "offset_mapping": []})
    return tokenizer(
        texts,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=offsets,
        verbose=False,  # texts may be too long for the model: they are cut later
    )


def ids_around(
    tokenizer: PreTrainedTokenizerBase, *texts: str
) -> tuple[list[int], list[int]] | None:
    """Return the ids that are put before and after `texts`; None if some stand between them."""
    ids = tokenizer(*texts)["input_ids"]
    plain = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    part = [number for row in plain for number in row]
    for at in range(len(ids) - len(part) + 1):
        if ids[at : at + len(part)] == part:
            return ids[:at], ids[at + len(part) :]
    return None
