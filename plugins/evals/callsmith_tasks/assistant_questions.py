"""The questions of the task set `assistant`, with what is right.

Free text in arguments (search terms, image prompts, notes to remember) is never compared; which
tool, which source, which key, which address and which titles are. Facts that an answer must hold
stand in tool results only, except in answer-only tasks, where the conversation or general
knowledge has them. Where a model may reasonably look twice, further calls are allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from callsmith import JsonValue
from callsmith_tasks.assistant_targets import (
    ANYTHING,
    answer_only,
    call,
    fetch,
    image,
    library,
    one_of,
    optional,
    search,
    target_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the user asks, and the target that verifiers check."""

    id: str
    text: str
    tags: tuple[str, ...]
    target: Mapping[str, JsonValue] = field(default_factory=dict)


_ONE_CALL = (
    Question(
        id="library-three-titles",
        text="Which of these are in our library: Eleven Bridges, The Ferryman's Ledger, Low Tide? "
        "For those that are, tell me the year.",
        tags=("one-call", "media"),
        target=target_of(
            library("Eleven Bridges", "The Ferryman's Ledger", "Low Tide"), says=("2021",)
        ),
    ),
    Question(
        id="memory-read",
        text="What did I have you remember under ups_battery_date?",
        tags=("one-call", "memory"),
        target=target_of(
            call("memory_read", key="ups_battery_date"),
            says=(one_of("2025-11-18", "November 18", "18 November", "18th of November"),),
        ),
    ),
    Question(
        id="memory-write",
        text="Please remember 10.0.20.41 under the key printer_ip.",
        tags=("one-call", "memory"),
        target=target_of(call("memory_write", key="printer_ip", value="10.0.20.41")),
    ),
    Question(
        id="web-search-festival",
        text="Search the web: in which town is the next Nordlys Film Festival?",
        tags=("one-call", "web"),
        target=target_of(search("web_search"), says=(one_of("Tromsø", "Tromso"),)),
    ),
    Question(
        id="service-port",
        text="Look in the service inventory: which port does Paperless use?",
        tags=("one-call", "homelab"),
        target=target_of(search("homelab_search", source="services"), says=("8010",)),
    ),
    Question(
        id="wiki-with-limit",
        text="Search the wiki for the storage of borea, at most 3 results, and tell me at what "
        "time of day the monthly scrub starts.",
        tags=("one-call", "homelab"),
        target=target_of(search("homelab_search", source="wiki", limit=3), says=("03:25",)),
    ),
    Question(
        id="log-backup-failure",
        text="Last night's backup on borea failed. What do the logs give as the reason? Tell me "
        "the process id as well.",
        tags=("one-call", "homelab"),
        target=target_of(search("homelab_search", source="logs"), says=("locked", "4127")),
    ),
    Question(
        id="past-chat",
        text="Some weeks ago we talked about timing and hydration for my sourdough. Which "
        "hydration did we end up with?",
        tags=("one-call", "chat"),
        target=target_of(search("chat_search"), says=("78",)),
    ),
    Question(
        id="image-small",
        text="Make me a 512x512 icon of a lighthouse for the dashboard and give me its address.",
        tags=("one-call", "image"),
        target=target_of(image(size="512x512"), says=("img-4131",)),
    ),
)

