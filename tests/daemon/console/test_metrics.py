"""/metrics: who may read it, and that the numbers are those of what happened."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.store.errors import StoreError
from tests.daemon.console.conftest import MESSAGES, Console, failing, is_problem, running
from tests.peers.daemon_process import until

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}


def read(answer: httpx.Response) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, /, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


async def test_what_happened_is_counted(console: Console, ann: httpx.AsyncClient) -> None:
    for n in range(3):
        told = (await ann.post(MESSAGES, json={**WELL, "text": f"{n}"})).json()
        await console.settled(ann, told["id"])
    measures = console.house.measures
    await until(lambda: measures.receipts["operator", "delivered"] == 3)
    is_problem(await ann.post(MESSAGES, json={}), 422)
    await ann.get("/nothing")
    await console.house.measures.look(console.house.store)
    found = read(await ann.get("/metrics"))
    assert of(found, "tocsin_messages_accepted_total", origin="api") == 3
    assert of(found, "tocsin_segments_total", route="operator", outcome="accepted") == 3
    assert of(found, "tocsin_receipts_total", route="operator", state="delivered") == 3
    assert of(found, "tocsin_queue_segments", route="operator", state="queued") == 0
    assert of(found, "tocsin_route_in_flight_segments", route="operator") == 0
    assert of(found, "tocsin_route_window_segments", route="operator") == 10
    assert of(found, "tocsin_component_up", kind="route", name="operator") == 1
    assert of(found, "tocsin_submit_seconds_count", route="operator") == 3
    assert of(found, "tocsin_message_wait_seconds_count") == 3
    assert 0 < of(found, "tocsin_message_wait_seconds_sum") < 30
    assert of(found, "tocsin_store_commit_seconds_count") >= 3
    assert of(found, "tocsin_store_set_members_sum", verb="submit") == 3
    assert of(found, "tocsin_http_requests_total", path=MESSAGES, status="202") == 3
    assert of(found, "tocsin_http_requests_total", path=MESSAGES, status="422") == 1
    assert of(found, "tocsin_http_requests_total", path="other", status="404") == 1
    assert of(found, "tocsin_http_requests_total", path=MESSAGES + "/{id}", status="200") > 3
    assert of(found, "tocsin_http_connections") == 1
    assert of(found, "process_resident_memory_bytes") > 1_000_000
    assert of(found, "process_cpu_seconds_total") > 0


async def test_what_waits_is_counted_by_route_and_state(console: Console, ann: httpx.AsyncClient) -> None:
    await ann.post(MESSAGES, json={**WELL, "at": "2026-12-24T18:00"})
    found = read(await ann.get("/metrics"))
    waits = of(found, "tocsin_queue_segments", route="operator", state="queued")
    with failing(console, "read", StoreError("away")):
        again = read(await ann.get("/metrics"))
    assert waits == of(again, "tocsin_queue_segments", route="operator", state="queued") == 1


async def test_what_fails_is_counted(console: Console, ann: httpx.AsyncClient) -> None:
    lane = next(iter(console.house.store._lanes.values()))
    before = lane.carrier.run, lane.carrier.here
    lane.carrier.run, lane.carrier.here = lambda work: (_ for _ in ()).throw(StoreError("away")), None
    try:
        is_problem(await ann.post(MESSAGES, json=WELL), 503)
    finally:
        lane.carrier.run, lane.carrier.here = before
    found = read(await ann.get("/metrics"))
    assert of(found, "tocsin_store_failures_total") >= 1
    assert of(found, "tocsin_http_requests_total", path=MESSAGES, status="503") == 1


async def test_other_networks_may_not_read_it(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path, template, metrics_networks=["192.0.2.0/24"]) as console:
        is_problem(await console.client(None).get("/metrics"), 403)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("x-forwarded-for", "127.0.0.5", 200),
        ("x-forwarded-for", "203.0.113.7", 403),
        ("x-forwarded-for", "127.0.0.1, 203.0.113.7", 403),
        ("x-forwarded-for", "rubbish", 403),
        ("x-real-ip", "203.0.113.7", 403),
        ("forwarded", "for=203.0.113.7", 403),
    ],
)
async def test_a_proxy_does_not_lend_its_address(console: Console, name: str, value: str, status: int) -> None:
    answer = await console.client(None).get("/metrics", headers={name: value})
    assert answer.status_code == status


async def test_two_houses_count_apart(tmp_path: Path, template: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with (
        running(tmp_path / "one", template) as one,
        running(tmp_path / "two", template) as two,
    ):
        assert (await one.client().post(MESSAGES, json=WELL)).status_code == 202
        told = read(await two.client().get("/metrics"))
        assert ("tocsin_messages_accepted_total", frozenset({("origin", "api")})) not in told


# What is told of them -------------------------------------------------------------------------------------------------

DOCS = Path(__file__).resolve().parents[3] / "docs"
_NAMES = re.compile(r"\b(?:tocsin|process)_[a-z_]+")


def families(answer: httpx.Response) -> set[str]:
    """The names of the families, counters with their ending."""
    kinds = re.findall(r"^# TYPE (\S+) \S+$", answer.text, re.MULTILINE)
    return set(kinds)


async def test_the_page_tells_of_every_metric_and_of_no_other(console: Console, ann: httpx.AsyncClient) -> None:
    told = set(re.findall(r"`((?:tocsin|process)_[a-z_]+)`", (DOCS / "metrics.md").read_text()))
    assert told == families(await ann.get("/metrics"))


async def test_the_dashboard_asks_for_metrics_that_exist(console: Console, ann: httpx.AsyncClient) -> None:
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    found = families(await ann.get("/metrics"))
    for expression in asked:
        names = _NAMES.findall(expression)
        assert names, expression
        for name in names:
            assert name in found or re.sub("_(bucket|sum|count)$", "", name) in found, name
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


async def test_names_carry_their_units(ann: httpx.AsyncClient) -> None:
    answer = await ann.get("/metrics")
    for name, kind in re.findall(r"^# TYPE (tocsin_\S+) (\S+)$", answer.text, re.MULTILINE):
        assert name.endswith("_total") == (kind == "counter"), name
        if kind == "histogram":
            assert name.endswith(("_seconds", "_members")), name
