"""The prompts before a model's texts, such as e5's ``query: `` and ``passage: ``."""

from collections.abc import Mapping

PASSAGES = ("document", "passage", "corpus")


def own_prompts(prompts: Mapping[str, str | None]) -> dict[str, str]:
    """Return the prompts of queries and documents, under the names that encoding expects.

    If a model has no ``document`` prompt, sentence-transformers adds an empty one and uses it
    instead of the model's own ``passage`` or ``corpus``.
    """
    found = next((prompts[name] for name in PASSAGES if prompts.get(name)), "")
    return {"query": prompts.get("query") or "", "document": found or ""}