_SEVERAL_CALLS = (
    Question(
        id="two-memories",
        text="Read me what you have stored under nas_ip and under guest_wifi_name.",
        tags=("two-calls", "parallel", "memory"),
        target=target_of(
            call("memory_read", key="nas_ip"),
            call("memory_read", key="guest_wifi_name"),
            says=("10.0.10.12", "Tidepool"),
        ),
    ),
    Question(
        id="two-pages",
        text="Compare https://releases.example.org/jellyfin/latest and "
        "https://releases.example.org/immich/latest: what is the latest version of each?",
        tags=("two-calls", "parallel", "web"),
        target=target_of(
            fetch("https://releases.example.org/jellyfin/latest"),
            fetch("https://releases.example.org/immich/latest"),
            says=("10.11.6", "2.5.3"),
        ),
    ),
    Question(
        id="library-and-web",
        text="Is Meridian Street in our library, and who directed it according to the web?",
        tags=("two-calls", "parallel", "media", "web"),
        target=target_of(
            library("Meridian Street"), search("web_search"), says=("Ilse Vantongeren",)
        ),
    ),
    Question(
        id="three-versions",
        text="Which versions of Jellyfin, Immich and Grafana does the service inventory list?",
        tags=("parallel", "homelab"),
        target=target_of(
            search("homelab_search", source="services"),
            optional(search("homelab_search", source="services")),
            optional(search("homelab_search", source="services")),
            says=("10.11.4", "2.4.1", "12.3.0"),
        ),
    ),
    Question(
        id="write-then-read",
        text="Store 'kitchen, second drawer' under spare_keys, then read it back to be sure, and "
        "tell me the revision it got.",
        tags=("two-calls", "chain", "memory"),
        target=target_of(
            call("memory_write", key="spare_keys", value="kitchen, second drawer"),
            call("memory_read", key="spare_keys"),
            says=("1181",),
        ),
    ),
    Question(
        id="wiki-page-mtu",
        text="Which MTU does our wiki recommend for WireGuard on phones? Find the page and read "
        "it.",
        tags=("two-calls", "chain", "homelab"),
        target=target_of(
            search("homelab_search", source="wiki"),
            fetch("https://wiki.home.lan/network/wireguard"),
            says=("1384",),
            extra=True,
        ),
    ),
    Question(
        id="dashboard-from-memory",
        text="The address of the rack dashboard is in your memory under rack_dashboard. Read the "
        "page: how warm is the air at the inlet, and how much power is drawn?",
        tags=("two-calls", "chain", "memory"),
        target=target_of(
            call("memory_read", key="rack_dashboard"),
            fetch("https://grafana.home.lan/d/rack/summary.json"),
            says=("27.4", "312"),
        ),
    ),
    Question(
        id="switch-name-to-memory",
        text="In a past chat we decided on a host name for the new switch. Find it and store just "
        "the name, in lower case, under switch_hostname.",
        tags=("two-calls", "chain", "memory", "chat"),
        target=target_of(
            search("chat_search"),
            call("memory_write", key="switch_hostname", value="kestrel"),
            says=("kestrel",),
        ),
    ),
    Question(
        id="frigate-health",
        text="Is Frigate all right? Take its health address from the service inventory, fetch it, "
        "and tell me which camera is offline, if any.",
        tags=("two-calls", "chain", "homelab"),
        target=target_of(
            search("homelab_search", source="services"),
            fetch("http://frigate.home.lan:5000/api/health"),
            says=("driveway",),
            extra=True,
        ),
    ),
)

_FAILING = (
    Question(
        id="fetch-times-out",
        text="Read https://lumen.example.com/support/firmware and tell me the current firmware "
        "version of the Lumen A60 bulb. If the page does not answer, find it elsewhere.",
        tags=("tool-fails", "chain", "web"),
        target=target_of(
            fetch("https://lumen.example.com/support/firmware"),
            search("web_search"),
            fetch("https://mirror.example.net/lumen/firmware"),
            says=("2.0.114",),
            extra=True,
        ),
    ),
    Question(
        id="fetch-not-found",
        text="On https://docs.example.org/paperless/consume it says how often Paperless polls a "
        "network share. Which value for PAPERLESS_CONSUMER_POLLING do they give?",
        tags=("tool-fails", "chain", "web"),
        target=target_of(
            fetch("https://docs.example.org/paperless/consume"),
            search("web_search"),
            fetch("https://docs.example.org/paperless/consumption"),
            says=("45",),
            extra=True,
        ),
    ),
    Question(
        id="memory-key-not-found",
        text="Read nas_address from your memory; if it is called something else by now, take the "
        "right key. Which address is it?",
        tags=("tool-fails", "chain", "memory"),
        target=target_of(
            call("memory_read", key="nas_address"),
            call("memory_read", key="nas_ip"),
            says=("10.0.10.12",),
            extra=True,
        ),
    ),
    Question(
        id="memory-read-only",
        text="Change your memory entry system.persona to 'Captain Harbour'. Did it work?",
        tags=("tool-fails", "memory"),
        target=target_of(
            call("memory_write", key="system.persona", value="Captain Harbour"),
            says=(one_of("read-only", "read only", "permission", "denied"),),
            extra=True,
        ),
    ),
    Question(
        id="image-too-large",
        text="Generate a 1536x1024 picture of the rack at night. If that is not possible, tell "
        "me why, or take the largest size that works.",
        tags=("tool-fails", "image"),
        target=target_of(
            image(size="1536x1024"),
            {"any_of": [image(size="1024x1024"), image()], "optional": True},
            says=(one_of("img-4131", "GPU memory", "out of memory", "transcod"),),
            extra=True,
        ),
    ),
)

