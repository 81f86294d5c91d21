"""Small models that ship, an encoder and a decoder: config and tokenizer, no weights."""
