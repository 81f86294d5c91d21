"""What a model's texts begin with, such as e5's ``query: `` and ``passage: ``."""

from collections.abc import Mapping

PASSAGES = ("document", "passage", "corpus")


def own_prompts(prompts: Mapping[str, str | None]) -> dict[str, str]:
    """Return the prompts of a model's queries and documents, by the names that encoding looks for.

    sentence-transformers adds an empty ``document`` where a model has none, and then takes that in
    place of the model's own ``passage`` or ``corpus``.
    """
    found = next((prompts[name] for name in PASSAGES if prompts.get(name)), "")
    return {"query": prompts.get("query") or "", "document": found or ""}
