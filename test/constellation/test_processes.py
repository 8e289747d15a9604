from pathlib import Path
from typing import Any

import pytest
import yaml
from constellation_documents import changed

from satllm_ros.constellation.file import load_constellation
from satllm_ros.constellation.processes import ProcessSpec, processes
from satllm_ros.links.link_pairs import parsed

RUN = Path("/runs/now")


@pytest.fixture
def specs(shipped_path: Path) -> list[ProcessSpec]:
    return processes(load_constellation(shipped_path), RUN, exit_when_done=True)


def by_node(specs: list[ProcessSpec]) -> dict[str, Any]:
    return {node: values for spec in specs for node, values in spec.parameters.items()}


def test_one_process_per_satellite_hosts_its_three_nodes(specs: list[ProcessSpec]) -> None:
    satellites = [spec for spec in specs if spec.executable == "satellite"]
    assert [spec.namespace for spec in satellites] == ["sat1", "sat2", "sat3", "sat4"]
    for spec in satellites:
        assert set(spec.parameters) == {f"{spec.name}/{node}" for node in ("stage", "compression", "downlink")}


def test_the_graph_ends_with_the_ground_alone(specs: list[ProcessSpec]) -> None:
    assert [spec.name for spec in specs if spec.required] == ["ground"]
    assert len({spec.name for spec in specs}) == len(specs)


def test_every_executable_is_a_module_of_the_nodes(specs: list[ProcessSpec]) -> None:
    nodes = Path(__file__).resolve().parents[2] / "satllm_ros" / "nodes"
    assert all((nodes / f"{spec.executable}.py").is_file() for spec in specs)


def test_what_the_file_says_reaches_the_nodes(specs: list[ProcessSpec], shipped: dict[str, Any]) -> None:
    nodes = by_node(specs)
    for satellite in shipped["satellites"]:
        stage = nodes[f"{satellite['name']}/stage"]
        assert stage["block_s"] == satellite["block_s"]
        assert stage["memory_budget_bytes"] == int(satellite["memory_bytes"])
        assert isinstance(stage["memory_budget_bytes"], int)
        assert stage["emulate"] is True
    for node in ("planner", "link"):
        assert nodes[node]["isl_rate_bps"] == shipped["links"]["isl"]["rate_bps"]
        assert nodes[node]["s2g_propagation_s"] == shipped["links"]["s2g"]["propagation_s"]
    assert nodes["sensing"]["window_batches"] == shipped["window_batches"]
    assert {nodes[n]["batch_tiles"] for n in ("sensing", "planner", "recorder")} == {shipped["batch_tiles"]}
    assert nodes["recorder"]["exit_when_done"] is True
    assert nodes["ground"]["run_directory"] == nodes["recorder"]["run_directory"] == str(RUN)
    assert nodes["sat2/downlink"]["store_directory"] == str(RUN)
    assert all(nodes[n]["source"] == "bag" and nodes[n]["path"] == "demo" for n in ("sensing", "recorder"))


def test_rates_of_single_links_reach_planner_and_link_as_they_read_them(shipped: dict[str, Any], load: Any) -> None:
    assert "link_pairs" not in by_node(processes(load(shipped), RUN, exit_when_done=True))["link"]
    pairs = {
        "sat1-sat2": {"rate_bps": 8e6, "propagation_s": 0.01},
        "sat4-ground": {"rate_bps": 1e15, "propagation_s": 1e-7},
    }
    constellation = load(changed(shipped, "links", value=shipped["links"] | {"pairs": pairs}))
    nodes = by_node(processes(constellation, RUN, exit_when_done=True))
    assert nodes["planner"]["link_pairs"] == nodes["link"]["link_pairs"]
    assert parsed(nodes["link"]["link_pairs"], constellation.names) == constellation.link_pairs


def test_without_emulated_links_batches_go_straight_to_the_inbox(shipped: dict[str, Any], load: Any) -> None:
    real = load(changed(shipped, "emulate", value={"compute": False, "links": False}))
    specs = processes(real, RUN, exit_when_done=False)
    nodes = by_node(specs)
    assert "link" not in nodes
    assert {v["emulate_links"] for v in nodes.values() if "emulate_links" in v} == {False}
    assert nodes["sat1/stage"]["emulate"] is False


@pytest.mark.parametrize(("root", "prefix"), [("", ""), ("/", ""), ("fleet", "/fleet"), ("/fleet/a/", "/fleet/a")])
def test_parameter_files_name_every_node_in_full(
    specs: list[ProcessSpec], tmp_path: Path, root: str, prefix: str
) -> None:
    for spec in specs:
        path = spec.write_parameters(tmp_path, root)
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(document) == {f"{prefix}/{node}" for node in spec.parameters}
        for node, values in spec.parameters.items():
            assert document[f"{prefix}/{node}"] == {"ros__parameters": dict(values)}


def test_a_list_that_occurs_twice_is_written_twice(specs: list[ProcessSpec], tmp_path: Path) -> None:
    # rcl's parser knows no aliases.
    text = "".join(spec.write_parameters(tmp_path, "").read_text() for spec in specs)
    assert "&" not in text and "*" not in text


