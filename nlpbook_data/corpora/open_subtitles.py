"""English and Korean film subtitles, aligned: a TMX file (OPUS OpenSubtitles v2018)."""

from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

import pyarrow as pa

from nlpbook_data.corpora.declaration import Archive, Corpus, carved, in_file, texts
from nlpbook_data.errors import InputError
from nlpbook_data.reading.values import FETCH_AGAIN, Files, malformed

BLOCK_BYTES = 1 << 20
LANGUAGE = "http://www.w3.org/XML/1998/namespace}lang"  # xml:lang
# Korpora's table has an older address, a redirect script of opus.nlpl.eu.
URL = "https://object.pouta.csc.fi/OPUS-OpenSubtitles/v2018/tmx/en-ko.tmx.gz"

CORPUS = Corpus(
    name="open_subtitles",
    task="translation",
    title="영화 자막 한영 병렬 말뭉치 (OpenSubtitles 2018)",
    features=texts("korean", "english"),
    splits={
        "train": in_file("en-ko.tmx"),
        "validation": carved(0.01),
        "test": carved(0.01),
    },
    texts=("korean", "english"),
    license="none stated",
    homepage="https://opus.nlpl.eu/OpenSubtitles/corpus/version/OpenSubtitles",
    citation=(
        "Lison, P. and Tiedemann, J. (2016). OpenSubtitles2016: Extracting Large Parallel Corpora "
        "from Movie and TV Subtitles. LREC 2016. Subtitles from http://www.opensubtitles.org/."
    ),
    urls=lambda: {"en-ko.tmx.gz": URL},
    archives=(Archive(files=("en-ko.tmx.gz",), members=("en-ko.tmx",)),),
    large=True,
)


def parse(files: Files) -> Iterator[pa.Table]:
    """Yield tables of ``korean`` and ``english``, one row a translation unit (``<tu>``)."""
    for path in files:
        yield from _Units(path).tables()


class _Units:
    """The translation units of a TMX file, read by expat: no tree, no DTD, so no XML entities."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, list[str]] = {"ko": [], "en": []}
        self.empty = True  # no element seen yet
        self.unit: dict[str, str] | None = None  # of the <tu> that is open
        self.language: str | None = None  # of the <tuv>
        self.text: list[str] | None = None  # of the <seg>
        self.parser = expat.ParserCreate("UTF-8", "}")  # as XML is read, with name spaces
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse

    def tables(self) -> Iterator[pa.Table]:
        try:
            with self.path.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    self.parser.Parse(block, False)
                    yield self._table()
            self.parser.Parse(b"", True)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            place = f"{self.path}, line {error.lineno}"
            raise InputError(f"{place}: not XML ({said}). {FETCH_AGAIN}") from error
        yield self._table()

    def _table(self) -> pa.Table:
        korean, english = (pa.array(self.rows[lang], pa.string()) for lang in ("ko", "en"))
        self.rows = {"ko": [], "en": []}
        return pa.table({"korean": korean, "english": english})

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.empty and name != "tmx":
            raise malformed(self._place(), f"<{name}>", "<tmx>")
        self.empty = False
        if self.text is not None:
            raise malformed(self._place(), f"<{name}>", "the text of a <seg>")
        if name == "tu":
            if self.unit is not None:
                raise malformed(self._place(), "<tu>", "</tu>")
            self.unit = {}
        elif name == "tuv":
            self.language = attributes.get(LANGUAGE)
        elif name == "seg":
            if self.unit is None or self.language not in self.rows or self.language in self.unit:
                raise malformed(
                    self._place(),
                    f"<seg> of {self.language!r}",
                    "a <tu> with one <seg> in 'en' and one in 'ko'",
                )
            self.text = []
            self.parser.CharacterDataHandler = self.text.append

    def _end(self, name: str) -> None:
        if name == "seg":
            # `_start` and expat guarantee that a <seg> that ends was open inside the open <tu>.
            assert self.unit is not None and self.language is not None and self.text is not None
            self.unit[self.language] = "".join(self.text)
            self.text = None
            self.parser.CharacterDataHandler = None
        elif name == "tuv":
            self.language = None
        elif name == "tu":
            assert self.unit is not None
            if len(self.unit) != len(self.rows):
                found = ", ".join(self.unit) or "no <seg>"
                raise malformed(self._place(), found, "a <tu> with 'en' and 'ko'")
            for language, text in self.unit.items():
                self.rows[language].append(text)
            self.unit = None

    def _refuse(self, *_: object) -> None:
        raise malformed(self._place(), "<!DOCTYPE", "a TMX file without one")

    def _place(self) -> str:
        return f"{self.path}, line {self.parser.CurrentLineNumber}"
