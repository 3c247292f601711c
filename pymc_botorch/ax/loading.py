"""Stored Ax clients, loaded with the modules that their classes are defined in."""

__all__ = ["load_client"]

import importlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ax.api.client import Client
from ax.api.configs import StorageConfig
from ax.exceptions.core import UserInputError
from ax.storage.botorch_modular_registry import CLASS_TO_REVERSE_REGISTRY
from botorch.models.model import Model

from pymc_botorch.ax.configuration import MODULE_OPTION
from pymc_botorch.errors import PACKAGE_FOLDER


def load_client(path: str | os.PathLike[str], *, storage_config: StorageConfig | None = None) -> Client:
    """Return the client that ``client.save_to_json_file(path)`` stored, and import the modules that define its classes.

    Ax stores a class by its name alone, and this package the module beside it. The modules are imported by their names, as a
    script would; so load only files that you trust.

    Args:
        path: The file.
        storage_config: As for Ax's own ``Client.load_from_json_file``.

    Raises:
        UserInputError: If the file is empty or no client, or a class is not found.

    Warns:
        UserWarning: If a class of another module has the name of a stored one.

    Example:
        >>> import tempfile
        >>> from ax.api.client import Client
        >>> from ax.api.configs import RangeParameterConfig
        >>> from pymc_botorch import PyMCGP, ax
        >>> client = Client(random_seed=0)
        >>> client.configure_experiment([RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))])
        >>> client.configure_optimization("crop")
        >>> client.set_generation_strategy(ax.generation_strategy(PyMCGP, initialization_budget=2, seed=1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     client.save_to_json_file(f"{folder}/client.json")
        ...     loaded = ax.load_client(f"{folder}/client.json")
        >>> loaded.get_next_trials(max_trials=1)
        {0: {'dose': 80.0}}
    """
    text = Path(path).read_text()
    if not text.strip():
        raise UserInputError(f"{path} is empty: Ax leaves it so when a save fails. Take an earlier copy, or the trials' records.")
    try:
        snapshot = json.loads(text)
        if not isinstance(snapshot, dict) or "experiment" not in snapshot:
            raise UserInputError(f"{path} has no client of Ax in it. Pass what client.save_to_json_file wrote.")
        stored = list(_classes(snapshot))
    except json.JSONDecodeError as error:
        raise UserInputError(f"{path} is no JSON ({error}). Pass what client.save_to_json_file wrote.") from error
    modules = dict(sorted(stored, key=lambda one: one[1] is not None))  # a known module counts
    for name, module in modules.items():
        _find(name, module)
    return Client.load_from_json_file(str(path), storage_config=storage_config)


def _classes(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yield the names of stored model classes, with the modules that define them where these are known."""
    if isinstance(value, list):
        for part in value:
            yield from _classes(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _classes(part)
        cls, options = value.get("botorch_model_class"), value.get("mll_options")
        if isinstance(cls, dict) and isinstance(name := cls.get("index"), str):
            yield name, options.get(MODULE_OPTION) if isinstance(options, dict) else None


def _find(name: str, module: str | None) -> None:
    """Import the module of a class unless Ax knows the class."""
    known = CLASS_TO_REVERSE_REGISTRY[Model]
    if name in known:
        if module not in (None, "__main__", known[name].__module__):
            warnings.warn(
                f"The client was stored with the class {name} of the module {module}, and is loaded with that of "
                f"{known[name].__module__}. Give one of them another name if they are not the same.",
                UserWarning,
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )
        return
    if module is None or module == "__main__":
        where = "a script or notebook (__main__)" if module else "a module whose name was not stored"
        raise UserInputError(
            f"The client was stored with the class {name} of {where}. Define it here, or import the module that does, and call "
            "load_client again."
        )
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UserInputError(
            f"The client was stored with the class {name} of the module {module}, which can't be imported here ({error}). Put "
            "its folder on sys.path (PYTHONPATH), or import the class from where it is now, and call load_client again."
        ) from error
    if name not in known:
        raise UserInputError(
            f"The client was stored with the class {name} of the module {module}, which has no such class now. Define a class of "
            "that name, and call load_client again."
        )
