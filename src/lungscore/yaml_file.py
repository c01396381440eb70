"""Files of settings: YAML in bounded time and memory, with messages that name the key."""

import difflib
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lungscore.errors import InputError

#: Bytes that no file of settings comes near.
LONGEST = 2**17

#: Values of a file once its aliases are followed.
MOST_VALUES = 10_000


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which would let the last of two equal keys win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is a list or a table", node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {str(key)[:60]!r} occurs twice", node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> Any:
    """The one document of a YAML file, its keys unique, in bounded time and memory.

    Raises InputError ``input-not-found`` or ``config-invalid``.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise InputError("config-invalid", f"{path.name} is longer than {LONGEST >> 10} KiB")
        values = _UniqueKeys(content.decode("utf-8")).get_single_data()
        if _count(values) > MOST_VALUES:
            raise InputError(
                "config-invalid", f"{path.name} contains more than {MOST_VALUES} values"
            )
        return values
    except InputError:
        raise
    except OSError as error:
        raise InputError("input-not-found", f"No such file: {path}") from error
    except yaml.constructor.ConstructorError as error:
        fault = f"{path.name} is not YAML: {error.problem}"
        raise InputError("config-invalid", fault) from error
    except Exception as error:  # dates, numbers and tags are converted by code that raises anything
        raise InputError("config-invalid", f"{path.name} is not YAML") from error


def _count(values: Any) -> int:
    """How many values there are, where aliases count each time; no more than needed is counted."""
    count, waiting = 0, [values]
    while waiting and count <= MOST_VALUES:
        value = waiting.pop()
        count += 1
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | set | tuple):
            waiting += value
    return count


def explained(path: Path, error: ValidationError, settings: type[BaseModel]) -> InputError:
    """What ``settings`` did not take first, with the nearest known key where one is unknown."""
    first = error.errors()[0]
    where = ".".join(str(key) for key in first["loc"])
    if first["type"] != "extra_forbidden":
        return InputError("config-invalid", f"{path.name}: {where}: {first['msg']}")
    known = _keys_at(settings, first["loc"][:-1])
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.3)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}"
    return InputError("config-invalid", f"{path.name}: unknown key {where!r}", hint=hint)


def _keys_at(settings: type[BaseModel], keys: Sequence[str | int]) -> list[str]:
    """The keys that the section at ``keys`` of ``settings`` has."""
    models = [settings]
    for key in keys:
        if isinstance(key, int):  # of a list, whose kind has been looked at
            continue
        fields = [model.model_fields[key] for model in models if key in model.model_fields]
        models = [kind for field in fields for kind in _models_in(field.annotation)] or models
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, in lists and among alternatives too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
