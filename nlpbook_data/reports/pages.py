"""What the templates beside this file make: HTML pages, and the summary of a run.

A page has no script and loads nothing, and all text in it is escaped.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(template_name: str, **values: Any) -> str:
    """Return what a template makes of `values`; in HTML each value is escaped.

    Args:
        template_name: a file in ``nlpbook_data/reports/templates``. Those in HTML extend
            ``base.html``: its blocks are ``style`` and ``body``, and ``title`` is one of the
            values.
        values: what the template names; one that it names and does not get is an error.

    Returns:
        Text that can be written as UTF-8: half a surrogate pair, which no UTF-8 holds, is a ``?``.
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
