"""Check values from files: keys, types, labels, valid characters."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from nlpbook_data.errors import InputError, nearest, shown

Files = list[Path]  # of one split, in the order in which a corpus declares them
Rows = Iterator[dict[str, Any]]
PlacedRows = Iterator[tuple[str, dict[str, Any]]]  # each with its file and line, for messages
# Gets the error of a row. If it returns, the row is left out.
OnError = Callable[[InputError], None]
T = TypeVar("T")
U = TypeVar("U")
FETCH_AGAIN = "Fetch the file again."
# What Unicode lets displays ignore, such as zero-width spaces, fillers of Hangul and BOM.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)


def raise_error(error: InputError) -> None:
    """Raise `error`: the readers' default for a bad row."""
    raise error


def convert_each(
    items: Iterable[tuple[str, T]], convert: Callable[[str, T], U], on_error: OnError
) -> Iterator[tuple[str, U]]:
    """Yield ``(place, convert(place, item))``; `on_error` gets the error of an item left out."""
    for place, item in items:
        try:
            converted = convert(place, item)
        except InputError as error:
            on_error(error)
        else:
            yield place, converted


def plain_name(name: object) -> str:
    """Return the name of a column in NFC and lower case, without blanks around it or invisibles."""
    visible = INVISIBLE.sub("", str(name))
    return " ".join(unicodedata.normalize("NFC", visible).casefold().split())


def find_name(name: str, there: Collection[str]) -> str:
    """Return `name` or the only one of `there` that equals it except for case, blanks and NFC."""
    alike = [other for other in there if plain_name(other) == plain_name(name)]
    return alike[0] if name not in there and len(alike) == 1 else name


def malformed(place: str, found: object, expected: str, advice: str = FETCH_AGAIN) -> InputError:
    """Return the error for the value `found` (shown with up to 60 characters) at `place`."""
    found = found if isinstance(found, str) else repr(found)
    return InputError(f"{place}: found {found[:60]!r} where {expected} belongs. {advice}")


def member(
    place: str,
    value: Any,
    key: str,
    kind: type | tuple[type, ...],
    advice: str = FETCH_AGAIN,
) -> Any:
    """Return ``value[key]`` of a JSON object; it must exist and be of type `kind`.

    A bool is not a number. A text must not contain half of a surrogate pair, which JSON allows.
    """
    if not isinstance(value, dict):
        raise malformed(place, value, "an object {…}", advice)
    need_keys(place, value, (key,), advice)
    found, kinds = value[key], kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise malformed(f"{place}, {key}", found, f"a value of type {names}", advice)
    return whole(f"{place}, {key}", found, advice) if isinstance(found, str) else found


def need_keys(place: str, value: dict[str, Any], keys: Iterable[str], advice: str) -> None:
    """Refuse an object without one of `keys`."""
    for key in keys:
        if key not in value:
            near = nearest(key, map(str, value))
            raise InputError(f"{place}: there is no {key!r}; it has {shown(value)}.{near} {advice}")


def read_texts(place: str, value: Any, *keys: str) -> dict[str, str]:
    """Return the texts under `keys` of a JSON object."""
    return {key: member(place, value, key, str) for key in keys}


def read_notes(place: str, value: dict[str, Any], *keys: str) -> dict[str, str | None]:
    """Return the texts under `keys` of a JSON object; None where one is missing or null."""
    known = dict.fromkeys(keys) | value
    return {key: member(place, known, key, (str, type(None))) for key in keys}


def whole(place: str, text: str, advice: str = FETCH_AGAIN) -> str:
    r"""Return `text`; refuse a lone surrogate, such as the JSON \ud83d of an emoji cut in two."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise InputError(f"{place}: found {half}, half of a character. {advice}") from error
    return text


def read_label(place: str, value: object, ids: dict[str, int]) -> int:
    """Return the id of the official label `value`, one of the keys of `ids`."""
    if not isinstance(value, str) or value not in ids:
        known = [*ids][:12] + ["…"] * (len(ids) > 12)
        raise malformed(place, value, f"one of the labels {', '.join(known)}")
    return ids[value]
