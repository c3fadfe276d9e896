"""The small fixed world of the homelab assistant. Everything in it is invented.

Search results show `summary` only; what stands in `text` is seen by fetching the page. Tasks whose
second call needs the first one's result are built on that difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callsmith import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page on the web or in the wiki; `keywords` are found by searches and shown nowhere."""

    url: str
    title: str
    summary: str
    text: str
    keywords: str = ""


WIKI: tuple[Page, ...] = (
    Page(
        url="https://wiki.home.lan/backups/policy",
        title="Backup policy",
        summary="What is backed up, where it goes and how long it is kept.",
        text="Restic copies atlas and borea to the bucket harbour-offsite every night at 02:40. "
        "Kept are 14 daily, 8 weekly and 6 monthly snapshots. Restores are tested each quarter.",
        keywords="retention snapshots offsite restic",
    ),
    Page(
        url="https://wiki.home.lan/backups/locked-repository",
        title="Runbook: the backup repository is locked",
        summary="What to do when the nightly backup stops because of a lock.",
        text="1. Make sure that no backup runs: systemctl status restic-nightly. "
        "2. Remove the stale lock: restic unlock --remove-all. "
        "3. Start restic-nightly by hand and note it on card OPS-17.",
        keywords="restic unlock stale failure fix error",
    ),
    Page(
        url="https://wiki.home.lan/network/wireguard",
        title="WireGuard on phones",
        summary="Setting up the tunnel: keys, endpoint, and the MTU that works on mobile networks.",
        text="Endpoint vpn.home.example, port 51820. Set the MTU to 1384; with the default, large "
        "pages hang on mobile networks. PersistentKeepalive is 25.",
        keywords="vpn mobile tunnel",
    ),
    Page(
        url="https://wiki.home.lan/network/vlans",
        title="VLAN plan",
        summary="Which network has which VLAN id and which address range.",
        text="10 servers, 10.0.10.0/24. 20 trusted, 10.0.20.0/24. 30 cameras and IoT, "
        "10.0.30.0/24. 47 guests, 10.0.47.0/24, internet only.",
        keywords="network subnet guest iot address",
    ),
    Page(
        url="https://wiki.home.lan/storage/borea",
        title="Storage on borea",
        summary="Pool tank: two raidz2 groups of six disks. Scrub on the 15th of each month at "
        "03:25. Spare disks are on the second shelf.",
        text="Pool tank: two raidz2 groups of six disks, ashift 12. Scrub on the 15th of each "
        "month at 03:25, report by mail. Spare disks are on the second shelf.",
        keywords="zfs nas truenas scrub monthly disks pool",
    ),
    Page(
        url="https://wiki.home.lan/services/immich-upgrade",
        title="Upgrading Immich",
        summary="Checklist and maintenance window for upgrades of the photo service.",
        text="Window: Tuesdays from 21:30, when the phones do not upload. Dump the database first, "
        "pin the image tag, read the release notes for changes of the database.",
        keywords="update photos window maintenance",
    ),
    Page(
        url="https://wiki.home.lan/power/ups",
        title="UPS and shutdown order",
        summary="Which machine goes down at which charge, and how to test it.",
        text="borea shuts down at 35 percent charge, atlas at 20 percent, cinder stays up.",
        keywords="power battery outage",
    ),
)

SERVICES: tuple[Mapping[str, JsonValue], ...] = (
    {
        "name": "Jellyfin",
        "purpose": "films and series, media server",
        "host": "atlas",
        "port": 8096,
        "version": "10.11.4",
        "health": "http://jellyfin.home.lan:8096/health",
    },
    {
        "name": "Immich",
        "purpose": "photos",
        "host": "atlas",
        "port": 2283,
        "version": "2.4.1",
        "releases": "https://releases.example.org/immich/latest",
    },
    {
        "name": "Grafana",
        "purpose": "dashboards, metrics",
        "host": "cinder",
        "port": 3000,
        "version": "12.3.0",
    },
    {
        "name": "Paperless-ngx",
        "purpose": "scanned documents",
        "host": "atlas",
        "port": 8010,
        "version": "2.20.3",
    },
    {
        "name": "Frigate",
        "purpose": "cameras, recordings",
        "host": "atlas",
        "port": 5000,
        "version": "0.17.1",
        "health": "http://frigate.home.lan:5000/api/health",
    },
    {
        "name": "Vaultwarden",
        "purpose": "passwords",
        "host": "cinder",
        "port": 8222,
        "version": "1.35.2",
    },
    {
        "name": "Pi-hole",
        "purpose": "DNS, ad blocking",
        "host": "cinder",
        "port": 8053,
        "version": "6.4",
    },
    {
        "name": "Home Assistant",
        "purpose": "lights, sensors, automation",
        "host": "cinder",
        "port": 8123,
        "version": "2026.2.3",
    },
)

