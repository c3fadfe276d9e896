"""A process of `test_fsdp.py`: `torchrun … fsdp_process.py BASE OUT` trains a few steps with FSDP.

Accelerate starts FSDP on GPUs only. Here its function that shards a model is called with what it
reads of an accelerator, on CPUs with gloo. OUT gets what was there and what came of it, as JSON,
and the adapter beside.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LEARNING_RATE = 0.5
STEPS = 3


def batch() -> Any:
    """Two rows of token ids; each of two processes has one."""
    import torch

    return (torch.arange(64) % 97 + 5).view(2, 32)


def loaded(base: str) -> Any:
    """The base in 4 bits with a new adapter, the same one every time."""
    from callsmith import Checkpoint
    from callsmith_trl.config import SftConfig
    from callsmith_trl.loading import load_for_training
    from train_suite import models

    config = SftConfig(token_rows="off", rank=4, device="cpu")
    return load_for_training(config, Checkpoint(path=base), models.template("qwen3"), seed=3)


def train(model: Any, ids: Any) -> list[float]:
    """Takes the steps and returns the loss of each."""
    import torch

    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=LEARNING_RATE)
    losses = []
    for _ in range(STEPS):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def main(base: str, out: Path) -> None:
    """What one process does."""
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    import torch.distributed as dist
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh

    from callsmith_trl.weights import write_weights

    dist.init_process_group("gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    whole = loaded(base)
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        cpu_ram_efficient_loading=False,
        state_dict_type="FULL_STATE_DICT",
    )
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=init_device_mesh("cpu", (processes,), mesh_dim_names=("shards",)),
        parallelism_config=SimpleNamespace(fsdp_dim_names=["shards"]),
        mixed_precision="no",
        is_main_process=rank == 0,
        device="cpu",
    )
    model = fsdp2_prepare_model(accelerator, whole.model)
    held = {name: (one.numel(), one.to_local().numel()) for name, one in model.named_parameters()}
    losses = train(model, batch()[rank : rank + 1])
    gathered: list[Any] = [None] * processes
    dist.all_gather_object(gathered, losses)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, broadcast_from_rank0=True)
    state = get_model_state_dict(model, options=options)
    if rank == 0:
        write_weights(whole, out / "adapter", state=state)
        said = {"held": held, "losses": [sum(of) / processes for of in zip(*gathered, strict=True)]}
        (out / "said.json").write_text(json.dumps(said), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
