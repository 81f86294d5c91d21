"""A small encoder that ships: its config and a tokenizer trained on what ships, no weights."""
