"""The order of the house: no circle of imports, no state in modules, only public doors."""

import ast
import functools
import inspect
import re
from collections.abc import Iterator

from conftest import RECIPES, REPOSITORY
from sentence_transformers import SentenceTransformerTrainer
from transformers import Trainer

PACKAGE = REPOSITORY / "nlpbook_data"
MODULES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
SOURCES = [*MODULES.values(), *sorted(RECIPES.glob("*.py"))]
# Methods that change a list, a dict or a set.
MUTATIONS = {
    *("append", "extend", "insert", "remove", "pop", "popitem", "clear", "sort", "reverse"),
    *("add", "discard", "update", "setdefault"),
}
LIBRARY_OBJECTS = "trainer|args|model|config|tokenizer|dataset|accelerator|evaluator|state"
# evaluate documents _info and _compute as what a metric overrides
PRIVATE = re.compile(rf"\b({LIBRARY_OBJECTS})\._[a-z]\w*|super\(\)\._(?!info|compute)[a-z]\w*")


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports_of(module: str) -> Iterator[str]:
    """Yield the modules of the package that `module` imports, functions' own imports included.

    A package of which a module is imported is no import of the package's own names.
    """
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from (found for found in (name, node.module) if found in MODULES)
                if name in MODULES:
                    break


def test_no_import_goes_in_a_circle():
    graph = {module: sorted({*imports_of(module)} - {module}) for module in MODULES}
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in graph[module]:
                walk(other, (*path, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())


def test_downloads_know_declarations_and_not_the_loader():
    found, ahead = set(), ["nlpbook_data.fetch.corpus_files"]
    while ahead:
        module = ahead.pop()
        found.add(module)
        ahead += {*imports_of(module)} - found
    assert "nlpbook_data.corpora.declaration" in found
    assert "nlpbook_data.data.corpus" not in found


def test_no_module_changes_state_of_its_own():
    for module in MODULES:
        refuse_own_state(module)


def refuse_own_state(module: str) -> None:
    tree = tree_of(module)
    targets = [
        target
        for node in tree.body
        for target in getattr(node, "targets", [getattr(node, "target", None)])
    ]
    names = {target.id for target in targets if isinstance(target, ast.Name)}

    def is_own(node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in names

    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        local = {argument.arg for argument in ast.walk(function.args) if hasattr(argument, "arg")}
        local |= {
            node.id
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        for node in ast.walk(function):
            where = f"{MODULES[module]}, line {getattr(node, 'lineno', 0)}"
            assert not isinstance(node, ast.Global), f"{where}: a global"
            changed = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                changed = node.func.value if node.func.attr in MUTATIONS else None
            elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(
                node.ctx, ast.Store | ast.Del
            ):
                changed = node.value
            if changed is not None and is_own(changed) and changed.id not in local:
                raise AssertionError(f"{where}: {changed.id} of the module is changed")


def test_only_public_attributes_of_libraries_are_used():
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found = PRIVATE.search(line)
            assert not found, f"{path}, line {number}: {found[0]}"


def test_trainers_override_public_methods_alone():
    private = {
        name
        for library in (Trainer, SentenceTransformerTrainer)
        for name, member in inspect.getmembers(library, inspect.isroutine)
        if name.startswith("_") and not name.startswith("__")
    }
    for path in (path for path in SOURCES if "Trainer)" in path.read_text(encoding="utf-8")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and "Trainer" in " ".join(
                map(ast.unparse, node.bases)
            ):
                methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
                assert not methods & private, f"{path}: {node.name} overrides private methods"
