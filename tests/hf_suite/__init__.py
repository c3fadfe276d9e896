"""The arm `hf` on a real model, with the real transformers, PEFT and bitsandbytes."""
