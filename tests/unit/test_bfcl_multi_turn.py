"""The multi-turn checker on small APIs of our own: the order of tests, and the quirks."""

from __future__ import annotations

from typing import Any

import pytest

from callsmith import CallsmithError
from callsmith_bfcl.multi_turn import LiveApis, MultiTurnChecker, check_multi_turn
from callsmith_bfcl.multi_turn.checker import RULES
from fixtures.small_apis import SmallApis, SmallEntry

GOLD = [["create_ticket(title='a')"], [], ["titles()"]]
RIGHT: list[list[list[str]]] = [[["create_ticket(title='a')"]], [], [["titles()"]]]
STATE = "multi_turn:instance_state_mismatch"
RESPONSES = "multi_turn:execution_response_mismatch"
EMPTY = "multi_turn:empty_turn_model_response"


@pytest.fixture(scope="module")
def checker() -> MultiTurnChecker:
    return MultiTurnChecker(SmallApis())


def verdict(checker: MultiTurnChecker, turns: object, entry: SmallEntry | None = None) -> Any:
    outcome = check_multi_turn(entry or SmallEntry(GOLD), turns, checker)
    assert outcome.rule in RULES
    assert outcome.valid is (outcome.error_type is None)
    assert bool(outcome.messages) is not outcome.valid
    return outcome.error_type


def test_the_answer_itself_is_right(checker: MultiTurnChecker) -> None:
    assert verdict(checker, RIGHT) is None


@pytest.mark.parametrize(
    ("turns", "error_type"),
    [
        ({"a": 1}, "multi_turn:inference_error"),
        ("Error during inference: timeout", "multi_turn:inference_error"),
        (None, "multi_turn:inference_error"),
        ([], "multi_turn:force_terminated"),
        (RIGHT[:2], "multi_turn:force_terminated"),
        ([*RIGHT, []], "multi_turn:force_terminated"),
        ([[], [], RIGHT[2]], EMPTY),
        ([[[]], [], RIGHT[2]], EMPTY),
        ([[[""]], [], RIGHT[2]], EMPTY),
        ([[["create_ticket(title='b')"]], [], RIGHT[2]], STATE),
        ([[["no_such(title='b')"]], [], RIGHT[2]], STATE),
        ([RIGHT[0], [], [["get_ticket(0)"]]], RESPONSES),
    ],
)
def test_what_fails_first_decides(
    checker: MultiTurnChecker, turns: object, error_type: str
) -> None:
    assert verdict(checker, turns) == error_type


def test_a_turn_whose_answer_is_empty_is_executed_and_not_checked(
    checker: MultiTurnChecker,
) -> None:
    # M1: whatever is called there counts only through the state of the next turn.
    for harmless in ("titles()", "no_such()", "get_ticket(5)"):
        assert verdict(checker, [RIGHT[0], [[harmless]], RIGHT[2]]) is None
    assert verdict(checker, [RIGHT[0], [["create_ticket(title='x')"]], RIGHT[2]]) == STATE
    last = SmallEntry([["create_ticket(title='a')"], []])
    assert verdict(checker, [RIGHT[0], [["create_ticket(title='x')"]]], last) is None  # M7


def test_earlier_results_count_but_the_turn_needs_a_call(checker: MultiTurnChecker) -> None:
    # M6.
    early = [["create_ticket(title='a')", "titles()"]]
    assert verdict(checker, [early, [], [["get_ticket(0)"]]]) is None
    assert verdict(checker, [early, [], []]) == EMPTY


def test_results_are_compared_with_their_number(checker: MultiTurnChecker) -> None:
    entry = SmallEntry([["titles()", "titles()"]])
    assert verdict(checker, [[["titles()"]]], entry) == RESPONSES
    assert verdict(checker, [[["titles()", "print()"], ["titles()"]]], entry) is None


