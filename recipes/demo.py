r"""A page in the browser to try the model of any finished run, or a search index.

    python recipes/demo.py outputs/doccls
and open http://127.0.0.1:7860. Its form follows the task: bars of probabilities, marked entities,
answers in their passage, sliders of generation; examples are rows of the run's test split. What
`nlpbook-data index` made gets a box to search in; a reranker puts what it finds in order:
    python recipes/demo.py my_index
    python recipes/demo.py my_index --rerank outputs/rerank
Only this machine reaches it, unless you pass --host, and it loads nothing from outside. Programs
are better served by recipes/serve.py.
"""

import argparse
import logging
import os

from nlpbook_data.errors import needing
from nlpbook_data.inference.command_line import check_positive, new_parser
from nlpbook_data.inference.service import CHARACTERS, open_port
from nlpbook_data.training.launch import run_program

logger = logging.getLogger("nlpbook_data.recipes.demo")


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = new_parser(__doc__)
    option = parser.add_argument
    option("model", help="the folder of a finished run or an index, or a name on the Hub")
    option("--host", default="127.0.0.1", help="0.0.0.0: every machine that reaches this one")
    option("--port", type=int, default=7860, help="0: any that is free")
    option("--rerank", metavar="MODEL", help="a model of recipes/rerank.py, for an index' hits")
    option("--max_characters", type=int, default=CHARACTERS, help="of a text")
    return parser.parse_args()


def main(options: argparse.Namespace) -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with needing("demo"):
        from nlpbook_data.inference.demo import build, launch
    check_positive(options, "max_characters")
    with open_port(options.host, options.port) as probe:
        port = probe.getsockname()[1]
    page = build(options.model, options.max_characters, options.rerank)
    launch(page, options.host, port, quiet=True, prevent_thread_lock=True)
    logger.info("%s: %s", page.title, page.local_url)
    page.block_thread()


if __name__ == "__main__":
    run_program(lambda: main(parse_arguments()))
