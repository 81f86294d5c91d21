r"""A JSON server for the model of any finished run, or for a search index.

    python recipes/serve.py outputs/doccls
    curl http://127.0.0.1:8000/predict -H 'Content-Type: application/json' \
        -d '{"text": "배송이 빠르고 마음에 들어요"}'
A list of rows gets a list of answers. http://127.0.0.1:8000/ shows the task's columns and options,
/openapi.json describes them, /health says whether it runs. What `nlpbook-data index` made,
and what it finds in the order of a reranker:
    python recipes/serve.py my_index
    python recipes/serve.py my_index --rerank outputs/rerank
It answers one request at a time. Of many users, a decoder is better served by vLLM, and a BERT or
RoBERTa of doccls (one label a text), search or rerank by text-embeddings-inference (TEI): their
cards have the command.
"""

import argparse
import logging

from nlpbook_data.errors import needing
from nlpbook_data.inference.command_line import check_positive, new_parser
from nlpbook_data.inference.service import CHARACTERS, load_service, open_port
from nlpbook_data.training.launch import run_program

logger = logging.getLogger("nlpbook_data.recipes.serve")

PATIENCE = 5  # seconds for requests that are still being sent when the server is stopped


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = new_parser(__doc__)
    option = parser.add_argument
    option("model", help="the folder of a finished run or an index, or a name on the Hub")
    option("--host", default="127.0.0.1", help="0.0.0.0: every machine that reaches this one")
    option("--port", type=int, default=8000, help="0: any that is free")
    option("--rerank", metavar="MODEL", help="a model of recipes/rerank.py, for an index' hits")
    option("--max_rows", type=int, default=64, help="of a request")
    option("--max_characters", type=int, default=CHARACTERS, help="of a text")
    return parser.parse_args()


def main(options: argparse.Namespace) -> None:
    with needing("demo"):
        import uvicorn

        from nlpbook_data.inference.server import create_app
    check_positive(options, "max_rows", "max_characters")
    bound = open_port(options.host, options.port)
    service = load_service(options.model, options.rerank)
    app = create_app(service, options.max_rows, options.max_characters)
    host, port = bound.getsockname()[:2]
    logger.info("%s (%s): http://%s:%d/", service.name, service.task, host, port)
    config = uvicorn.Config(
        app, log_level="warning", server_header=False, timeout_graceful_shutdown=PATIENCE
    )
    uvicorn.Server(config).run([bound])


if __name__ == "__main__":
    run_program(lambda: main(parse_arguments()))
