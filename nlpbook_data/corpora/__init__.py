"""One module a corpus: ``CORPUS``, its declaration, and ``parse(files)``, an iterator of rows.

The modules are the registry: a new file here is a new name for ``load_corpus``. What several of
them share stands in a module whose name begins with an underscore.
"""
