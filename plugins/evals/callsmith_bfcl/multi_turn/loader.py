"""Loads the benchmark's simulated APIs from the wheel, as modules that nobody else can import.

The modules are the benchmark's own code, of a wheel whose hash has been checked; no text of a
model comes near them. They are loaded by importlib's `SourceLoader` into private modules that do
not stand in `sys.modules`, with no finder installed anywhere. Each gets builtins of its own:
without `open`, `eval`, `exec`, `compile`, `input`, and with an `__import__` that knows the list
below and nothing else, so that another wheel could not bring in more in silence.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any, Protocol

from callsmith import CallsmithError
from callsmith_bfcl.multi_turn.stand_ins import require_mpmath, stand_ins

FOLDER = "eval_checker/multi_turn_eval/func_source_code"
MODULES: Mapping[str, str] = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
"""The module of each class. `long_context`, which four of them import, is the ninth."""
LONG_CONTEXT = "long_context"

_OFFICIAL_PACKAGE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code."
_ALLOWED_IMPORTS = frozenset({"datetime", "decimal", "math", "typing"})
_IMPORTED_BY_DATETIME = frozenset({"_strptime", "time"})
"""`datetime` is written in C and imports these, on behalf of its caller, when it is first used."""
_REMOVED_BUILTINS = frozenset(
    {"breakpoint", "compile", "eval", "exec", "exit", "help", "input", "open", "print", "quit"}
)


class SourceReader(Protocol):
    """What can read a file of the wheel, such as `callsmith_bfcl.wheel.Wheel`."""

    def read(self, name: str) -> bytes:
        """The bytes of a file, named relative to the package's folder."""
        ...


class ApiSource(importlib.abc.SourceLoader):
    """The source of one module; compiled once, however often it is loaded."""

    def __init__(self, reader: SourceReader, stem: str) -> None:
        self.path = f"{FOLDER}/{stem}.py"
        self._reader = reader
        self._code: CodeType | None = None

    def get_filename(self, fullname: str) -> str:
        """The file's name in the wheel, as tracebacks show it."""
        return self.path

    def get_data(self, path: str | bytes) -> bytes:
        """The source."""
        return self._reader.read(str(path))

    def get_code(self, fullname: str) -> CodeType:
        """The compiled module."""
        if self._code is None:
            code = super().get_code(fullname)
            assert code is not None
            self._code = code
        return self._code


class ApiSources:
    """The nine modules of one wheel. What `load` returns shares code, and no state, with others."""

    def __init__(self, reader: SourceReader) -> None:
        require_mpmath()
        self._sources = {
            stem: ApiSource(reader, stem) for stem in (*MODULES.values(), LONG_CONTEXT)
        }

    def load(self) -> ApiModules:
        """A fresh set of modules, each executed when it is first asked for."""
        return ApiModules(self._sources)


class ApiModules:
    """One set of the modules, with their module-level state."""

    def __init__(self, sources: Mapping[str, ApiSource]) -> None:
        self._sources = sources
        self._modules: dict[str, ModuleType] = {}
        self._stand_ins = stand_ins()
        self._builtins = {
            name: value for name, value in vars(builtins).items() if name not in _REMOVED_BUILTINS
        }
        self._builtins["__import__"] = self._import

    def module(self, stem: str) -> ModuleType:
        """One module. Raises `CallsmithError` if it imports what it is not known to need."""
        found = self._modules.get(stem)
        if found is not None:
            return found
        loader = self._sources[stem]
        name = f"{__name__}.{stem}"
        module = ModuleType(name)
        module.__file__ = loader.path
        module.__loader__ = loader
        module.__spec__ = importlib.machinery.ModuleSpec(name, loader, origin=loader.path)
        module.__dict__["__builtins__"] = self._builtins
        loader.exec_module(module)
        self._modules[stem] = module
        return module

    def api_class(self, name: str) -> type[Any]:
        """One of the simulated APIs' classes. Raises `CallsmithError` for an unknown name."""
        stem = MODULES.get(name)
        if stem is None:
            known = ", ".join(MODULES)
            raise CallsmithError(f"there is no simulated API {name}; there are {known}")
        found = getattr(self.module(stem), name)
        assert isinstance(found, type)
        return found

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level == 0:
            if name == _OFFICIAL_PACKAGE + LONG_CONTEXT and fromlist:
                return self.module(LONG_CONTEXT)
            if name in self._stand_ins:
                return self._stand_ins[name]
            if name in _ALLOWED_IMPORTS or name in _IMPORTED_BY_DATETIME:
                return importlib.import_module(name)
        raise CallsmithError(f"the benchmark's simulated APIs may not import {name}")
