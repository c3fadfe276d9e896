"""The contract of text engines, one request at a time and in batches, plain and in 4 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from callsmith import Prompt
from callsmith.testing import TextArmContract
from hf_suite.models import need_libraries, prompt

pytestmark = pytest.mark.hf
need_libraries()


class OnTheTinyModel(TextArmContract):
    @pytest.fixture
    def prompts(self) -> Sequence[Prompt]:
        return tuple(prompt(name) for name in ("counting", "weather-oslo-rome", "rainbow"))


class TestOneAtATime(OnTheTinyModel):
    @pytest.fixture
    def arm(self, build: Callable[..., Any]) -> Any:
        return build(batch_size=1)


class TestInBatches(OnTheTinyModel):
    @pytest.fixture
    def arm(self, build: Callable[..., Any]) -> Any:
        return build(batch_size=4, batch_wait=0.2)


class TestInFourBits(OnTheTinyModel):
    @pytest.fixture
    def arm(self, build: Callable[..., Any]) -> Any:
        return build(quantization="nf4")
