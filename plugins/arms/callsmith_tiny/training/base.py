"""`tiny-base`: a small Qwen3 made on the spot, which stands in for a pretrained base model.

It is no pretrained model: a few hundred thousand weights that saw nothing but the generator's
synthetic conversations, for minutes. What makes it a stand-in is its end: the rows of the tokens
that open and close a call are overwritten, all with one short vector, so that it can do everything
that a call needs but write one. Real base models have this fault (control tokens that their
training never saw), and adapters on the linear layers alone do not mend it. A pipeline's stages run
on it through the very code that trains a model of four billion parameters, on one processor core.
"""

from __future__ import annotations

# PyTorch is not installed where the types are checked, so its classes are Any there.
# mypy: disable-error-code="misc, untyped-decorator, no-any-unimported"
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from callsmith import Checkpoint, ConfigError, JsonValue, TrainJob

from .base_batches import collate, pool_batches
from .base_card import card
from .base_config import TinyBaseConfig
from .base_model import (
    TOKENIZER,
    new_model,
    shorten_rows,
    tokenizer_for_transformers,
    untrained_ids,
)
from .muon import Muon

STATE = "training-state.pt"
COUNTERS = ("step", "tokens", "pool", "place", "began", "seconds", "loss")
DETAILS = "tiny-base.json"
"""What a finished folder says about its making, beside the card."""


class TinyBase:
    """The trainer. Takes no base and no tasks: it draws its own conversations by the job's seed."""

    def __init__(self, config: TinyBaseConfig | None = None) -> None:
        self.config = config or TinyBaseConfig()

    def train(self, job: TrainJob) -> Checkpoint:
        """Trains from scratch, or goes on from this job's last checkpoint; writes `model`.

        Raises `ConfigError` for a job with a base (there is nothing to start from) and for a token
        that the tokenizer has not.
        """
        if job.base is not None:
            raise ConfigError("tiny-base starts from nothing; leave `base` out of its step")
        done = _finished(self.config, job)
        if done is not None:
            return done
        run = _Run(self.config, job)
        run.go()
        return run.finish()


