"""Whether decoded calls are the answer: values in, `Outcome` out."""

from callsmith_bfcl.checking.calls import check_calls, format_problem, is_call_list
from callsmith_bfcl.checking.relevance import check_relevance, has_calls, relevance_of
from callsmith_bfcl.checking.rules import RULES

__all__ = [
    "RULES",
    "check_calls",
    "check_relevance",
    "format_problem",
    "has_calls",
    "is_call_list",
    "relevance_of",
]
