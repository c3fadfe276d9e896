"""What the probes find out, of every kind of server; what they cannot know stays unknown."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from callsmith import Fidelity, dumps, loads
from callsmith_openai.chat_arm import OpenAIChatArm
from callsmith_openai.completions_arm import OpenAICompletionsArm
from callsmith_openai.config import ChatConfig, CompletionsConfig
from servers.openai import Delivery, FakeOpenAI, HangUp, Refusal
from servers.openai_model import drawing

ALL = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop")


async def chat(server: FakeOpenAI, /, **options: Any) -> Fidelity:
    options = {"url": server.url, "model": "gemma4", "wait_for_server": 0, **options}
    arm = OpenAIChatArm(ChatConfig(**options))
    try:
        found = await arm.probe()
    finally:
        await arm.aclose()
    assert loads(dumps(found), Fidelity) == found
    return found


async def completions(server: FakeOpenAI, /, **options: Any) -> Fidelity:
    options = {"url": server.url, "model": "gemma4", "wait_for_server": 0, **options}
    arm = OpenAICompletionsArm(CompletionsConfig(**options))
    try:
        found = await arm.probe()
    finally:
        await arm.aclose()
    assert loads(dumps(found), Fidelity) == found
    return found


def fake(flavour: str, **options: Any) -> FakeOpenAI:
    return FakeOpenAI(flavour=flavour, script=drawing, **options)


async def test_vllm() -> None:
    async with fake("vllm", adds_bos=False) as server:
        found = await chat(server)
    assert (found.runtime, found.runtime_version, found.model) == ("vllm", "9.9.9", "gemma4")
    assert (found.context_length, found.history) == (4096, "messages")
    assert found.sampling == dict.fromkeys((*ALL, "thinking"), "applied")
    rendered = found.details["rendered_probe"]
    assert isinstance(rendered, str)
    assert rendered.startswith("<bos><|turn>system\nadd<turn|>")
    digest = hashlib.sha256(rendered.encode()).hexdigest()
    assert found.details["rendered_probe_sha256"] == digest
    assert found.details["tool_choice"] == "applied"
    assert found.details["root"] == "/models/gemma4"
    assert (found.quantization, found.model_digest, found.template_digest) == (None, None, None)
    assert (found.warnings, found.deviations) == ((), ())


async def test_sglang() -> None:
    async with fake("sglang") as server:
        found = await chat(server)
    assert (found.runtime, found.runtime_version) == ("sglang", "9.9.9")
    assert (found.context_length, found.quantization) == (4096, "fp8")
    assert "rendered_probe" not in found.details
    assert found.warnings == ()


async def test_llama_cpp() -> None:
    async with fake("llama.cpp") as server:
        found = await chat(server)
    assert (found.runtime, found.runtime_version, found.context_length) == (
        "llama.cpp",
        "9.9.9",
        4096,
    )
    digest = hashlib.sha256(b"{{ messages }}").hexdigest()
    assert found.template_digest == f"chat-template:{digest}"
    assert found.details["model_path"] == "/models/gemma4-Q4_K_M.gguf"
    assert found.quantization is None, "a file's name is no fact"
    assert str(found.details["rendered_probe"]).startswith("<bos>")


async def test_lm_studio() -> None:
    async with fake("lmstudio", answers_everything=True) as server:
        found = await chat(server)
    assert (found.runtime, found.runtime_version) == ("lmstudio", None)
    assert (found.context_length, found.quantization) == (4096, "Q4_K_M")
    assert "thinking" not in found.sampling


async def test_ollama() -> None:
    async with fake("ollama", ignores=frozenset({"top_k"})) as server:
        found = await chat(server)
        raw = await completions(server)
    assert (found.runtime, found.context_length) == ("ollama", 4096)
    assert found.sampling["top_k"] == "ignored"
    assert any("cuts a prompt" in text for text in found.deviations)
    assert any("ollama-raw" in text for text in raw.deviations)


@pytest.mark.parametrize("word", ["keys", "fields"])
async def test_transformers(word: str) -> None:
    framing = Delivery(done=False, usage="last")
    async with fake("transformers", delivery=framing, unexpected=word) as server:
        found = await chat(server)
        assert all("top_k" not in body for _, body in server.requests)
    assert (found.runtime, found.runtime_version) == ("transformers", None)
    assert (found.context_length, found.sampling["top_k"]) == (None, "applied")
    assert any("stop string" in text for text in found.deviations)


async def test_an_unknown_server_is_measured_and_the_rest_is_unknown() -> None:
    async with fake("plain") as server:
        found = await chat(server)
    assert (found.runtime, found.runtime_version) == ("openai-compatible", None)
    assert found.sampling == dict.fromkeys(ALL, "applied")
    assert (found.context_length, found.renderer, found.parser) == (None, None, None)


@pytest.mark.parametrize("flavour", ["vllm", "plain"])
@pytest.mark.parametrize("field", ["seed", "top_k", "top_p"])
async def test_a_field_that_is_ignored_silently_is_found_out(flavour: str, field: str) -> None:
    async with fake(flavour, ignores=frozenset({field})) as server:
        for found in (await chat(server), await completions(server)):
            assert found.sampling[field] == "ignored"


async def test_a_tool_choice_that_is_ignored_is_found_out() -> None:
    async with fake("vllm", ignores=frozenset({"tool_choice"})) as server:
        assert (await chat(server)).details["tool_choice"] == "ignored"


async def test_a_field_that_is_refused_is_said() -> None:
    async with fake("plain", refuses=frozenset({"top_k", "seed"})) as server:
        found = await chat(server)
        assert found.sampling["top_k"] == found.sampling["seed"] == "ignored"
        assert found.details["refused_fields"] == ["seed", "top_k"]
        assert any("seed, top_k" in text for text in found.deviations)


async def test_fields_that_the_run_leaves_out_have_no_effect() -> None:
    async with fake("vllm") as server:
        found = await chat(server, top_k="omit", omit_fields=["seed"])
        assert (found.sampling["top_k"], found.sampling["seed"]) == ("ignored", "ignored")


async def test_checks_can_be_left_out() -> None:
    async with fake("plain") as server:
        found = await chat(server, check_fields=False)
        assert found.sampling == {}
        assert len(server.generations) == 1


async def test_a_kind_can_be_named() -> None:
    async with fake("plain") as server:
        found = await chat(server, server="vllm", check_fields=False)
        assert found.runtime == "vllm"
        assert server.generations[0]["top_k"] == -1


async def test_two_bos_in_the_servers_prompt_are_a_warning() -> None:
    async with fake("vllm") as server:
        server.doubles_rendered_bos = True
        assert any("two <bos>" in text for text in (await chat(server)).warnings)


# -- completions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["vllm", "sglang", "llama.cpp"])
async def test_completions_by_token_ids(flavour: str) -> None:
    async with fake(flavour) as server:
        found = await completions(server)
    assert found.details["prompt_sent_as"] == "token ids"
    assert found.details["control_tokens_visible"] is True
    assert found.details["token_ids"] is (flavour == "vllm")
    assert (found.renderer, found.parser, found.template_digest) == (None, None, None)
    assert (found.history, found.warnings) == ("prompt", ())
    assert found.sampling == dict.fromkeys(ALL, "applied")


async def test_lost_control_tokens_are_a_warning() -> None:
    async with fake("plain") as server:
        found = await completions(server)
    assert found.details["prompt_sent_as"] == "text"
    assert found.details["control_tokens_visible"] is False
    assert found.details["bos"] == "added by the server"
    (warning,) = found.warnings
    assert "leaves control tokens out" in warning


async def test_nothing_is_said_about_control_tokens_if_the_model_writes_none() -> None:
    async with FakeOpenAI(script=lambda body: "plain words") as server:
        found = await completions(server, check_fields=False)
        assert found.details["control_tokens_visible"] is None
        assert found.warnings == ()
        found = await completions(server, check_fields=False, control_probe="")
        assert "control_tokens_visible" not in found.details


async def test_a_server_that_wraps_prompts_is_found_out() -> None:
    async with fake("plain", wraps_prompt=True, strips_special=False) as server:
        assert any("template of its own" in text for text in (await completions(server)).warnings)


@pytest.mark.parametrize(("adds", "says"), [(True, "added"), (False, "not added")])
async def test_bos_is_told(adds: bool, says: str) -> None:
    async with fake("plain", adds_bos=adds) as server:
        found = await completions(server, check_fields=False)
        assert found.details["bos"] == f"{says} by the server"
        kept = await completions(server, check_fields=False, bos="keep")
        assert any("second <bos>" in text for text in kept.warnings) == adds


async def test_unknown_counts_leave_bos_unknown() -> None:
    async with fake("plain", delivery=Delivery(usage="none")) as server:
        found = await completions(server, check_fields=False)
        assert found.details["bos"] == "unknown"
        assert found.details["control_tokens_visible"] is None


async def test_a_tokenizer_that_does_not_know_a_control_token_is_a_warning() -> None:
    async with fake("vllm") as server:
        found = await completions(server, visible_tokens=["[no such token]", "<|tool_call>"])
        assert any("[no such token] as one token" in text for text in found.warnings)


# -- failures --------------------------------------------------------------------------------------


async def test_a_missing_server_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake("plain") as server:
        url = server.url
    for probe in (chat, completions):
        found = await probe(server, url=url)
        (warning,) = found.warnings
        assert "no answer from" in warning
        assert found.sampling == {}


async def test_a_wrong_key_is_a_warning() -> None:
    async with fake("plain", key="sk-1234") as server:
        (warning,) = (await chat(server)).warnings
        assert "401" in warning


async def test_a_model_that_is_not_listed_is_a_warning() -> None:
    async with fake("plain", models=("qwen3",)) as server:
        warnings = (await chat(server)).warnings
        assert any("does not list the model 'gemma4'; it has: qwen3" in text for text in warnings)


async def test_a_missing_list_of_models_is_a_warning_and_no_more() -> None:
    async with fake("vllm", missing=frozenset({"/v1/models"})) as server:
        found = await chat(server)
        assert any("lists no models" in text for text in found.warnings)
        assert (found.runtime, found.context_length) == ("vllm", None)


@pytest.mark.parametrize("answer", [Refusal(500, "boom"), HangUp()], ids=["500", "hang up"])
async def test_a_model_that_fails_is_a_warning(answer: Any) -> None:
    async with FakeOpenAI(flavour="vllm", script=lambda body: answer) as server:
        for probe in (chat, completions):
            found = await probe(server, retries=0)
            assert found.runtime_version == "9.9.9"
            assert any("could not be probed" in text for text in found.warnings)


async def test_probing_is_bounded() -> None:
    async with fake("plain") as server:
        server.answer_delay = 30
        found = await chat(server, probe_timeout=0.3)
        assert any("probe_timeout" in text for text in found.warnings)
