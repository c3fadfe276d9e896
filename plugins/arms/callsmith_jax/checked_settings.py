"""What can be said about an arm's options before a worker is started."""

from __future__ import annotations

from pathlib import Path

from callsmith import ConfigError
from callsmith_jax.config import SamplerConfig
from callsmith_jax.location import PYTHON_VARIABLE
from callsmith_jax.worker_pool import Settings


def checked_settings(config: SamplerConfig) -> Settings:
    """The worker's settings. Raises `ConfigError` for an interpreter or a file that is missing."""
    settings = Settings.of(config)
    if not settings.python.is_file():
        where = (
            "" if config.python else f" ({PYTHON_VARIABLE} or the option `python` names another)"
        )
        raise ConfigError(
            f"the JAX worker's interpreter {settings.python} does not exist{where}; run "
            "`callsmith jax setup`",
            path="python",
        )
    looks_local = "/" in config.checkpoint and "://" not in config.checkpoint
    if looks_local and not Path(config.checkpoint).is_dir():
        raise ConfigError(f"{config.checkpoint}: there is no such folder", path="checkpoint")
    if config.tokenizer and "://" not in config.tokenizer and not Path(config.tokenizer).is_file():
        raise ConfigError(f"{config.tokenizer}: there is no such file", path="tokenizer")
    if config.model.endswith(".json") and not Path(config.model).is_file():
        raise ConfigError(f"{config.model}: there is no such file", path="model")
    return settings