def test_state_is_compared_by_equality(checker: MultiTurnChecker) -> None:
    # M9: the numbers are equal, the result texts are not.
    entry = SmallEntry([["create_ticket(title=1)"]])
    assert verdict(checker, [[["create_ticket(title=1.0)"]]], entry) == RESPONSES
    assert verdict(checker, [[["create_ticket(title=True)"]]], entry) == RESPONSES
    silent = SmallEntry([["create_ticket(title=1)"], ["edit_ticket(0, {'priority': 2})"]])
    first = [["create_ticket(title=1)"]]
    assert verdict(checker, [first, [["edit_ticket(0, {'priority': 2.0})"]]], silent) is None


def test_names_of_methods_are_replaced_in_strings_too(checker: MultiTurnChecker) -> None:
    # M3: the instance's name goes into the text, and it is another one on the answer's side.
    for text in ("see titles()", "see titles ()"):
        entry = SmallEntry([[f"create_ticket(title={text!r})"]])
        assert verdict(checker, [[[f"create_ticket(title={text!r})"]]], entry) == STATE
    # Blanks before a bracket vanish on both sides.
    entry = SmallEntry([["create_ticket(title='foo (bar)')"]])
    assert verdict(checker, [[["create_ticket(title='foo(bar)')"]]], entry) is None


def test_strings_can_be_left_alone() -> None:
    checker = MultiTurnChecker(SmallApis(), verbatim=True)
    entry = SmallEntry([["create_ticket(title='see titles ()')"]])
    assert verdict(checker, [[["create_ticket(title='see titles ()')"]]], entry) is None
    assert verdict(checker, [[["create_ticket(title='see titles()')"]]], entry) == STATE
    assert verdict(checker, [[["create_ticket (title='see titles' + ' ()')"]]], entry) is None


def test_nothing_is_left_over_from_an_earlier_scoring(checker: MultiTurnChecker) -> None:
    # M4: officially the second scoring of an entry goes on from the first one's state.
    wrong = [[["create_ticket(title='x')", "create_ticket(title='y')"]], [], []]
    for _ in range(2):
        assert verdict(checker, wrong) == STATE
        assert verdict(checker, RIGHT) is None


def test_a_changed_entry_of_the_same_id_is_scored_anew(checker: MultiTurnChecker) -> None:
    other = SmallEntry([["create_ticket(title='z')"], [], ["get_ticket(0)"]])
    assert verdict(checker, RIGHT, other) == STATE
    assert verdict(checker, RIGHT) is None


def test_no_model_name_makes_everything_right() -> None:
    # M5 is not reproduced.
    for name in ("3model", "a b", "x:y", "größe/2.0-FC"):
        checker = MultiTurnChecker(SmallApis(), model_name=name)
        assert verdict(checker, RIGHT) is None
        assert verdict(checker, [[["nonsense()"]], [], [["nonsense()"]]]) == STATE


def test_default_lists_are_shared_within_an_episode_and_not_beyond() -> None:
    # The benchmark's own code: both sides extend the same default list, so that the states agree
    # whatever is mentioned, and the results do not.
    checker = MultiTurnChecker(SmallApis())
    post, mention = "post_tweet(content='x')", "mention(tweet_id=0, names=['a'])"
    entry = SmallEntry([[post], [mention], [post]], ("TwitterAPI",))
    for _ in range(2):
        assert verdict(checker, [[[post]], [[mention]], [[post]]], entry) == RESPONSES
    plain = SmallEntry([[post], ["mention(tweet_id=0, names=[])"]], ("TwitterAPI",))
    assert verdict(checker, [[[post]], [["mention(tweet_id=0, names=[])"]]], plain) is None
    # Only the model mentions: it sees what the answer then sees as well.
    assert verdict(checker, [[[post]], [[mention]]], plain) is None
    assert verdict(checker, [[[post]], [["mention(tweet_id=0, names=[])"]]], plain) is None


