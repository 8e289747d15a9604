"""A process on real links has a complete profile of its own: batches are limited, nothing else is."""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from satllm_ros.constellation.processes import ProcessSpec
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.links.real_links import LONG_HEARTBEAT_S, LONG_S, controller_rate_bps, datagram_bytes
from satllm_ros.middleware import profile as mp
from satllm_ros.middleware.transports import PROFILE_VARIABLE, TRANSPORTS_VARIABLE
from satllm_ros.supervisor.process_profile import profile_environment

SATELLITES = ["sat1", "sat2", "sat3"]
NAMESPACE = "{http://www.eprosima.com}"


def link(sender: str, receiver: str) -> LinkRates:
    return LinkRates({"sensing": 8e6, "sat1": 2e6}.get(sender, 5e8))


def parsed(process: str, root: str = "", transports: list[str] | None = None) -> Element:
    routes = mp.routes_of(process, SATELLITES, link)
    return ElementTree.fromstring(mp.middleware_profile(routes, root=root, transports=transports).encode())


def texts(document: Element, tag: str) -> list[str | None]:
    return [element.text for element in document.iter(NAMESPACE + tag)]


def writers(document: Element) -> dict[str, str | None]:
    """Flow controller by the name of the writer's profile; None where it has none."""
    return {
        writer.get("profile_name", ""): next((e.text for e in writer.iter(f"{NAMESPACE}flow_controller_name")), None)
        for writer in document.iter(f"{NAMESPACE}data_writer")
    }


def test_batches_and_nothing_else_are_limited_by_one_controller_a_link() -> None:
    document = parsed("sat1", "fleet/a")
    assert writers(document) == {
        "satllm_writer": None,
        "/fleet/a/sat2/inbox/activation": "to_sat2",
        "/fleet/a/sat2/inbox/predictions": "to_sat2",
        "/fleet/a/sat3/inbox/activation": "to_sat3",
        "/fleet/a/sat3/inbox/predictions": "to_sat3",
        "/fleet/a/ground/inbox/predictions": "to_ground",
    }
    assert texts(document, "name")[:3] == ["to_sat2", "to_sat3", "to_ground"]
    assert writers(parsed("sensing")) == {"satllm_writer": None} | {
        f"/{name}/inbox/images": f"to_{name}" for name in SATELLITES
    }


@pytest.mark.parametrize("process", ["planner", "ground"])
def test_who_sends_no_batches_has_no_controllers(process: str) -> None:
    document = parsed(process)
    assert writers(document) == {"satllm_writer": None}
    assert not texts(document, "flow_controller_descriptor_list")


def test_what_the_switch_takes_from_rmw_is_in_every_profile() -> None:
    document = parsed("sensing")
    kinds = [*document.iter(f"{NAMESPACE}data_writer"), *document.iter(f"{NAMESPACE}data_reader")]
    assert len(kinds) == 2 + len(SATELLITES)
    for element in kinds:
        assert texts(element, "historyMemoryPolicy") == ["PREALLOCATED_WITH_REALLOC"]
        assert [e.text for e in element.findall(f".//{NAMESPACE}data_sharing/{NAMESPACE}kind")] == ["OFF"]
    modes = [[e.text for e in k.findall(f".//{NAMESPACE}publishMode/{NAMESPACE}kind")] for k in kinds]
    assert modes == [["SYNCHRONOUS"], *[["ASYNCHRONOUS"]] * len(SATELLITES), []]
    for side in ("reader", "writer"):
        assert texts(document, f"{side}HistoryMemoryPolicy") == ["PREALLOCATED_WITH_REALLOC"]


def test_transports_are_those_of_the_shipped_profiles_or_the_users() -> None:
    shared = ElementTree.parse(Path(__file__).resolve().parents[2] / "config" / "fastdds.xml").getroot()
    for tag in ("type", "segment_size", "maxMessageSize", "transport_id", "useBuiltinTransports"):
        assert texts(parsed("sat1", transports=["shm", "udp"]), tag) == texts(shared, tag)
    assert texts(parsed("sat1", transports=["udp"]), "type") == ["UDPv4"]
    own = parsed("sat1")
    assert texts(own, "useBuiltinTransports") == ["true"] and not texts(own, "type")


