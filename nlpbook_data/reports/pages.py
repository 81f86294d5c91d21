"""Render the templates of this folder: HTML pages, and the summary of a run.

A page has no script and loads nothing. All text in it is escaped.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(template_name: str, **values: Any) -> str:
    """Render a template of this folder with `values`; a missing one is an error.

    Pages extend ``base.html``: its blocks are ``style`` and ``body``, and ``title`` is one of the
    values. The text can be encoded as UTF-8: half a surrogate pair becomes ``?``.
    """
    environment = Environment(
        loader=PackageLoader("nlpbook_data.reports"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template(template_name).render(values)
    return page.encode("utf-8", "replace").decode()