def test_cards_of_long_contexts_are_shared_within_an_episode_and_not_beyond() -> None:
    checker = MultiTurnChecker(SmallApis())
    pay, read = "pay(card='9999', amount=100)", "pay(card='9999', amount=0)"
    entry = SmallEntry([[read]], ("TravelAPI",), id="multi_turn_long_context_3")
    for _ in range(2):
        assert verdict(checker, [[[read]]], entry) is None
        # The model's payment reaches the answer's card: the states agree, the results too.
        assert verdict(checker, [[[pay]]], entry) is None
    # Where the answer pays as well it pays from what the model has left, and is never matched.
    paying = SmallEntry([[pay]], ("TravelAPI",), id="multi_turn_long_context_4")
    for _ in range(2):
        assert verdict(checker, [[[pay]]], paying) == RESPONSES
        assert verdict(checker, [[[pay, pay]]], paying) == RESPONSES
    assert verdict(checker, [[[read]]], entry) is None
    short = SmallEntry([[read]], ("TravelAPI",), {"TravelAPI": {"cards": {"9999": {"balance": 5}}}})
    assert verdict(checker, [[[read, pay]]], short) == STATE


def test_random_numbers_are_those_of_the_seed(checker: MultiTurnChecker) -> None:
    import random

    entry = SmallEntry([["draw()"], ["draw()"]], ("TravelAPI",), {"TravelAPI": {"random_seed": 3}})
    expected = random.Random(3)
    assert checker.answer_results(entry) == [
        [str(expected.randint(0, 10**9))],
        [str(expected.randint(0, 10**9))],
    ]
    assert verdict(checker, [[["draw()"]], [["draw()"]]], entry) is None
    assert verdict(checker, [[["draw()", "draw()"]], [["draw()"]]], entry) is None
    assert verdict(checker, [[["titles()"]], [["draw()"]]], entry) == RESPONSES


def test_files_are_written_in_one_episode_only(checker: MultiTurnChecker) -> None:
    one, two = "echo(content='1', file_name='f')", "echo(content='2', file_name='f')"
    config = {"GorillaFileSystem": {"f": "0"}}
    entry = SmallEntry([[one], ["cat('f')"], [two, "cat('f')"]], ("GorillaFileSystem",), config)
    right = [[[one]], [["cat('f')"]], [[two, "cat('f')"]]]
    again = [[[one]], [["cat('f')", one]], [[two], ["cat('f')"]]]
    for _ in range(2):
        assert verdict(checker, right, entry) is None
        assert verdict(checker, again, entry) is None
        assert verdict(checker, [right[0], [["cat('f')", two]], right[2]], entry) == STATE
        assert verdict(checker, [right[0], right[1], [[one, "cat('f')"]]], entry) == STATE
        assert verdict(checker, [[["cat('f')"]], right[1], right[2]], entry) == STATE
    assert checker.answer_results(entry) == [["None"], ["1"], ["None", "2"]]


def test_a_turn_that_differs_goes_on_from_the_private_state_too(checker: MultiTurnChecker) -> None:
    # The first turn only draws; nothing public has changed, but the next number is the second.
    entry = SmallEntry([["draw()"], ["draw()"]], ("TravelAPI",))
    assert verdict(checker, [[["draw()"]], [["print()", "draw()"]]], entry) is None
    assert verdict(checker, [[["draw()"]], [["draw()", "draw()"]]], entry) is None
    assert verdict(checker, [[["draw() "], ["draw()"]], [["print()"]]], entry) is None
    assert verdict(checker, [[["draw()"]], [["print()"]]], entry) == RESPONSES


def test_few_remembered_answers_give_the_same_verdicts() -> None:
    small = MultiTurnChecker(SmallApis(), cached_entries=1)
    entries = [
        SmallEntry([[f"create_ticket(title={n})"]], id=f"multi_turn_base_{n}") for n in range(3)
    ]
    for _ in range(2):
        for n, entry in enumerate(entries):
            assert verdict(small, [[[f"create_ticket(title={n})"]]], entry) is None
            assert verdict(small, [[[f"create_ticket(title={n + 1})"]]], entry) == STATE