@pytest.mark.parametrize("rate", [9600.0, 1e5, 1e6, 2e6, 3.3e6, 8e6, 2e7, 1e8, 5e8, 1e9])
def test_a_controller_comes_near_its_rate_and_never_exceeds_it(rate: float) -> None:
    made = mp.quantum(rate)
    share = made.rate_bps / controller_rate_bps(rate)
    assert 0.8 < share <= 1.0 + 1e-9
    assert made.max_bytes % datagram_bytes(rate) == 0 and made.max_bytes > 0
    # Bursts fit into a socket's buffer where the clock of the computer allows.
    largest = max(mp.LARGEST_BURST_BYTES, mp.LEAST_DATAGRAMS * datagram_bytes(rate))
    assert made.max_bytes <= largest or made.period_ms == mp.LEAST_PERIOD_MS


def test_datagrams_of_slow_links_are_two_frames_of_ethernet() -> None:
    sizes = [
        writer.find(f".//{NAMESPACE}property/{NAMESPACE}value").text
        for writer in parsed("sat1").iter(f"{NAMESPACE}data_writer")
        if writer.get("profile_name") != "satllm_writer"
    ]
    # 28 bytes of UDP and IP, 20 more of IP in the second one.
    assert set(sizes) == {"2900"} and int(sizes[0] or 0) + 28 + 20 <= 2 * 1500


def environment(tmp_path: Path, environ: dict[str, str], spec: ProcessSpec | None = None) -> dict[str, str]:
    if spec is None:
        routes = mp.routes_of("sat1", SATELLITES, link)
        spec = ProcessSpec("sat1", "satellite", "sat1", routes=tuple(routes))
    return profile_environment(spec, tmp_path, "", environ, has_room=False)


def test_the_profile_is_in_the_run_folder_and_names_the_switch(tmp_path: Path) -> None:
    variables = environment(tmp_path, {})
    path = tmp_path / "middleware" / "sat1.xml"
    assert variables == {PROFILE_VARIABLE: str(path), mp.QOS_FROM_XML_VARIABLE: "1"}
    assert texts(ElementTree.parse(path).getroot(), "type") == ["UDPv4"]


def test_transports_chosen_by_name_leave_the_limits(tmp_path: Path) -> None:
    (path, switch) = environment(tmp_path, {TRANSPORTS_VARIABLE: "UDPv4"}).values()
    document = ElementTree.parse(path).getroot()
    assert texts(document, "useBuiltinTransports") == ["true"] and switch == "1"
    assert "to_ground" in writers(document).values()


def test_no_profile_where_links_are_emulated_or_the_user_has_his_own(tmp_path: Path) -> None:
    assert environment(tmp_path, {}, ProcessSpec("sat1", "satellite", "sat1")) == {}
    assert environment(tmp_path, {PROFILE_VARIABLE: "mine.xml"}) == {}
    assert environment(tmp_path, {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}) == {}
    assert not list(tmp_path.iterdir())


def test_a_profile_has_the_names_of_its_version_of_fast_dds() -> None:
    routes = mp.routes_of("sensing", SATELLITES, link)
    old, new = (mp.middleware_profile(routes, is_version_2=is_old) for is_old in (True, False))
    assert "<heartbeatPeriod>" in old and "heartbeat_period" not in old
    assert "<heartbeat_period>" in new and "heartbeatPeriod" not in new


def test_on_a_long_link_the_receiver_is_seldom_asked_what_it_lacks() -> None:
    def long(sender: str, receiver: str) -> LinkRates:
        return LinkRates(8e6, LONG_S if receiver == "sat2" else 0.9 * LONG_S)

    routes = mp.routes_of("sensing", SATELLITES, long)
    document = ElementTree.fromstring(mp.middleware_profile(routes, is_version_2=False).encode())
    asked = {
        writer.get("profile_name"): (
            *(writer.findtext(f".//{NAMESPACE}heartbeat_period/{NAMESPACE}{unit}") for unit in ("sec", "nanosec")),
            writer.findtext(f".//{NAMESPACE}disable_heartbeat_piggyback"),
        )
        for writer in document.iter(f"{NAMESPACE}data_writer")
        if writer.get("profile_name") != "satllm_writer"
    }
    short = ("0", "500000000", None)
    assert asked == {
        "/sat1/inbox/images": short,
        "/sat2/inbox/images": (f"{LONG_HEARTBEAT_S:.0f}", "0", "true"),
        "/sat3/inbox/images": short,
    }
    # One name that it does not know, and version 2 refuses the whole profile.
    assert "piggyback" not in mp.middleware_profile(routes, is_version_2=True)