LOGS: tuple[Mapping[str, JsonValue], ...] = (
    {
        "time": "2026-03-06T02:40:07",
        "host": "borea",
        "unit": "restic-nightly",
        "line": "backup failed: repository is already locked by PID 4127 on atlas",
    },
    {
        "time": "2026-03-05T02:58:41",
        "host": "borea",
        "unit": "restic-nightly",
        "line": "backup finished: snapshot 9c1e77d0 saved, 3.418 GiB added",
    },
    {
        "time": "2026-03-05T19:12:30",
        "host": "atlas",
        "unit": "frigate",
        "line": "detector coral_usb: no answer for 10 s, restarting the detection",
    },
    {
        "time": "2026-03-04T22:03:55",
        "host": "cinder",
        "unit": "pihole-ftl",
        "line": "rate limit reached by 10.0.30.18 (1000 queries in 60 s)",
    },
)

LIBRARY: tuple[Mapping[str, JsonValue], ...] = (
    {"title": "A Quiet Turbine", "kind": "film", "year": 2025, "resolution": "2160p"},
    {"title": "Meridian Street", "kind": "series", "year": 2024, "resolution": "1080p"},
    {"title": "Paper Lanterns", "kind": "film", "year": 2019, "resolution": "720p"},
    {"title": "The Ferryman's Ledger", "kind": "film", "year": 2021, "resolution": "1080p"},
)

CHATS: tuple[Mapping[str, JsonValue], ...] = (
    {
        "chat": "c-2117",
        "date": "2026-02-19",
        "title": "Name for the new switch",
        "excerpt": "You compared heron, kestrel and osprey as the host name of the new network "
        "switch and settled on kestrel.",
    },
    {
        "chat": "c-2098",
        "date": "2026-02-07",
        "title": "Sourdough timing",
        "excerpt": "For the bread we ended up with 78 percent hydration and a bulk rise of five "
        "hours.",
    },
    {
        "chat": "c-2054",
        "date": "2026-01-22",
        "title": "Quieter fans in the rack",
        "excerpt": "You ordered three NF-A12 fans and wanted to set the curve to 40 percent below "
        "50 degrees.",
    },
)

