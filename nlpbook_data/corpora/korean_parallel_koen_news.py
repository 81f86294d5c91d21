"""Korean and English news, two files of a sentence a line (jungyeul/korean-parallel-corpora)."""

from nlpbook_data.corpora.declaration import Archive, Corpus, Split, korpora_urls, texts
from nlpbook_data.reading.text import beside, read_lines
from nlpbook_data.reading.values import Files, Rows

PARTS = {part: f"korean-english-park.{part}" for part in ("train", "dev", "test")}

CORPUS = Corpus(
    name="korean_parallel_koen_news",
    task="translation",
    title="한영 뉴스 병렬 말뭉치",
    features=texts("korean", "english"),
    splits={
        "validation" if part == "dev" else part: Split(
            f"{name}.ko and .en", files=(f"{name}.ko",), aligned=(f"{name}.en",)
        )
        for part, name in PARTS.items()
    },
    texts=("korean", "english"),
    license="CC-BY-NC-ND-3.0",
    homepage="https://github.com/jungyeul/korean-parallel-corpora",
    citation=(
        "Park, J., Hong, J.-P., & Cha, J.-W. (2016). Korean Language Resources for Everyone. "
        "PACLIC 30."
    ),
    urls=korpora_urls("korpus_korean_parallel.KOREAN_PARALLEL_KOEN_NEWS_FETCH_INFORMATION"),
    archives=tuple(
        Archive(files=(f"{name}.tar.gz",), members=(f"{name}.ko", f"{name}.en"))
        for name in PARTS.values()
    ),
    folder_name="korean_parallel",
)


def parse(files: Files) -> Rows:
    """Yield ``{"korean": str, "english": str}`` for each line of both files."""
    korean, english = files
    for _, sentence, translation in beside(read_lines(korean), english, korean):
        yield {"korean": sentence, "english": translation}
