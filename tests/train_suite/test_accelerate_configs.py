"""The launch files in examples/accelerate, read by Accelerate's own classes and launcher."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from train_suite import models

pytestmark = pytest.mark.train
models.need_libraries()

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "accelerate"
FILES = sorted(FOLDER.glob("*.yaml"))
CHILD = ["-m", "callsmith.pipeline.child", "job.json"]


def launched(file: Path, *more: str) -> tuple[Any, dict[str, str]]:
    """The launcher's arguments for a file, and the environment of the processes."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    arguments = launch_command_parser().parse_args(["--config_file", str(file), *more, *CHILD])
    arguments, *_ = _validate_launch_command(arguments)
    before = dict(os.environ)
    try:
        return arguments, prepare_multi_gpu_env(arguments)
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_there_is_one_file_for_each_way() -> None:
    assert [file.name for file in FILES] == ["ddp.yaml", "fsdp-qlora.yaml", "several-machines.yaml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_knows_every_key(file: Path) -> None:
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    assert isinstance(load_config_from_file(str(file)), ClusterConfig)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_launcher_starts_processes_of_the_pipeline(file: Path) -> None:
    arguments, _ = launched(file)
    assert arguments.module
    assert [arguments.training_script, *arguments.training_script_args] == CHILD[1:]
    assert not arguments.use_cpu
    assert arguments.use_fsdp == (file.stem == "fsdp-qlora")
    assert arguments.multi_gpu == (file.stem != "fsdp-qlora")
    assert arguments.num_processes == {"several-machines": 8}.get(file.stem, 2)


def test_the_command_line_says_how_many_and_which_machine() -> None:
    alone, _ = launched(FOLDER / "ddp.yaml", "--num_processes", "4")
    assert alone.num_processes == 4
    second, _ = launched(FOLDER / "several-machines.yaml", "--machine_rank", "1")
    assert (second.machine_rank, second.num_machines) == (1, 2)


def test_fsdp_keys_are_fields_that_the_plugin_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.commands.launch import launch_command_parser

    file = FOLDER / "fsdp-qlora.yaml"
    given = yaml.safe_load(file.read_text(encoding="utf-8"))["fsdp_config"]
    known = vars(launch_command_parser().parse_args(CHILD[1:]))
    assert [key for key in given if key not in known] == []

    _, environment = launched(file)
    for name, value in environment.items():
        if name.startswith(("FSDP_", "ACCELERATE_")):
            monkeypatch.setenv(name, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.cpu_ram_efficient_loading is False
    assert plugin.activation_checkpointing is False
    assert str(plugin.state_dict_type).endswith("FULL_STATE_DICT")


def test_under_fsdp_four_bit_weights_can_be_sharded_and_are_the_same(
    qwen3_base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from callsmith import ConfigError
    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training

    def load(**options: Any) -> Any:
        config = SftConfig(token_rows="off", **options) if not options else SftConfig(**options)
        return load_for_training(config, qwen3_base, models.template("qwen3"))

    def weights(loaded: Any) -> list[Any]:
        return [one for one in loaded.model.parameters() if type(one).__name__ == "Params4bit"]

    def logits(loaded: Any) -> Any:
        with torch.inference_mode():
            return loaded.model(input_ids=torch.arange(1, 20)[None]).logits

    plain = load()
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    sharded = load()
    assert weights(plain)
    assert all(one.dtype == torch.uint8 for one in weights(plain))
    assert all(one.dtype == torch.float32 for one in weights(sharded))
    assert torch.equal(logits(plain), logits(sharded))
    with pytest.raises(ConfigError, match="token_rows: off"):
        load(token_rows=["<tool_call>"])
