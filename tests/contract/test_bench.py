"""The bench still runs, and what it counts (never what it times) is as few as promised."""

import json
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

from bench.__main__ import PARTS
from bench.size import STEPS

ROOT = Path(__file__).parents[2]

# Exact: a bench in which nothing happens would keep every limit.
COUNTS = {
    "first.logins": 1,
    "first.refreshes": 0,
    "first.requests": 4,
    "first.handshakes": 1,
    "first.subscriptions": 1,
    "first.events": 1,
    "first.turn_servers": 1,
    "first.settings": 1,
    "restart.logins": 0,
    "restart.refreshes": 0,
    "restart.requests": 2,
    "restart.handshakes": 1,
    "restart.subscriptions": 1,
    "restart.events": 1,
    "restart.turn_servers": 1,
    "restart.settings": 1,
    "late_restart.logins": 0,
    "late_restart.refreshes": 1,
    "late_restart.requests": 3,
    "late_restart.handshakes": 1,
    "late_restart.subscriptions": 1,
    "late_restart.events": 1,
    "late_restart.turn_servers": 1,
    "late_restart.settings": 1,
    "idle_hour.requests": 3,
    "idle_hour.turn_servers": 1,
    "idle_hour.settings": 1,
    "idle_hour.statuses": 2,
    "idle_hour.topologies": 1,
    "idle_hour.events": 0,
    "idle_hour.handshakes": 0,
    "idle_hour.subscriptions": 2,
    "idle_hour_down.requests": 13,
    "idle_hour_down.events": 0,
    "expired_token.requests": 1,
    "restart_4.token_requests": 0,
    "restart_4.other_requests": 2,
    "restart_51.token_requests": 0,
    "restart_51.other_requests": 2,
    "restart_near.requests": 0,
    "restart_slow.requests": 0,
    "restart_down.requests": 0,
    "restart_away.requests": 0,
    "ring_1.rings": 50,
    "ring_1.lost": 0,
    "ring_1.extra": 0,
    "ring_1.requests": 0,
    "ring_1.pictures": 100,
    "ring_leaks.tasks": 0,
    "ring_leaks.timers": 0,
    "ring_leaks.records": 0,
    "view_first.requests": 0,
    "view_first.handshakes": 1,
    "view_first.subscriptions": 1,
    "view_first.frames": 2,
    "view_next.requests": 0,
    "view_next.handshakes": 0,
    "view_next.subscriptions": 1,
    "view_next.frames": 2,
    "offer_chromium_watch.bytes": 3796,
    "offer_chromium_talk.bytes": 3868,
    "offer_desktop_shaped.bytes": 7544,
    "leaving.offers": 90,
    "leaving.held_slots": 0,
    "leaving.unended": 0,
    "leaving.tasks": 0,
    "leaving.timers": 0,
    "leaving.records": 0,
    "stream_first.requests": 0,
    "stream_first.handshakes": 1,
    "stream_first.subscriptions": 1,
    "stream_first.frames": 2,
    "stream_next.requests": 0,
    "stream_next.handshakes": 0,
    "stream_next.subscriptions": 1,
    "stream_next.frames": 2,
    "vanished.offers": 40,
    "vanished.peak": 1,
    "vanished.sessions": 0,
    "vanished.held_slots": 0,
    "vanished.unended": 0,
    "vanished.tasks": 0,
    "vanished.timers": 0,
    "vanished.records": 0,
    "pictures.downloads": 2,
    "pictures.events": 0,
    "pictures.others": 0,
    "expired_links.downloads": 4,
    "expired_links.events": 1,
    "expired_links.others": 0,
    "history_100.found": 100,
    "history_100.listed": 4,
    "history_1000.found": 1000,
    "history_1000.listed": 26,
}
# Of each house of a size. Nothing but the cloud's list is written at a start, and the event loop
# waits for the disk in no step; without a compiler, the slow disk is left out.
SIZE_COUNTS = {
    "calls": 100,
    "lost": 0,
    "extra": 0,
    "caught_up": 114,
    "left": 0,
    "start_operations": 0,
    **{f"{step}_blocking": 0 for step in STEPS},
}
HOUSES = ("size_1_100", *(["size_1_100_slow"] if shutil.which("g++") else []))
COUNTS |= {f"{house}.{name}": count for house in HOUSES for name, count in SIZE_COUNTS.items()}


@pytest.mark.timeout(600)  # a process that imports Home Assistant on a busy machine
def test_a_quick_bench_counts_as_few_requests_as_promised(tmp_path: Path) -> None:
    """Run by itself, as a person does: no fixture of Home Assistant's tests is around it."""
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(written)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ran.returncode == 0, ran.stderr
    found = {figure["key"]: figure for figure in json.loads(written.read_text())["figures"]}
    assert {key: found[key]["value"] for key in COUNTS if key in found} == COUNTS
    assert all(found[key]["text"] in ran.stdout for key in COUNTS)


def test_the_document_says_how_to_repeat_every_part() -> None:
    """The documents name each part above its table, and no other."""
    pages = ("benchmarks.md", "reliability.md")
    text = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in pages)
    found = re.findall(r"bench --only ([\w,]+)", text)
    named = {part for parts in found for part in parts.split(",")}
    assert named == {*PARTS}
