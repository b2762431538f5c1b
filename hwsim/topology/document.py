"""Plain data with places, and the mistakes found in it: what every later step reads from and complains to."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hwsim.errors import Mistake
from hwsim.topology.yaml_source import Marks, Path, Place
from hwsim.units import format_duration, format_rate, format_size, parse_duration, parse_rate, parse_size

Model = TypeVar("Model", bound=BaseModel)
Where = Callable[[Path, bool], tuple[Place, str]]  # (path inside the model, of the key?) -> place and dotted key


def dotted(path: Iterable[str | int]) -> str:
    """A path as users write it."""
    return ".".join(map(str, path))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* was most likely meant to be."""
    matches = difflib.get_close_matches(word, list(known)[:5000], n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggest(word: str, known: Iterable[str], what: str = "one of") -> str:
    """The remedy for an unknown word: the nearest known one, or all of them where they are few."""
    words = list(known)
    near = nearest(word, words)
    if near is not None:
        return f"did you mean '{near}'?"
    if not words:
        return ""
    shown = ", ".join(words[:12]) + (", ..." if len(words) > 12 else "")
    return f"write {what} {shown}"


class Document:
    """A topology's plain data, where everything in it stands, and what is wrong with it so far."""

    def __init__(self, data: dict[str, Any], marks: Marks) -> None:
        self.data = data
        self.marks = marks
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []

    def wrong(self, path: Path, problem: str, remedy: str = "", *, key: bool = False) -> None:
        """Note a mistake at the value (or the key) of *path*."""
        place = self.marks.key(path) if key else self.marks.value(path)
        self.mistakes.append(Mistake(*place, dotted(path), problem, remedy))

    def warn(self, path: Path, text: str) -> None:
        """Note something that is allowed and probably not meant."""
        place = self.marks.key(path)
        at = f"{place.file}:{place.line}:{place.column}: " if place.line else ""
        self.warnings.append(f"{at}{dotted(path)}: {text}")

    def where(self, path: Path) -> Where:
        """Places of what stands below *path*."""

        def find(inside: Path, of_key: bool) -> tuple[Place, str]:
            whole = (*path, *inside)
            return (self.marks.key(whole) if of_key else self.marks.value(whole)), dotted(whole)

        return find

    def mapping(self, path: Path, value: Any) -> dict[str, Any]:
        """*value* if it is a mapping, else an empty one and a mistake (nothing at all is an empty one)."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(path, f"expected keys with values, got {show(value)}", "write `key: value` lines below it")
            return {}
        return value

    def items(self, path: Path, value: Any) -> list[Any]:
        """*value* if it is a list, else an empty one and a mistake (nothing at all is an empty one)."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(path, f"expected a list, got {show(value)}", "begin each item with '- '")
            return []
        return value

    def validate(self, model: type[Model], data: Any, path: Path, where: Where | None = None) -> Model | None:
        """Return *data* as a *model*, or None after noting every mistake in it.

        Validation is that of JSON in strict mode: a list may be a tuple, and text is never a number or a truth value.
        """
        try:
            return model.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            self.mistakes.extend(mistakes_of(error, model, data, where or self.where(path)))
            return None


def mistakes_of(error: ValidationError, model: type[BaseModel], data: Any, where: Where) -> list[Mistake]:
    """pydantic's errors about *data* as mistakes; what one place lacks is told in one."""
    mistakes: list[Mistake] = []
    lacking: dict[Path, list[str]] = {}
    for detail in error.errors(include_url=False):
        loc: Path = detail["loc"]
        if detail["type"] == "missing":
            lacking.setdefault(loc[:-1], []).append(str(loc[-1]))
            continue
        of_key = detail["type"] == "extra_forbidden"
        problem, remedy = _explain(detail, _written(data, loc, detail.get("input")), model, loc)
        if detail["type"] == "value_error":  # a check across keys names the key that it means by its first word
            inner = model_at(model, loc)
            first = problem.split(" ", 1)[0].strip("`':,")
            if inner is not None and first in key_names(inner):
                loc = (*loc, first)
        place, key = where(loc, of_key)
        mistakes.append(Mistake(*place, key, problem, remedy))
    for loc, names in lacking.items():
        place, key = where(loc, True)
        inner = model_at(model, loc)
        told = [f"`{name}`" for name in names]
        remedy = "write " + ", ".join(_example(inner, name) for name in names) if inner is not None else ""
        mistakes.append(Mistake(*place, key, f"lacks {', '.join(told)}", remedy))
    return mistakes


def show(value: Any) -> str:
    """A value in a message, short."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def key_names(model: type[BaseModel]) -> list[str]:
    """The keys that a user may write for *model*."""
    return [field.alias or name for name, field in model.model_fields.items()]


def model_at(model: type[BaseModel], loc: Path) -> type[BaseModel] | None:
    """The model that stands at *loc* inside *model*, or None where something else does."""
    here: type[BaseModel] | None = model
    for step in loc:
        if isinstance(step, int):
            continue
        if here is None:
            return None
        found = next((field for name, field in here.model_fields.items() if step in (name, field.alias)), None)
        here = None if found is None else _model_in(found.annotation)
    return here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _example(model: type[BaseModel] | None, name: str) -> str:
    """How to write one key, with what it means."""
    if model is None:
        return f"`{name}`"
    field = next((field for known, field in model.model_fields.items() if name in (known, field.alias)), None)
    if field is None or not field.description:
        return f"`{name}: ...`"
    return f"`{name}: ...` ({field.description})"


_BOUNDS = {
    "greater_than": ("gt", "must be above"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be below"),
    "less_than_equal": ("le", "must be at most"),
}


def _in_units_of(got: Any, bound: Any) -> str:
    """A bound as the user would write it: with a unit, where the value has one."""
    if isinstance(bound, float):
        return f"{bound:g}"
    if isinstance(got, str) and bound:
        for parse, write in ((parse_duration, format_duration), (parse_size, format_size), (parse_rate, format_rate)):
            try:
                parse(got)
            except ValueError:
                continue
            return write(bound)
    return str(bound)


def _written(data: Any, loc: Path, otherwise: Any) -> Any:
    """What stands at *loc*, as written: pydantic tells what it has become by then."""
    for step in loc:
        if isinstance(data, dict) and step in data:
            data = data[str(step)]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return otherwise
    return data


def _explain(detail: ErrorDetails, got: Any, model: type[BaseModel], loc: Path) -> tuple[str, str]:
    """Problem and remedy of one error of pydantic's about what was *got*."""
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        inner = model_at(model, loc[:-1])
        return "unknown key", suggest(str(loc[-1]), key_names(inner) if inner is not None else (), "one of")
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{show(got)} {words} {_in_units_of(got, context[bound])}", _meaning(model, loc)
    if kind == "literal_error":
        choices = [word.strip("'\"") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        near = nearest(str(got), choices)
        return f"{show(got)} is not a choice", f"did you mean '{near}'?" if near else f"write {' or '.join(choices)}"
    if kind == "value_error":
        problem, _, remedy = str(context.get("error", detail["msg"])).partition("; ")
        return problem, remedy
    if kind == "bool_type":
        hint = "; YAML 1.2 reads yes, no, on and off as text" if str(got).lower() in {"yes", "no", "on", "off"} else ""
        return f"expected true or false, got {show(got)}", f"write true or false{hint}"
    if kind in {"int_type", "int_from_float", "int_parsing"}:
        return f"expected a whole number, got {show(got)}", _meaning(model, loc)
    if kind in {"float_type", "float_parsing", "finite_number"}:
        return f"expected a number, got {show(got)}", _meaning(model, loc)
    if kind == "string_type":
        quotes = f"put it in quotes: '{got}'" if isinstance(got, int | float) and not isinstance(got, bool) else ""
        return f"expected text, got {show(got)}", quotes or _meaning(model, loc)
    if kind == "string_pattern_mismatch":
        return f"{show(got)} does not fit", _meaning(model, loc)
    if kind in {"tuple_type", "list_type", "frozen_set_type", "set_type"}:
        return f"expected a list, got {show(got)}", "begin each item with '- '"
    if kind in {"too_short", "too_long"}:
        least, most = context.get("min_length"), context.get("max_length")
        bound = f"at least {least}" if kind == "too_short" else f"at most {most}"
        return f"holds {context['actual_length']}, expected {bound}", _meaning(model, loc)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        tags = str(context.get("expected_tags", "")).replace("'", "").split(", ")
        remedy = f"write kind: {' or '.join(tag for tag in tags if tag)}" if tags != [""] else "write its kind"
        return (f"'{context['tag']}' is not a kind" if "tag" in context else "lacks `kind`"), remedy
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"expected keys with values, got {show(got)}", _meaning(model, loc)
    return detail["msg"], _meaning(model, loc)


def _meaning(model: type[BaseModel], loc: Path) -> str:
    if not loc or isinstance(loc[-1], int):
        return ""
    inner = model_at(model, loc[:-1])
    if inner is None:
        return ""
    field = next((field for name, field in inner.model_fields.items() if loc[-1] in (name, field.alias)), None)
    return f"it means: {field.description}" if field is not None and field.description else ""