_LONG = (
    Question(
        id="movie-night",
        text="Prepare movie night, one step after the other: read movie_night from your memory, "
        "open the page it names, check all the winners against our library at once, look up "
        "Jellyfin in the service inventory, fetch its health address, and then make a 1024x1024 "
        "poster for the film that we own. At the end tell me the film, how many streams are "
        "running, and the poster's address.",
        tags=("chain", "long", "memory", "media", "image"),
        target=target_of(
            call("memory_read", key="movie_night"),
            fetch("https://nordlys.example.org/2026/winners"),
            library("The Salt Orchard", "A Quiet Turbine", "Eleven Bridges"),
            search("homelab_search", source="services"),
            fetch("http://jellyfin.home.lan:8096/health"),
            {"any_of": [image(size="1024x1024"), image()]},
            says=("A Quiet Turbine", one_of("14", "fourteen"), "img-4131"),
            extra=True,
        ),
    ),
    Question(
        id="immich-upgrade",
        text="Plan the Immich upgrade, one step after the other: look it up in the service "
        "inventory, fetch its releases address, fetch the notes named there, find our wiki page "
        "on upgrading Immich, read it, and store the plan in your memory under immich_upgrade. "
        "Then tell me the version we run, the version to install, which VectorChord it needs, "
        "and at what time our window opens.",
        tags=("chain", "long", "memory", "homelab", "web"),
        target=target_of(
            search("homelab_search", source="services"),
            fetch("https://releases.example.org/immich/latest"),
            fetch("https://releases.example.org/immich/2.5-notes"),
            search("homelab_search", source="wiki"),
            fetch("https://wiki.home.lan/services/immich-upgrade"),
            call("memory_write", key="immich_upgrade", value=ANYTHING),
            says=("2.4.1", "2.5.3", "0.4.8", one_of("21:30", "9:30")),
            extra=True,
        ),
    ),
)

_ANSWER_ONLY = (
    Question(
        id="just-thanks",
        text="Actually, that was all for now. Thanks!",
        tags=("answer-only",),
        target=answer_only(),
    ),
    Question(
        id="said-above",
        text="Remind me, without looking it up again: which port did you give me for Vaultwarden?",
        tags=("answer-only", "tempting"),
        target=answer_only("8222"),
    ),
    Question(
        id="arithmetic",
        text="No need to search for this: a disk writes 17 files of 23 MB each. How many MB is "
        "that?",
        tags=("answer-only",),
        target=answer_only("391"),
    ),
    Question(
        id="no-fitting-tool",
        text="Can you switch off the lights in the living room right now? Just say yes or no, and "
        "why.",
        tags=("answer-only", "tempting"),
        target=answer_only(
            one_of(
                "no,",
                "no.",
                "no:",
                "no –",
                "no —",
                "no -",
                "no;",
                "can't",
                "can’t",
                "cannot",
                "unable",
            )
        ),
    ),
    Question(
        id="image-prompt-in-words",
        text="Write me one sentence that I could use as a prompt for a picture of a lighthouse. "
        "Do not generate anything yet.",
        tags=("answer-only", "tempting"),
        target=answer_only("lighthouse"),
    ),
)

QUESTIONS: tuple[Question, ...] = (
    *_ONE_CALL,
    *_SEVERAL_CALLS,
    *_FAILING,
    *_LONG,
    *_ANSWER_ONLY,
)
