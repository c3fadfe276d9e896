"""What the Ollama arms find out about a server and a model, and what they leave unknown."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from callsmith import Fidelity
from callsmith_ollama.chat_arm import OllamaChatArm
from callsmith_ollama.config import ChatConfig, RawConfig
from callsmith_ollama.raw_arm import OllamaRawArm
from servers.byte_server import byte_server
from servers.ollama import FakeOllama, Model

MODEL = "gemma4:e4b"
ALL = frozenset({"/api/version", "/api/tags", "/api/ps", "/api/show", "/api/chat", "/api/generate"})


@pytest.fixture
async def server() -> AsyncIterator[FakeOllama]:
    async with FakeOllama(script=lambda body: '<|"|>Oslo<|"|>}<tool_call|>') as running:
        yield running


async def probe_chat(server: FakeOllama, model: str = MODEL, **options: Any) -> Fidelity:
    arm = OllamaChatArm(ChatConfig(model=model, url=server.url, retry_wait=0, **options))
    try:
        return await arm.probe()
    finally:
        await arm.aclose()


async def probe_raw(server: FakeOllama, model: str = MODEL, **options: Any) -> Fidelity:
    arm = OllamaRawArm(RawConfig(model=model, url=server.url, retry_wait=0, **options))
    try:
        return await arm.probe()
    finally:
        await arm.aclose()


async def test_what_a_chat_arm_runs_on(server: FakeOllama) -> None:
    found = await probe_chat(server, num_ctx=4096)
    model = server.models[MODEL]
    assert (found.runtime, found.runtime_version) == ("ollama", server.version)
    assert (found.model, found.model_digest) == (MODEL, model.digest)
    assert (found.quantization, found.context_length) == ("Q4_K_M", 4096)
    assert (found.renderer, found.parser) == ("ollama gemma4", "ollama gemma4")
    assert found.details["family"] == "gemma4"
    assert found.details["trained_context_length"] == 131072
    assert found.warnings == ()


async def test_the_servers_own_rendering_is_kept(server: FakeOllama) -> None:
    found = await probe_chat(server)
    rendered = found.details["rendered_probe"]
    assert isinstance(rendered, str)
    assert "What is 2 plus 3?" in rendered
    digest = hashlib.sha256(rendered.encode()).hexdigest()
    assert found.details["rendered_probe_sha256"] == digest
    assert server.generations == [], "rendering generates nothing"


async def test_without_debug_rendering_the_rendering_is_unknown(server: FakeOllama) -> None:
    server.debug_rendering = False
    found = await probe_chat(server)
    assert "rendered_probe_sha256" not in found.details
    assert "rendered_probe" not in found.details
    assert [body["options"]["num_predict"] for body in server.generations] == [1]


async def test_fields_of_the_answer_win_over_modelfile_lines(server: FakeOllama) -> None:
    server.models[MODEL].modelfile = "FROM x\n# RENDERER no\nrenderer gemma4-large\n"
    found = await probe_chat(server)
    assert (found.renderer, found.parser) == ("ollama gemma4-large", None)


async def test_a_name_without_tag_is_the_latest(server: FakeOllama) -> None:
    server.models["tiny:latest"] = Model(digest="abc")
    assert (await probe_chat(server, "tiny")).model_digest == "abc"


async def test_a_smaller_context_than_asked_for_is_a_warning(server: FakeOllama) -> None:
    server.context_limit = 2048
    for found in (await probe_chat(server), await probe_raw(server)):
        assert found.context_length == 2048
        assert any("2048 tokens, not the num_ctx of 8192" in text for text in found.warnings)


async def test_what_the_modelfile_adds_is_a_warning(server: FakeOllama) -> None:
    model = server.models[MODEL]
    model.system = "You are Mario."
    model.messages = [{"role": "user", "content": "Hi"}]
    model.parameters = (
        'stop                           "<|im_end|>"\ntop_k                         4'
    )
    warnings = (await probe_chat(server)).warnings
    assert [word for word in ("SYSTEM", "MESSAGE", "<|im_end|>") if word in " ".join(warnings)] == [
        "SYSTEM",
        "MESSAGE",
        "<|im_end|>",
    ]


async def test_control_tokens_that_are_seen(server: FakeOllama) -> None:
    found = await probe_raw(server)
    assert found.details["control_tokens_visible"] is True
    assert found.details["bos"] == "once"
    assert (found.renderer, found.parser, found.template_digest) == (None, None, None)
    assert found.warnings == ()
    assert all(body["options"]["num_predict"] == 1 for body in server.generations)
    assert all(body["raw"] is True for body in server.generations)


async def test_control_tokens_that_are_lost(server: FakeOllama) -> None:
    server.loses_control_tokens = True
    found = await probe_raw(server)
    assert found.details["control_tokens_visible"] is False
    assert any("loses this model's control tokens" in text for text in found.warnings)


@pytest.mark.parametrize(("kind", "visible"), [(3, False), (4, True)])
async def test_where_the_model_writes_something_else_the_token_types_decide(
    server: FakeOllama, kind: int, visible: bool
) -> None:
    server.script = lambda body: "Oslo"
    server.models[MODEL].token_types = {"a": 1, "<|tool_call>": kind, '<|"|>': 4}
    found = await probe_raw(server)
    assert found.details["control_tokens_visible"] is visible
    assert found.details["control_token_types"] == {"<|tool_call>": kind, '<|"|>': 4}
    assert bool(found.warnings) is not visible


@pytest.mark.parametrize("answer", ["Oslo", "<turn|>"])
async def test_where_nothing_tells_it_is_unknown(server: FakeOllama, answer: str) -> None:
    server.script = lambda body: answer
    server.models[MODEL].token_types = {"a": 1}
    found = await probe_raw(server)
    assert found.details["control_tokens_visible"] is None
    assert found.warnings == ()


async def test_no_generation_without_a_control_probe(server: FakeOllama) -> None:
    found = await probe_raw(server, control_probe="")
    assert server.generations == []
    assert found.details["control_tokens_visible"] is True  # by the types of the tokens


async def test_a_doubled_bos_is_found(server: FakeOllama) -> None:
    server.doubles_bos = True
    assert (await probe_raw(server)).details["bos"] == "twice"


async def test_counts_of_old_servers_say_nothing_about_bos(server: FakeOllama) -> None:
    server.counts_only_uncached = True
    assert (await probe_raw(server)).details["bos"] is None


async def test_no_server_is_a_warning_and_nothing_is_guessed() -> None:
    async with FakeOllama() as gone:
        pass
    for found in (await probe_chat(gone, retries=0), await probe_raw(gone, retries=0)):
        assert found == Fidelity(
            runtime="ollama",
            model=MODEL,
            history=found.history,
            warnings=found.warnings,
            details={"url": gone.url},
        )
        assert len(found.warnings) == 1
        assert "ollama serve" in found.warnings[0]


async def test_no_such_model_is_a_warning(server: FakeOllama) -> None:
    found = await probe_chat(server, "gemma9:1t")
    assert any("ollama pull gemma9:1t" in text for text in found.warnings)
    assert found.runtime_version == server.version


@pytest.mark.parametrize("missing", sorted(ALL))
async def test_a_server_may_lack_any_one_endpoint(server: FakeOllama, missing: str) -> None:
    server.missing = frozenset({missing})
    chat, raw = await probe_chat(server), await probe_raw(server)
    assert (chat.runtime_version is None) == (missing == "/api/version")
    assert (chat.model_digest is None) == (missing == "/api/tags")
    assert (chat.quantization is None) == (missing == "/api/show")
    assert ("rendered_probe_sha256" in chat.details) == (missing != "/api/chat")
    if missing == "/api/ps":
        assert (chat.context_length, raw.context_length) == (None, None)


async def test_a_server_may_lack_them_all(server: FakeOllama) -> None:
    server.missing = ALL
    for found in (await probe_chat(server), await probe_raw(server)):
        assert (found.runtime_version, found.model_digest, found.context_length) == (None,) * 3


async def test_a_model_that_takes_long_to_load_leaves_the_rest_known(server: FakeOllama) -> None:
    server.delay = 5
    server.debug_rendering = False
    for found in (
        await probe_chat(server, probe_timeout=0.2),
        await probe_raw(server, probe_timeout=0.2),
    ):
        assert found.quantization == "Q4_K_M"
        assert found.context_length is None
        assert any("probe_timeout" in text for text in found.warnings)


async def test_a_server_that_hangs_is_a_warning() -> None:
    async with byte_server(None) as hanging:
        arm = OllamaChatArm(ChatConfig(model=MODEL, url=hanging.url, probe_timeout=0.2))
        found = await arm.probe()
        await arm.aclose()
    assert found.runtime_version is None
    assert any("probe_timeout" in text for text in found.warnings)