WEB: tuple[Page, ...] = (
    Page(
        url="https://nordlys.example.org/2026/winners",
        title="Nordlys Film Festival: the winners",
        summary="The jury has decided: see the list of this year's prize-winning films.",
        text="First prize: The Salt Orchard. Second prize: A Quiet Turbine. Audience prize: "
        "Eleven Bridges.",
        keywords="2026 prizes awards movies winner festival film",
    ),
    Page(
        url="https://nordlys.example.org/visit",
        title="Nordlys Film Festival: visit",
        summary="The next festival runs from 12 to 18 November in Tromsø. Passes from 90 euros.",
        text="The next festival runs from 12 to 18 November in Tromsø. Passes from 90 euros.",
        keywords="dates begin start when tickets",
    ),
    Page(
        url="https://series.example.net/meridian-street",
        title="Meridian Street (series)",
        summary="Drama series in eight parts, created and directed by Ilse Vantongeren.",
        text="Drama series in eight parts, created and directed by Ilse Vantongeren.",
        keywords="director cast show",
    ),
    Page(
        url="https://blog.example.org/n100-power",
        title="Measuring an N100 mini PC",
        summary="A month with a power meter on a small server.",
        text="With two SSDs and powertop's settings the machine idles at 6.8 W; under full load it "
        "draws 23 W. The network card of the first board kept it out of deep sleep.",
        keywords="idle power consumption watt",
    ),
    Page(
        url="https://releases.example.org/jellyfin/latest",
        title="Jellyfin: latest release",
        summary="The newest release of the media server.",
        text="Latest: 10.11.6, released on 2026-02-27. Fixes subtitle timing.",
        keywords="version update",
    ),
    Page(
        url="https://releases.example.org/immich/latest",
        title="Immich: latest release",
        summary="The newest release of the photo server.",
        text="Latest: 2.5.3, released on 2026-03-02. Notes with all changes: "
        "https://releases.example.org/immich/2.5-notes",
        keywords="version update",
    ),
    Page(
        url="https://releases.example.org/immich/2.5-notes",
        title="Immich 2.5: release notes",
        summary="Breaking changes and new functions of the 2.5 series.",
        text="Breaking: the server needs PostgreSQL 16 with VectorChord 0.4.8 or newer. New: "
        "faster face search, albums by place.",
        keywords="version update upgrade",
    ),
    Page(
        url="https://mirror.example.net/lumen/firmware",
        title="Mirror: Lumen Zigbee bulb firmware",
        summary="Copies of the vendor's firmware pages, refreshed daily.",
        text="Lumen A60 bulb: current firmware 2.0.114 (2026-01-30). Lumen strip: 1.9.8.",
        keywords="vendor update version light bulbs",
    ),
    Page(
        url="https://docs.example.org/paperless/consumption",
        title="Paperless-ngx: the consumption directory",
        summary="How documents are picked up. This page replaces the former page 'consume'.",
        text="Set PAPERLESS_CONSUMER_POLLING=45 on network shares, where file events do not "
        "arrive. The value is in seconds.",
        keywords="consumer polling seconds interval setting folder share docs documentation",
    ),
    Page(
        url="https://archive.example.net/forum/coral-usb-resets",
        title="Archived thread: Coral USB resets",
        summary="Copy of a forum thread about detectors that stop answering.",
        text="Solved: the accelerator needs more current than the front port gives. A powered hub "
        "or the rear port ended the resets.",
        keywords="frigate detector restart accelerator forum copy",
    ),
)

ENDPOINTS: tuple[Page, ...] = (
    Page(
        url="http://jellyfin.home.lan:8096/health",
        title="health",
        summary="",
        text='{"status": "Healthy", "active_streams": 14, "free_transcoders": 3}',
    ),
    Page(
        url="http://frigate.home.lan:5000/api/health",
        title="health",
        summary="",
        text='{"status": "degraded", "offline_cameras": ["driveway"], "detector": "coral_usb"}',
    ),
    Page(
        url="https://grafana.home.lan/d/rack/summary.json",
        title="rack",
        summary="",
        text='{"inlet_celsius": 27.4, "power_watts": 312, "ups_charge_percent": 100}',
    ),
)

UNREACHABLE: Mapping[str, str] = {
    "https://lumen.example.com/support/firmware": "timeout: no answer from lumen.example.com "
    "within 20 s",
    "https://forum.example.com/t/coral-usb-resets/8812": "HTTP 403: this thread is for members "
    "who are logged in",
}
"""Addresses that fail, with what the fetch reports."""

MEMORY: Mapping[str, str] = {
    "ups_battery_date": "2025-11-18",
    "nas_ip": "10.0.10.12",
    "guest_wifi_name": "Tidepool",
    "rack_dashboard": "https://grafana.home.lan/d/rack/summary.json",
    "movie_night": "Every other Friday. The film is a prize winner that we own; the list is at "
    "https://nordlys.example.org/2026/winners",
    "system.persona": "Harbour, the assistant of this house.",
}
"""What the memory holds when a session starts. Keys that begin with `system.` are read-only."""

FIRST_REVISION = 1181
"""The revision of the first write of a session."""

FIRST_IMAGE = 4131
"""The number of the first image of a session."""
