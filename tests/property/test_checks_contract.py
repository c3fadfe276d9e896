"""Every built-in verifier keeps the contract that third parties test with."""

from __future__ import annotations

import pytest

from callsmith import Verifier, load
from callsmith.testing import VerifierContract

CATALOG = load({})
NAMES = [o.full_name for o in CATALOG.offers("verifier") if o.plugin == "checks"]


class TestBuiltInVerifiers(VerifierContract):
    @pytest.fixture(params=NAMES)
    def verifier(self, request: pytest.FixtureRequest) -> Verifier:
        built: Verifier = CATALOG.build("verifier", request.param)
        return built


def test_there_are_verifiers_to_check() -> None:
    assert len(NAMES) == 12
