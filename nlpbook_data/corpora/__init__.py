"""One module a corpus: ``CORPUS``, its declaration, and ``parse(files)``, an iterator of rows.

The modules are the registry: a new file here is a new name for ``load_corpus``. Modules whose names
begin with an underscore hold code that several corpora share.
"""
