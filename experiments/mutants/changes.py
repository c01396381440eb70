"""Every small change of a module that its tests should notice.

A change replaces one node of the module's syntax tree. Left alone are annotations, decorators,
docstrings, ``strict=`` of zip, and the texts of errors that are raised: their codes are changed.
A sentence elsewhere vanishes; how it is worded is for a reader to judge.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_OPPOSITES = {"min": "max", "any": "all", "argmin": "argmax"}
_OPPOSITES |= {opposite: name for name, opposite in _OPPOSITES.items()}
_OPPOSITES_OF_NUMPY = {"np.minimum": "maximum", "np.maximum": "minimum"}

#: Characters of a statement that is shown whole.
LONGEST = 160

#: Fields of syntax nodes that no test can or need tell apart.
_LEFT_ALONE = {"annotation", "returns", "decorator_list", "bases", "ctx", "format_spec"}


@dataclass
class Change:
    """One node replaced by another.

    function: the name of the function or class it lies in, "" at the level of the module.
    before, after: the statement, or the head of a compound one, without and with the change.
    """

    holder: ast.AST
    field: str
    index: int | None
    replacement: ast.AST
    line: int
    function: str
    before: str = ""
    after: str = ""

    def apply(self) -> ast.AST:
        """Put the replacement in its place and return what was there."""
        if self.index is None:
            original = getattr(self.holder, self.field)
            setattr(self.holder, self.field, self.replacement)
        else:
            nodes = getattr(self.holder, self.field)
            original, nodes[self.index] = nodes[self.index], self.replacement
        ast.fix_missing_locations(self.holder)
        return original


def changes_of(tree: ast.Module) -> list[Change]:
    """All changes of a module, in the order of its source, each once."""
    changes = _walk(tree, context=tree, function="", in_raise=False)
    return list({(c.line, c.function, c.before, c.after): c for c in changes}.values())


def _walk(node: ast.AST, *, context: ast.AST, function: str, in_raise: bool) -> Iterator[Change]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        function = f"{function}.{node.name}" if function else node.name
    in_raise = in_raise or isinstance(node, ast.Raise)
    for field, value in ast.iter_fields(node):
        if field in _LEFT_ALONE or (isinstance(node, ast.keyword) and node.arg == "strict"):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _is_left_alone(child):
                continue
            if isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant):
                continue  # the text is replaced as a whole
            near = child if _is_context(node, child) else context
            replacements = [*_replacements(child, in_raise=in_raise)]
            if field in ("test", "ifs") and not isinstance(node, ast.IfExp):
                replacements += _negated(child)
            for replacement in replacements:
                change = Change(
                    node,
                    field,
                    index if isinstance(value, list) else None,
                    ast.copy_location(replacement, child),
                    getattr(child, "lineno", 0),
                    function,
                )
                _describe(change, near, child)
                yield change
            yield from _walk(child, context=near, function=function, in_raise=in_raise)


def _is_context(node: ast.AST, child: ast.AST) -> bool:
    """Whether a change within ``child`` is best shown by ``child``: a statement or its head."""
    compound = isinstance(child, ast.stmt) and hasattr(child, "body")
    if isinstance(child, ast.stmt):
        return not compound
    return isinstance(node, ast.stmt) and hasattr(node, "body")


def _describe(change: Change, context: ast.AST, child: ast.AST) -> None:
    change.before = ast.unparse(context)
    if len(change.before) > LONGEST:  # a table, say: the changed part of it is enough
        change.before, change.after = ast.unparse(child), ast.unparse(change.replacement)
        return
    original = change.apply()
    change.after = ast.unparse(change.replacement if context is child else context)
    replacement, change.replacement = change.replacement, original
    change.apply()
    change.replacement = replacement


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return True
    # A type: ``X | None``, ``Literal["a", "b"]``.
    if isinstance(node, ast.BinOp) and ast.unparse(node.right) == "None":
        return True
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("Literal", "Callable")


def _negated(test: ast.AST) -> list[ast.AST]:
    """The opposite of a condition that no other change gives."""
    if isinstance(test, ast.Compare | ast.UnaryOp) or not isinstance(test, ast.expr):
        return []
    return [ast.UnaryOp(ast.Not(), test)]


def _replacements(node: ast.AST, *, in_raise: bool) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=operators):
            for index, operator in enumerate(operators):
                for instead in _COMPARISONS.get(type(operator), ()):
                    changed = copy.copy(node)
                    changed.ops = [*operators[:index], instead(), *operators[index + 1 :]]
                    yield changed
        case ast.BinOp(op=operator) if type(operator) in _ARITHMETIC:
            changed = copy.copy(node)
            changed.op = _ARITHMETIC[type(operator)]()
            yield changed
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.AugAssign(target=target, op=operator, value=value):
            yield ast.Pass()
            if type(operator) in _ARITHMETIC:
                yield ast.AugAssign(target, _ARITHMETIC[type(operator)](), value)
        case ast.IfExp(body=body, orelse=otherwise):
            yield body
            yield otherwise
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Name(id=name) if name in _OPPOSITES:
            yield ast.Name(_OPPOSITES[name], node.ctx)
        case ast.Attribute(value=value, attr=name) if name in _OPPOSITES:
            yield ast.Attribute(value, _OPPOSITES[name], node.ctx)
        case ast.Attribute(value=value) if ast.unparse(node) in _OPPOSITES_OF_NUMPY:
            yield ast.Attribute(value, _OPPOSITES_OF_NUMPY[ast.unparse(node)], node.ctx)
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float() as value):
            yield ast.Constant(value * 1.1 if value else 1.0)
        case ast.Constant(value=str() as value) if not (in_raise and " " in value):
            yield ast.Constant("" if " " in value else "XX")
        case ast.JoinedStr() if not in_raise:
            yield ast.Constant("")
