"""Namuwiki of 2020-03-02 in wikitext form (lovit/namuwikitext)."""

from nlpbook_data.corpora import _wikitext

CORPUS = _wikitext.declare(
    "namuwikitext",
    "나무위키 텍스트",
    "namuwikitext_20200302",
    license="CC-BY-NC-SA-2.0-KR",
    citation="Kim, H. (2020). namuwikitext: Namuwiki dump in wikitext form.",
    table="korpus_namuwiki.NAMUWIKI_FETCH_INFORMATION",
)
parse = _wikitext.parse
