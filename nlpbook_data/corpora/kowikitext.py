"""Korean Wikipedia of 2020-09-20 in wikitext form (lovit/kowikitext)."""

from nlpbook_data.corpora import _wikitext

CORPUS = _wikitext.declare(
    "kowikitext",
    "한국어 위키백과 텍스트",
    "kowikitext_20200920",
    license="CC-BY-SA-3.0",
    citation="Kim, H. (2020). kowikitext: Korean Wikipedia dump in wikitext form.",
    table="korpus_kowiki.KOWIKI_FETCH_INFORMATION",
)
parse = _wikitext.parse
