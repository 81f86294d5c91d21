"""Run the Python of docs/tasks/*.md, and write what each block prints below it.

    python docs/batches.py           # write
    python docs/batches.py --check   # say which pages are not current; exit status 1

The blocks of a page run one after the other and share their names.
"""

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

PAGES = sorted((Path(__file__).resolve().parent / "tasks").glob("*.md"))
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)


def render(page: str) -> str:
    """Return a page with what its blocks print now."""
    names: dict[str, Any] = {}

    def run(block: re.Match[str]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(block[1], names)
        # no blanks before a line's end, which editors take away
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        shown = "\n```text\n" + "\n".join(lines) + "\n```\n" if lines else ""
        return f"```python\n{block[1]}```\n{shown}"

    return BLOCK.sub(run, page)


def main(check: bool) -> int:
    """Render all pages; return how many were not current."""
    old = 0
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        rendered = render(page)
        if rendered != page:
            old += 1
            if check:
                sys.stderr.write(f"{path.name} is not current: python docs/batches.py\n")
            else:
                path.write_text(rendered, encoding="utf-8")
    return old if check else 0


if __name__ == "__main__":
    sys.exit(min(main("--check" in sys.argv), 1))