def test_what_the_optional_fields_say_reaches_the_nodes(shipped: dict[str, Any], load: Any) -> None:
    document = changed(shipped, "signing", value={"public_key": "ab" * 32, "private_key": "plan.pem"})
    document = changed(changed(document, "durable_custody", value=True), "source", "rate", value=2)
    document = changed(changed(document, "satellites", 1, "profile", value="p.yaml"), "model", "calibration", value="c")
    nodes = by_node(processes(load(changed(document, "threads", value=3)), RUN, exit_when_done=True))
    planner = nodes["planner"]
    assert (planner["profiles"], planner["calibration"], planner["threads"]) == (["sat2=p.yaml"], "c", 3)
    signed = {name for name, values in nodes.items() if values.get("plan_public_key") == "ab" * 32}
    assert signed == {"sensing", "planner", "recorder", *(f"{s['name']}/stage" for s in shipped["satellites"])}
    assert [name for name, values in nodes.items() if "signing_key" in values] == ["planner"]
    assert nodes["planner"]["signing_key"] == "plan.pem"
    assert nodes["sensing"]["durable"] is True and nodes["sensing"]["rate"] == 2.0
    assert nodes["sensing"]["state_directory"] == nodes["planner"]["state_directory"] == str(RUN)


def test_what_is_stated_of_pixels_reaches_whoever_reads_images(shipped: dict[str, Any], load: Any) -> None:
    nodes = by_node(processes(load(shipped), RUN, exit_when_done=True))
    for name in ("sensing", "recorder"):
        assert [nodes[name][key] for key in ("bands", "pixel_scale", "resize")] == ["", 0.0, 0]
    source = shipped["source"] | {"bands": [4, 3, 2], "pixel_scale": 2, "resize": 64}
    nodes = by_node(processes(load(changed(shipped, "source", value=source)), RUN, exit_when_done=True))
    for name in ("sensing", "recorder"):
        assert [nodes[name][key] for key in ("bands", "pixel_scale", "resize")] == ["4,3,2", 2.0, 64]
        assert isinstance(nodes[name]["pixel_scale"], float)


@pytest.mark.parametrize("use_sim_time", [False, True])
def test_all_nodes_take_the_same_time(shipped_path: Path, use_sim_time: bool) -> None:
    constellation = load_constellation(shipped_path)
    nodes = by_node(processes(constellation, RUN, exit_when_done=True, use_sim_time=use_sim_time))
    assert {values.get("use_sim_time", False) for values in nodes.values()} == {use_sim_time}


def test_the_graph_can_spare_a_satellite_or_the_planner_only(specs: list[ProcessSpec], shipped: dict[str, Any]) -> None:
    spared = {spec.name for spec in specs if spec.without}
    assert spared == {"planner", *(satellite["name"] for satellite in shipped["satellites"])}


def test_processes_on_real_links_know_the_rates_their_controllers_are_made_for(
    shipped: dict[str, Any], load: Any
) -> None:
    emulated = processes(load(shipped), RUN, exit_when_done=False)
    assert all(spec.routes is None for spec in emulated)
    assert not any("link_controllers" in values for values in by_node(emulated).values())
    real = processes(
        load(changed(shipped, "emulate", value={"compute": False, "links": False})), RUN, exit_when_done=False
    )
    nodes = by_node(real)
    link = {kind: f"{float(of['rate_bps'])!r},{of['propagation_s']!r}" for kind, of in shipped["links"].items()}
    names = [satellite["name"] for satellite in shipped["satellites"]]
    others = [f"{name}={link['isl']}" for name in names[1:]]
    assert nodes["sensing"]["link_controllers"] == [f"{name}={link['upload']}" for name in names]
    assert nodes["sat1/compression"]["link_controllers"] == others
    assert nodes["sat1/downlink"]["link_controllers"] == [*others, f"ground={link['s2g']}"]
    assert nodes["planner"]["real_links"] is True and by_node(emulated)["planner"]["real_links"] is False
    assert {spec.name: len(spec.routes or ()) for spec in real} == {
        **dict.fromkeys(names, len(names)),
        "sensing": len(names),
        "planner": 0,
        "ground": 0,
    }


def test_a_link_with_a_rate_of_its_own_has_a_controller_of_its_own(shipped: dict[str, Any], load: Any) -> None:
    pairs = {
        "sat1-sat2": {"rate_bps": 1e6, "propagation_s": 0.0},
        "sat2-ground": {"rate_bps": 3e5, "propagation_s": 0.0},
    }
    links = shipped["links"] | {"pairs": pairs}
    real = changed(changed(shipped, "links", value=links), "emulate", value={"compute": False, "links": False})
    specs = {spec.name: spec for spec in processes(load(real), RUN, exit_when_done=False)}
    isl = float(shipped["links"]["isl"]["rate_bps"])
    rates = {name: {r.receiver: r.link.rate_bps for r in specs[name].routes or ()} for name in ("sat1", "sat2")}
    assert (rates["sat1"]["sat2"], rates["sat2"]["sat1"], rates["sat2"]["ground"]) == (1e6, isl, 3e5)
    assert "sat2=1000000.0,0.0" in by_node([specs["sat1"]])["sat1/compression"]["link_controllers"]


def test_each_stage_is_told_its_engine(shipped: dict[str, Any], tmp_path: Path) -> None:
    document = changed(shipped, "engine", value={"kind": "onnx", "precision": "float32"})
    document = changed(
        changed(document, "satellites", 1, "engine", value={"kind": "torch"}), "model", "bundle", value="b"
    )
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(document))
    nodes = by_node(processes(load_constellation(path), RUN, exit_when_done=True))
    told = [
        [nodes[f"{name}/stage"][key] for key in ("engine", "engine_device", "engine_precision", "bundle")]
        for name in ("sat1", "sat2")
    ]
    assert told == [["onnx", "auto", "float32", "b"], ["torch", "auto", "float32", "b"]]
