"""Everything that Callsmith raises.

    CallsmithError
    ├── ConfigError             a run file, an option or a name is wrong (exit code 2)
    │   ├── UnknownNameError    no component of that name; says "did you mean …"
    │   ├── AmbiguousNameError  two plugins offer one name; names both
    │   ├── MissingExtraError   the component's libraries are not installed; names the extra
    │   └── BrokenPluginError   a run names a plugin that could not be loaded
    ├── ArmError                one request failed: becomes the trace's error, never stops a run
    │   ├── ArmTimeoutError     it took longer than the arm's timeout
    │   └── PromptTooLongError  the prompt does not fit; nothing is ever truncated silently
    ├── RenderError             a conversation that the template refuses
    │   └── ControlTextError    content holds control text and the policy is `refuse`
    ├── ToolError               a tool failed: becomes an error result for that call
    ├── StoreError              a run folder that cannot be used as asked
    └── StepError               a step of a pipeline failed; what was done stays done

Only configuration and programming errors travel to the top. What a model emitted is data and is
never raised. A message says what was wrong, where, and what to do next.
"""

from __future__ import annotations


class CallsmithError(Exception):
    """Base of all errors raised by Callsmith."""


class ConfigError(CallsmithError):
    """Configuration is wrong. `path` is the place in the run file, such as `arms.raw.options`."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def at(self, path: str) -> ConfigError:
        """The same error, placed at `path` (in front of a path that it already has)."""
        self.path = f"{path}.{self.path}" if self.path else path
        return self


class UnknownNameError(ConfigError):
    """No component of that kind has that name."""


class AmbiguousNameError(ConfigError):
    """A bare name is offered by more than one plugin."""


class MissingExtraError(ConfigError):
    """A component needs libraries that are not installed."""


class BrokenPluginError(ConfigError):
    """A run names a plugin, or a component of a plugin, that could not be loaded."""


class ArmError(CallsmithError):
    """One request to an arm failed."""


class ArmTimeoutError(ArmError):
    """One request took longer than the arm's timeout."""


class PromptTooLongError(ArmError):
    """A prompt (with the tokens to generate) does not fit the context length."""


class RenderError(CallsmithError):
    """A template refuses this conversation."""


class ControlTextError(RenderError):
    """Content holds a template's control text, under the policy `refuse`."""


class ToolError(CallsmithError):
    """A tool failed; its message is what the model is told."""


class StoreError(CallsmithError):
    """A run folder cannot be used as asked."""


class StepError(CallsmithError):
    """A step of a pipeline failed; what was done stays done."""
