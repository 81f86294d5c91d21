"""The licences of the corpora: their names, their addresses and what they allow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class License:
    """A licence and what it allows.

    Attributes:
        title: its full name.
        url: the address of its text.
        commercial: whether it allows commercial use.
        convertible: whether it allows giving a converted copy to others, as a push does.
        tag: the Hub's name for it; ``other`` if the Hub has none.
    """

    title: str
    url: str
    commercial: bool = False
    convertible: bool = False
    tag: str = "other"


_TERMS = {"by": "Attribution", "nc": "NonCommercial", "nd": "NoDerivs", "sa": "ShareAlike"}


def _creative_commons(terms: str, version: str, country: str = "") -> License:
    """Return a licence by its terms; of "nd" the official files may be shared, no converted copy.

    The Hub has no name for a licence of one country.
    """
    words = "-".join(_TERMS[term] for term in terms.split("-"))
    return License(
        f"Creative Commons {words} {version}{' Korea' if country else ''}",
        f"https://creativecommons.org/licenses/{terms}/{version}/{country}",
        commercial="nc" not in terms,
        convertible="nd" not in terms,
        tag="other" if country else f"cc-{terms}-{version}",
    )


# By the short name in declarations, run.json and cards: SPDX's name if there is one.
LICENSES = {
    "CC0-1.0": License(
        "Creative Commons Zero 1.0",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        commercial=True,
        convertible=True,
        tag="cc0-1.0",
    ),
    "MIT": License("MIT License", "https://opensource.org/license/mit", True, True, "mit"),
    "CC-BY-SA-3.0": _creative_commons("by-sa", "3.0"),
    "CC-BY-SA-4.0": _creative_commons("by-sa", "4.0"),
    "CC-BY-ND-2.0-KR": _creative_commons("by-nd", "2.0", "kr/"),
    "CC-BY-NC-ND-3.0": _creative_commons("by-nc-nd", "3.0"),
    "CC-BY-NC-SA-2.0-KR": _creative_commons("by-nc-sa", "2.0", "kr/"),
    "MIT, non-commercial": License(
        "비상업적 용도에 한해 MIT (MIT for non-commercial use only)",
        "https://github.com/kmounlp/NER",
        convertible=True,
    ),
    "research only": License(
        "연구와 리더보드 학습에만, 상업적 이용 불가 (research and leaderboard only)",
        "https://github.com/naver/nlp-challenge/tree/master/missions/ner",
    ),
    "AI Hub terms": License(
        "AI Hub terms of use (by application)", "https://aihub.or.kr/intrcn/guid/usagepolicy.do"
    ),
    "NIKL terms": License("NIKL terms of use (by application)", "https://kli.korean.go.kr/corpus"),
    "none stated": License(
        "none stated; a link to http://www.opensubtitles.org/ is asked for",
        "https://opus.nlpl.eu/OpenSubtitles/corpus/version/OpenSubtitles",
    ),
}


def find_license(name: str | None) -> License:
    """Return the licence called `name`; an unknown licence allows nothing."""
    return LICENSES.get(name or "", License(name or "not known", ""))
