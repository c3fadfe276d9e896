"""The network on NumPy: weights from safetensors, a cache of keys and values, log probabilities.

The same arithmetic as ``training/network.py``, in single precision, one sequence at a time.
Weights are stored in half precision and computed in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

BLOCK = 256
"""How many tokens of a prompt are computed at once: bounds the memory of attention scores."""

_TINY = np.float32(1e-38)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network, as the weights file's metadata gives them."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    kernel: int
    rope_base: float
    epsilon: float

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: Floats
    attention_conv: Floats
    query_key_value: Floats
    output: Floats
    query_norm: Floats
    key_norm: Floats
    hidden_norm: Floats
    hidden_conv: Floats
    gate_up: Floats
    down: Floats


class State:
    """What is remembered of the text so far: keys, values, convolution inputs, pointer keys.

    ``keys`` and ``values`` are (layers, heads, capacity, head width), ``pointer`` is
    (capacity, width), ``recent`` (layers, 2, kernel - 1, width); all grow as needed.
    """

    def __init__(self, shape: Shape, capacity: int = 512) -> None:
        self.length = 0
        size = (shape.layers, shape.heads, capacity, shape.head_width)
        self.keys = np.zeros(size, np.float32)
        self.values = np.zeros(size, np.float32)
        self.pointer = np.zeros((capacity, shape.width), np.float32)
        self.ids = np.zeros(capacity, np.int64)
        self.recent = np.zeros((shape.layers, 2, shape.kernel - 1, shape.width), np.float32)

    def reserve(self, length: int) -> None:
        """Makes room for ``length`` tokens in all."""
        capacity = self.ids.shape[0]
        if length <= capacity:
            return
        more = max(length, 2 * capacity) - capacity
        grow = ((0, 0), (0, 0), (0, more), (0, 0))
        self.keys, self.values = np.pad(self.keys, grow), np.pad(self.values, grow)
        self.pointer = np.pad(self.pointer, ((0, more), (0, 0)))
        self.ids = np.pad(self.ids, (0, more))


class TinyModel:
    """The embedded language model.

    ``path`` is a safetensors file as ``training/export.py`` writes it. Raises FileNotFoundError
    when it is missing and ValueError when it is not such a file.
    """

    def __init__(self, path: Path) -> None:
        try:
            opened = safe_open(str(path), framework="numpy")
        except SafetensorError as error:
            raise ValueError(f"{path}: not a weights file: {error}") from None
        with opened as file:
            metadata = file.metadata() or {}
            try:
                self.shape = Shape(
                    **{k: int(metadata[k]) for k in _WHOLE},
                    rope_base=float(metadata["rope_base"]),
                    epsilon=float(metadata["epsilon"]),
                )
            except KeyError as error:
                raise ValueError(f"{path}: no {error} in the metadata: not a tiny model") from None
            tensors = {k: file.get_tensor(k).astype(np.float32) for k in file.keys()}  # noqa: SIM118
        self.metadata = dict(metadata)
        self.parameters = sum(tensor.size for tensor in tensors.values())
        self.embedding = tensors["embedding.weight"]
        self.norm = tensors["norm"]
        self.pointer_query = _turned(tensors["pointer_query.weight"])
        self.pointer_key = _turned(tensors["pointer_key.weight"])
        self.share_weight = tensors["share.weight"][0]
        self.share_bias = tensors["share.bias"][0]
        self.layers = [_layer(tensors, f"blocks.{i}.") for i in range(self.shape.layers)]
        half = self.shape.head_width // 2
        exponent = np.arange(half, dtype=np.float32) / half
        self.frequency: Floats = np.power(self.shape.rope_base, -exponent).astype(np.float32)

    def state(self, capacity: int = 512) -> State:
        """An empty text."""
        return State(self.shape, capacity)

    def feed(self, ids: Ints | list[int], state: State) -> Floats:
        """Takes the next tokens; returns the log probabilities of what follows, (vocabulary,).

        Raises ValueError when there is no token at all.
        """
        tokens = np.asarray(ids, np.int64)
        if not len(tokens):
            raise ValueError("feed needs at least one token")
        for start in range(0, len(tokens), BLOCK):
            hidden = self._forward(tokens[start : start + BLOCK], state)
        after: Floats = self._mixture(hidden[-1:], state, state.length - 1)[0]
        return after

    def logprobs(self, ids: Ints | list[int]) -> Floats:
        """Log probabilities after every token, (length, vocabulary): for comparisons."""
        state = self.state(len(ids))
        tokens = np.asarray(ids, np.int64)
        out = []
        for start in range(0, len(tokens), BLOCK):
            hidden = self._forward(tokens[start : start + BLOCK], state)
            out.append(self._mixture(hidden, state, start))
        return np.concatenate(out)

    def _forward(self, tokens: Ints, state: State) -> Floats:
        """Hidden states (count, width) of the next tokens; ``state`` moves on."""
        shape = self.shape
        start, count = state.length, len(tokens)
        end = start + count
        state.reserve(end)
        state.ids[start:end] = tokens
        angle = np.arange(start, end, dtype=np.float32)[:, None] * self.frequency
        cos, sin = np.cos(angle), np.sin(angle)
        mask = _later(start, end) if count > 1 else None
        x = self.embedding[tokens]
        for index, layer in enumerate(self.layers):
            h = _rms(x, shape.epsilon) * layer.attention_norm
            h = _convolve(h, layer.attention_conv, state.recent[index, 0])
            heads = (h @ layer.query_key_value).reshape(count, 3, shape.heads, shape.head_width)
            q, k, v = heads.transpose(1, 2, 0, 3)
            q = _rotate(_rms(q, shape.epsilon) * layer.query_norm, cos, sin)
            k = _rotate(_rms(k, shape.epsilon) * layer.key_norm, cos, sin)
            state.keys[index, :, start:end] = k
            state.values[index, :, start:end] = v
            scores = q @ state.keys[index, :, :end].transpose(0, 2, 1)
            scores *= np.float32(shape.head_width**-0.5)
            if mask is not None:
                scores += mask
            mixed = _softmax(scores) @ state.values[index, :, :end]
            x = x + mixed.transpose(1, 0, 2).reshape(count, shape.width) @ layer.output
            h = _rms(x, shape.epsilon) * layer.hidden_norm
            h = _convolve(h, layer.hidden_conv, state.recent[index, 1])
            gate, up = np.split(h @ layer.gate_up, 2, axis=-1)
            x = x + (gate / (1 + np.exp(-gate)) * up) @ layer.down
        hidden: Floats = _rms(x, shape.epsilon) * self.norm
        state.pointer[start:end] = hidden @ self.pointer_key
        state.length = end
        return hidden

    def _mixture(self, hidden: Floats, state: State, start: int) -> Floats:
        """Log probabilities (count, vocabulary) after the tokens at ``start`` and following."""
        count, end = len(hidden), start + len(hidden)
        share = hidden @ self.share_weight + self.share_bias
        words = _log_softmax(hidden @ self.embedding.T) - np.logaddexp(0, -share)[:, None]
        query: Floats = hidden @ self.pointer_query * np.float32(self.shape.width**-0.5)
        pointed: Floats = query @ state.pointer[:end].T
        if count > 1:
            pointed += _later(start, end)
        weight = np.exp(_log_softmax(pointed) - np.logaddexp(0, share)[:, None])
        copied = np.zeros_like(words)
        rows = np.arange(count)[:, None]
        np.add.at(copied, (rows, state.ids[None, :end]), weight)
        mixture: Floats = np.logaddexp(words, np.log(np.maximum(copied, _TINY)))
        return mixture


_WHOLE = ("vocabulary", "width", "layers", "heads", "hidden", "kernel")


def _layer(tensors: dict[str, Floats], prefix: str) -> _Layer:
    def matrix(*names: str) -> Floats:
        return _turned(np.concatenate([tensors[f"{prefix}{name}.weight"] for name in names]))

    return _Layer(
        attention_norm=tensors[prefix + "attention_norm"],
        attention_conv=tensors[prefix + "attention_conv.weight"],
        query_key_value=matrix("query", "key", "value"),
        output=matrix("output"),
        query_norm=tensors[prefix + "query_norm"],
        key_norm=tensors[prefix + "key_norm"],
        hidden_norm=tensors[prefix + "hidden_norm"],
        hidden_conv=tensors[prefix + "hidden_conv.weight"],
        gate_up=matrix("gate", "up"),
        down=matrix("down"),
    )


def _later(start: int, end: int) -> Floats:
    """What keeps a position from looking at later ones: 0 or minus infinity, (end - start, end)."""
    later = np.arange(end)[None, :] > np.arange(start, end)[:, None]
    return np.where(later, np.float32(-np.inf), np.float32(0))


def _turned(weight: Floats) -> Floats:
    """(out, in) as PyTorch stores it, to (in, out), laid out for x @ weight."""
    return np.ascontiguousarray(weight.T)


def _rms(x: Floats, epsilon: float) -> Floats:
    mean = np.mean(np.square(x), axis=-1, keepdims=True)
    scaled: Floats = x / np.sqrt(mean + np.float32(epsilon))
    return scaled


def _convolve(x: Floats, weight: Floats, recent: Floats) -> Floats:
    """x[t] + sum over j of weight[j] * x[t - j]; ``recent`` are the inputs before, renewed here."""
    kernel, count = len(weight), len(x)
    padded = np.concatenate((recent, x))
    out: Floats = x * (1 + weight[0])
    for j in range(1, kernel):
        out += padded[kernel - 1 - j : kernel - 1 - j + count] * weight[j]
    recent[:] = padded[count:]
    return out


def _rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    left, right = np.split(x, 2, axis=-1)
    turned: Floats = np.concatenate((left * cos - right * sin, right * cos + left * sin), axis=-1)
    return turned


def _softmax(x: Floats) -> Floats:
    e: Floats = np.exp(x - x.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e


def _log_softmax(x: Floats) -> Floats:
    shifted = x - x.max(axis=-1, keepdims=True)
    normal: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normal
