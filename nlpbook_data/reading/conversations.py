"""Convert conversations and instructions for chat models to prompts and completions."""

from collections.abc import Iterator, Mapping
from typing import Any

from nlpbook_data.reading.values import malformed

ASSISTANT = {"assistant", "gpt", "chatgpt", "model", "bot"}
PARTS = {"system", "instruction", "input", "context", "output", "response"}
INSTRUCTIONS = (("instruction", "output"), ("instruction", "response"))


def turns_of(row: Mapping[str, Any]) -> list[Any]:
    """Return the turns of OpenAI's ``messages`` or ShareGPT's ``conversations``, if any."""
    for name in ("messages", "conversations", "conversation"):
        value = row.get(name)
        if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
            return value
    return []


def is_instruction(row: Mapping[str, Any]) -> bool:
    """Whether `row` is Alpaca's or Dolly's: instruction, perhaps input or context, and output."""
    return any(first in row and other in row for first, other in INSTRUCTIONS)


def read_instruction(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return prompt and completion; each part of the prompt ends in a line break."""
    names = next(names for names in INSTRUCTIONS if names[1] in row)
    parts = [row.get("system"), row[names[0]], row.get("input"), row.get("context")]
    prompt = "\n".join(part for part in parts if isinstance(part, str) and part.strip())
    return {"prompt": f"{prompt}\n" if prompt else None, "completion": row[names[1]]}


def read_conversation(place: str, row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a prompt and a completion for each turn of the assistant.

    The prompt is all turns before, one on each line; the completion is the assistant's turn.
    """
    system = row.get("system")
    before = [system] if isinstance(system, str) and system.strip() else []
    for number, turn in enumerate(turns_of(row), start=1):
        who, said = _turn(f"{place}, turn {number}", turn)
        if who in ASSISTANT and said.strip() and before:
            yield {"prompt": "\n".join(before) + "\n", "completion": said}
        if said.strip():
            before.append(said)


def _turn(place: str, turn: Mapping[str, Any]) -> tuple[str, str]:
    who = turn.get("role", turn.get("from"))
    said = turn.get("content", turn.get("value"))
    if isinstance(said, list):  # a list of parts, some may be pictures
        said = "\n".join(str(p["text"]) for p in said if isinstance(p, dict) and "text" in p)
    if not isinstance(who, str) or not isinstance(said, str | None):
        expected = "a turn with role and content, or from and value,"
        raise malformed(place, dict(turn), expected, "Mend or drop the row.")
    return who.lower(), said or ""