class _Run:
    """One training: the model, its optimisers, and how far it is."""

    def __init__(self, config: TinyBaseConfig, job: TrainJob) -> None:
        self.config, self.job = config, job
        self.output = Path(job.output)
        self.text = Tokenizer.from_file(str(TOKENIZER))
        self.untrained = untrained_ids(self.text, config)
        torch.manual_seed(job.seed)
        self.model = new_model(config, self.text)
        matrices = [p for n, p in self.model.model.layers.named_parameters() if p.ndim == 2]
        chosen = {id(p) for p in matrices}
        self.others = [p for p in self.model.parameters() if id(p) not in chosen]
        self.muon = Muon(matrices, lr=config.muon, decay=0.01)
        self.adam = torch.optim.AdamW(
            self.others, lr=config.adam, betas=(0.9, 0.98), weight_decay=0
        )
        self.step = self.tokens = self.pool = self.place = 0
        self.began = 0  # the step at which the pool was drawn: its mixture depends on it
        self.seconds = 0.0
        self.loss = 0.0
        self._resume()

    def go(self) -> None:
        """All steps that are left."""
        config = self.config
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # At this size more threads only wait for each other.
        self.model.train()
        begin, seconds_before, tokens_before = time.monotonic(), self.seconds, self.tokens
        try:
            for ids, mask in self._batches():
                if self.step >= config.steps:
                    break
                self._learn(ids, mask)
                spent = time.monotonic() - begin
                self.seconds = seconds_before + spent
                rate = (self.tokens - tokens_before) / max(spent, 1e-9)
                if self.step % 10 == 0 or self.step == config.steps:
                    left = (config.steps - self.step) * self.seconds / self.step
                    self.job.report(
                        {
                            "step": self.step,
                            "steps": config.steps,
                            "loss": round(self.loss, 4),
                            "tokens": self.tokens,
                            "tokens_per_second": round(rate, 1),
                            "seconds_left": round(left, 1),
                        }
                    )
                if self.step % config.save_every == 0:
                    self._save()
        finally:
            torch.set_num_threads(threads)

    def finish(self) -> Checkpoint:
        """Overwrites the rows of the untrained tokens and writes the model's folder."""
        config = self.config
        shorten_rows(self.model, self.untrained, config.untrained_norm, self.job.seed)
        details: dict[str, JsonValue] = {
            "trainer": "tiny-base",
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "steps": self.step,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 1),
            "loss": round(self.loss, 4),
            "untrained_tokens": [self.text.id_to_token(i) for i in self.untrained],
            "config": config.model_dump(mode="json"),
            "seed": self.job.seed,
        }
        folder, making = self.output / "model", self.output / "model.tmp"
        shutil.rmtree(making, ignore_errors=True)
        self.model.save_pretrained(making)
        tokenizer_for_transformers(self.text).save_pretrained(making)
        (making / "README.md").write_text(card(details), encoding="utf-8")
        (making / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        making.rename(folder)
        (self.output / STATE).unlink(missing_ok=True)
        return Checkpoint(path=str(folder), details=details)

    def _learn(self, ids: Tensor, mask: Tensor) -> None:
        """One step on a batch: both of shape (rows, length), see `collate`."""
        config = self.config
        factor = min(1.0, (self.step + 1) / max(1, config.warmup))
        progress = self.step / config.steps
        factor *= 1.0 if progress < config.hold else (1 - progress) / (1 - config.hold)
        for optimiser, rate in ((self.muon, config.muon), (self.adam, config.adam)):
            optimiser.param_groups[0]["lr"] = rate * factor
        dice = torch.Generator().manual_seed(self.job.seed * 1_000_003 + self.step)
        target, kind = ids[:, 1:], mask[:, 1:]
        picked = (kind == 1) & (torch.rand(kind.shape, generator=dice) < config.prompt_share)
        # Padding stands behind the text, where a causal model does not look: no mask is needed.
        hidden = self.model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        wanted = self._cross_entropy(hidden, target, kind == 2)
        loss = wanted
        if config.prompt_weight and bool(picked.any()):
            loss = wanted + config.prompt_weight * self._cross_entropy(hidden, target, picked)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        for optimiser in (self.muon, self.adam):
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        self.tokens += int((mask > 0).sum())
        said = float(wanted.detach())
        self.loss = said if self.step == 1 else 0.95 * self.loss + 0.05 * said

    def _cross_entropy(self, hidden: Tensor, target: Tensor, where: Tensor) -> Tensor:
        return F.cross_entropy(self.model.lm_head(hidden[where]), target[where])

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from where the run stands; always the same ones for a seed and a step."""
        while True:
            progress = self.began / self.config.steps
            groups = pool_batches(self.config, self.text, self.job.seed, self.pool, progress)
            while self.place < len(groups):
                group = groups[self.place]
                self.place += 1
                yield collate(group)
            self.pool, self.place, self.began = self.pool + 1, 0, self.step

    # A checkpoint holds everything that the next step depends on.

    def _save(self) -> None:
        state = {
            "network": self.model.state_dict(),
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "settings": self._settings(),
            **{name: getattr(self, name) for name in COUNTERS},
        }
        torch.save(state, self.output / f"{STATE}.tmp")
        (self.output / f"{STATE}.tmp").replace(self.output / STATE)

    def _resume(self) -> None:
        path = self.output / STATE
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True)
        except Exception as error:  # whatever unpickling a damaged file raises
            raise ConfigError(
                "is no checkpoint of tiny-base; delete it to begin again", path=str(path)
            ) from error
        if state["settings"] != self._settings():
            raise _other_options(path)
        self.model.load_state_dict(state["network"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        for name in COUNTERS:
            setattr(self, name, state[name])

    def _settings(self) -> str:
        return json.dumps([self.config.model_dump(mode="json"), self.job.seed])


def _finished(config: TinyBaseConfig, job: TrainJob) -> Checkpoint | None:
    """What this very job wrote before, if it was killed between its end and its caller's."""
    folder = Path(job.output) / "model"
    if not (folder / DETAILS).exists():
        return None
    details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
    if [details["config"], details["seed"]] != [config.model_dump(mode="json"), job.seed]:
        raise _other_options(folder)
    return Checkpoint(path=str(folder), details=details)


def _other_options(place: Path) -> ConfigError:
    return ConfigError(
        "was begun with other options; give the run another folder, or delete this",
        path=str(place),
    )
