"""Options, folders, adapters, what is probed, and a machine without vLLM."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import callsmith_vllm
from callsmith import ArmError, Catalog, ConfigError, MissingExtraError, Prompt, Sampling, Segment
from callsmith.registry import Plugin
from callsmith_vllm.adapters import choose
from callsmith_vllm.config import VllmConfig
from fixtures.vllm_engine import VERSION, World, installed
from fixtures.vllm_tokenizer import tiny_tokenizer

HELLO = Prompt(segments=(Segment(text="hi", origin="content"),))


@pytest.fixture
def world() -> Iterator[World]:
    outside = World()
    with installed(outside):
        yield outside


@pytest.fixture
def catalog() -> Catalog:
    components = tuple(("arm", component) for component in callsmith_vllm.callsmith_arms())
    return Catalog([Plugin(name="vllm", module="callsmith_vllm", components=components)])  # type: ignore[arg-type]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"r": 12}', encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(b"lora")
    return folder


def built(**options: Any) -> Any:
    from callsmith_vllm.arm import VllmArm

    return VllmArm(VllmConfig(**{"model": "google/gemma-4-tiny", **options}))


def test_a_machine_without_vllm_is_told_the_extra(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("callsmith_vllm.arm", "callsmith_vllm.library"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'callsmith\[vllm\]'"):
        catalog.build("arm", "vllm", {"model": "google/gemma-4-E2B-it"})


def test_options_are_checked_without_vllm(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="did you mean 'max_model_len'"):
        catalog.resolve("arm", "vllm", {"model": "m", "max_model_length": 5})


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"adapter": "x"}, r"adapter 'x' is not among the adapters \(none\)"),
        ({"engine_args": {"max_model_len": 5}}, "engine_args has 'max_model_len': use the option"),
        ({"engine_args": {"enable_lora": True}}, "use the option 'adapter'"),
        ({"gpu_memory_utilization": 1.5}, "gpu_memory_utilization"),
        ({"dtype": "int4"}, "dtype"),
    ],
    ids=["adapter", "twice", "lora", "fraction", "dtype"],
)
def test_wrong_options(catalog: Catalog, options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        catalog.resolve("arm", "vllm", {"model": "m", **options})


async def test_options_reach_the_engine(world: World, model: Path, adapter: Path) -> None:
    arm = built(
        path=str(model),
        dtype="float16",
        quantization="bitsandbytes",
        kv_cache_dtype="fp8",
        max_model_len=4096,
        gpu_memory_utilization=0.85,
        max_num_seqs=8,
        tensor_parallel_size=2,
        enforce_eager=True,
        prefix_caching=False,
        text_only=False,
        seed=3,
        adapters={"tuned": str(adapter)},
        adapter="tuned",
        engine_args={"cpu_offload_gb": 2.5},
    )
    await arm.complete(HELLO, Sampling(max_tokens=4))
    assert vars(world.engines[0].arguments) == {
        "model": str(model),
        "revision": None,
        "dtype": "float16",
        "quantization": "bitsandbytes",
        "kv_cache_dtype": "fp8",
        "max_model_len": 4096,
        "gpu_memory_utilization": 0.85,
        "max_num_seqs": 8,
        "tensor_parallel_size": 2,
        "enforce_eager": True,
        "enable_prefix_caching": False,
        "language_model_only": False,
        "seed": 3,
        "enable_lora": True,
        "max_loras": 1,
        "max_lora_rank": 16,
        "disable_log_stats": True,
        "cpu_offload_gb": 2.5,
    }


async def test_what_is_not_said_is_vllms_default(world: World) -> None:
    await built().complete(HELLO, Sampling(max_tokens=4))
    arguments = world.engines[0].arguments
    assert arguments.model == "google/gemma-4-tiny"
    assert arguments.quantization is None
    assert arguments.max_num_seqs is None
    assert arguments.enable_lora is False
    assert world.requests[0].lora is None


def test_an_engine_argument_that_vllm_lacks(world: World) -> None:
    with pytest.raises(ConfigError, match=r"^engine_args: vLLM .* has no engine argument 'cpu_gb'"):
        built(engine_args={"cpu_gb": 2})


async def test_an_adapter_goes_with_every_request(world: World, adapter: Path) -> None:
    adapters = {"tuned": str(adapter), "another": "not used, so not looked at"}
    arm = built(adapters=adapters, adapter="tuned")
    await arm.complete(HELLO, Sampling(max_tokens=4))
    assert world.requests[0].lora == "tuned"
    (loaded,) = world.engines[0].loras
    assert (loaded.lora_name, loaded.lora_int_id) == ("tuned", 2)
    assert Path(loaded.lora_path) == adapter.resolve()


async def test_an_adapter_that_cannot_be_loaded_ends_the_start(world: World, adapter: Path) -> None:
    world.lora_error = ValueError("vLLM does not yet support DoRA.")
    arm = built(adapters={"tuned": str(adapter)}, adapter="tuned")
    with pytest.raises(ArmError, match=r"adapter 'tuned' could not be loaded: .*DoRA"):
        await arm.complete(HELLO, Sampling())
    assert world.engines[0].shut_down == 1


def test_numbers_do_not_depend_on_the_order_in_the_file(adapter: Path) -> None:
    one = choose({"b": str(adapter), "a": "x"}, "b")
    two = choose({"a": "x", "b": str(adapter)}, "b")
    assert one == two
    assert one is not None
    assert (one.number, one.room) == (2, 16)


@pytest.mark.parametrize(
    ("data", "room"),
    [
        ({"r": 1}, 1),
        ({"r": 9}, 16),
        ({"r": 8, "rank_pattern": {"q_proj": 40}}, 64),
        ({"r": 512}, 512),
    ],
    ids=["one", "nine", "pattern", "most"],
)
def test_room_for_the_rank(adapter: Path, data: Any, room: int) -> None:
    (adapter / "adapter_config.json").write_text(json.dumps(data), encoding="utf-8")
    chosen = choose({"a": str(adapter)}, "a")
    assert chosen is not None
    assert chosen.room == room


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "has no adapter_config.json"),
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"peft_type": "IA3"}', "no rank `r`"),
        ('{"r": true}', "no rank `r`"),
        ('{"r": 513}', "512 at most"),
    ],
    ids=["missing", "torn", "list", "kind", "bool", "large"],
)
def test_a_folder_that_is_no_adapter(adapter: Path, text: str | None, line: str) -> None:
    file = adapter / "adapter_config.json"
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=line) as caught:
        choose({"a": str(adapter)}, "a")
    assert str(caught.value).startswith("adapters.a: ")


def test_an_adapter_without_weights(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ConfigError, match="has no weights"):
        choose({"a": str(adapter)}, "a")


@pytest.mark.parametrize(
    ("lacks", "line"),
    [("config.json", "has no config.json"), ("model.safetensors", "has no weights")],
)
def test_a_checkpoint_without_its_files(world: World, model: Path, lacks: str, line: str) -> None:
    (model / lacks).unlink()
    with pytest.raises(ConfigError, match=line):
        built(path=str(model))


def test_a_folder_that_is_not_there(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^path: there is no folder"):
        built(path=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"^model: there is no folder"):
        built(model=str(tmp_path / "nowhere"))


async def test_probe_of_a_folder(world: World, model: Path, adapter: Path) -> None:
    world.name_or_path = str(model)
    options = {"adapters": {"tuned": str(adapter)}, "adapter": "tuned"}
    fidelity = await built(path=str(model), max_model_len=2048, **options).probe()
    tokenizer = hashlib.sha256((model / "tokenizer.json").read_bytes()).hexdigest()
    assert fidelity.runtime == "vllm"
    assert fidelity.runtime_version == VERSION
    assert fidelity.model == "google/gemma-4-tiny"
    assert fidelity.quantization == "bfloat16"
    assert fidelity.context_length == 2048
    assert fidelity.tokenizer_digest == f"sha256:{tokenizer}"
    assert fidelity.history == "prompt"
    assert set(fidelity.sampling.values()) == {"applied"}
    assert fidelity.warnings == ()
    assert fidelity.details["adapter"] == "tuned"
    assert fidelity.details["adapters"] == {"tuned": str(adapter)}
    assert fidelity.details["kv_cache_dtype"] == "auto"
    assert fidelity.details["kv_cache_blocks"] == 512
    before = fidelity.model_digest, fidelity.details["adapter_digest"]
    (model / "model.safetensors").write_bytes(b"Weights")
    (adapter / "adapter_model.safetensors").write_bytes(b"Lora")
    changed = await built(path=str(model), **options).probe()
    assert changed.model_digest != before[0]
    assert changed.details["adapter_digest"] != before[1]


async def test_probe_of_a_model_from_the_hub(world: World) -> None:
    fidelity = await built(quantization="fp8").probe()
    assert fidelity.model_digest == "commit:0123abcd"
    assert fidelity.quantization == "fp8"
    assert fidelity.details["dtype"] == "bfloat16"
    assert fidelity.tokenizer_digest is None


async def test_prompts_as_text_are_a_warning(world: World) -> None:
    fidelity = await built(prompt_as="text").probe()
    assert "prompt_as" in fidelity.warnings[0]