def test_an_answer_that_serves_two_entries_is_carried_out_as_for_each_alone() -> None:
    # Entries of miss_func and miss_param are those of base with turns without calls put in.
    classes = ("TicketAPI", "TravelAPI")
    calls = [["create_ticket(title='a')"], ["draw()"], ["titles()", "draw()"]]
    base = SmallEntry(calls, classes)
    later = SmallEntry([calls[0], [], *calls[1:], []], classes, id="multi_turn_miss_func_0")
    first = SmallEntry([[], *calls], classes, id="multi_turn_miss_param_0")
    other = SmallEntry(calls, classes, {"TravelAPI": {"random_seed": 3}}, id="multi_turn_base_1")
    moved = SmallEntry([calls[0] + calls[1], calls[2]], classes, id="multi_turn_base_2")
    said = {
        "right": calls,
        "again": [calls[0], calls[1] + calls[1], calls[2]],
        "wrong": [["create_ticket(title='b')"], *calls[1:]],
        "names": [["create_ticket(title='draw()')"], *calls[1:]],
        "less": [calls[0], ["titles()"], calls[2]],
    }
    together = MultiTurnChecker(SmallApis())
    for entry in (base, later, first, other, moved, base, later):
        assert together.answer_results(entry) == MultiTurnChecker(SmallApis()).answer_results(entry)
        for turns in said.values():
            due = iter(turns)
            steps = [[next(due, ["titles()"])] if wanted else [] for wanted in entry.ground_truth]
            alone = MultiTurnChecker(SmallApis()).check(entry, steps)
            assert together.check(entry, steps) == alone
    assert together.answer_results(other) != together.answer_results(base)


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(CallsmithError, match="no simulated API Toaster; there are Gorilla"):
        MultiTurnChecker(SmallApis()).check(SmallEntry([["f()"]], ("Toaster",)), [[["f()"]]])


@pytest.mark.parametrize("module", ["os", "socket", "ctypes", "callsmith", "importlib"])
def test_an_api_that_imports_more_than_is_known_is_not_loaded(module: str) -> None:
    apis = SmallApis(ticket_api=f"import {module}\nclass TicketAPI: pass\n")
    with pytest.raises(CallsmithError, match=f"may not import {module}"):
        MultiTurnChecker(apis).check(SmallEntry(GOLD), RIGHT)


@pytest.mark.parametrize("name", ["open", "eval", "exec", "compile", "input"])
def test_an_api_has_no_builtins_that_reach_out(name: str) -> None:
    apis = SmallApis(ticket_api=f"{name}\nclass TicketAPI: pass\n")
    with pytest.raises(NameError, match=name):
        MultiTurnChecker(apis).check(SmallEntry(GOLD), RIGHT)


def test_the_apis_stand_in_no_list_of_modules(checker: MultiTurnChecker) -> None:
    import sys

    assert verdict(checker, RIGHT) is None
    assert not [name for name in sys.modules if "ticket_api" in name]


async def test_a_live_session_gives_official_result_texts() -> None:
    live = LiveApis(SmallApis())
    entry = SmallEntry(GOLD)
    session = live.session(entry)
    assert session.methods()["titles"] == "TicketAPI"
    assert await session.call("create_ticket", {"title": "a", "priority": 2}) == (
        '{"id": 0, "title": "a", "priority": 2}'
    )
    assert await session.call("titles", {}) == "['a']"
    assert await session.call("edit_ticket", {"ticket_id": 0, "updates": {}}) == "None"
    assert await session.call("get_ticket", {"ticket_id": 4}) == (
        "Error during execution: no ticket 4"
    )
    assert await session.call("nothing", {}) == (
        "Error during execution: name 'nothing' is not defined"
    )
    assert session.execute(["get_ticket(0)['title'] + 'b'", "pwd("]) == [
        "ab",
        "Error during execution: '(' was never closed (<string>, line 1)",
    ]


async def test_live_sessions_share_nothing() -> None:
    live = LiveApis(SmallApis())
    one, two = (live.session(SmallEntry(GOLD, ("TwitterAPI", "TicketAPI"))) for _ in range(2))
    await one.call("post_tweet", {"content": "x"})
    await one.call("mention", {"tweet_id": 0, "names": ["a"]})
    await two.call("post_tweet", {"content": "x"})
    assert await two.call("mention", {"tweet_id": 0, "names": []}) == '{"mentions": []}'
    assert await two.call("titles", {}) == "[]"
