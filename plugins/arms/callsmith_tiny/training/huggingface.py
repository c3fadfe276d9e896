"""Makes the embedded model known to transformers: importing this registers it.

Trainers and the arm `hf` import it when their option `register` says so:
`register: callsmith_tiny.training.huggingface`. Afterwards `AutoConfig` and
`AutoModelForCausalLM` load the folders that `callsmith_tiny.training.checkpoint` writes.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from .transformers_model.cache import TinyCache
from .transformers_model.configuration import MODEL_TYPE, TinyConfig
from .transformers_model.modeling import TinyBackbone, TinyForCausalLM

__all__ = ["TinyBackbone", "TinyCache", "TinyConfig", "TinyForCausalLM"]

AutoConfig.register(MODEL_TYPE, TinyConfig, exist_ok=True)
AutoModel.register(TinyConfig, TinyBackbone, exist_ok=True)
AutoModelForCausalLM.register(TinyConfig, TinyForCausalLM, exist_ok=True)
