"""The fixed sentences of the conversations; words, numbers and dates are filled into them."""

from __future__ import annotations

import random

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant. Use the tools when they help.",
    "Use the given tools to answer.",
    "You can call tools. Answer in short sentences.",
    "You are an assistant with tools. Call a tool when the request needs one.",
    "Answer the user.",
    "You are a home assistant. Call a tool when one fits, otherwise answer in text.",
    "Be brief.",
    "You are an assistant for the {a} {b}. Only use the tools that are declared.",
    "You help with the {a}. Today is {d}.",
    "You work for {a} {b}. Never guess a value.",
)

SMALL_TALK: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("hello", "hi", "hey", "good morning", "hello there", "hi there"),
        "Hello! How can I help you?",
    ),
    (
        ("thanks", "thank you", "thank you very much", "great, thanks", "thanks a lot"),
        "You are welcome.",
    ),
    (("bye", "goodbye", "see you", "good night"), "Goodbye!"),
    (
        ("who are you?", "what are you?", "what is your name?", "are you a robot?"),
        "I am a very small model that calls tools.",
    ),
    (("how are you?", "how do you do?", "how is it going?"), "I am fine. How can I help you?"),
)
NO_TOOL = "I have no tool for that."
QUESTIONS = (
    "what is the {a} of the {b}?",
    "why is the {a} so {b}?",
    "do you like the {a}?",
    "tell me a joke",
    "tell me a joke about the {a}",
    "write a poem about the {a} and the {b}",
    "who invented the {a}?",
    "what is {n} plus {m}?",
    "how many {a} are in a {b}?",
    "explain the {a} to me",
    "is the {a} better than the {b}?",
    "what do you think about {a}?",
)
RESULT_TEXTS = (
    "ok",
    "done",
    "{n}",
    "{a}",
    "{a} {b}",
    "the {a} is {n}",
    "The {a} is {b}.",
    "{a} is now {b}",
    "{n} {a} found",
    "{a}, {b}, {c}",
    "{A} {B}",
    "{n} {a} in the {b}",
    "saved as {a}.txt",
    "the {a} of the {b} is {c}",
    "{a}_{n}",
)
ERROR_TEXTS = (
    "not found",
    "timeout",
    "no such {a}",
    "{a} is not available",
    "the {a} did not answer",
    "permission denied for {a}",
    "{a} must be a {b}",
    "unknown {a}: {b}",
)


def join_requests(rng: random.Random, texts: list[str]) -> str:
    """Several requests as one message."""
    glue = rng.choice(
        (", and ", " and also ", ". Also ", "; ", ". ", " and ", ", then ", ". Then ")
    )
    return glue.join([t.rstrip(".?!") for t in texts])
