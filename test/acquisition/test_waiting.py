"""When something that is waited for is said, and in which words."""

import pytest

from satllm_ros.acquisition.waiting import (
    CameraView,
    PlanView,
    Reminder,
    no_image,
    no_plan,
    settings_that_hide,
    stream_waits,
)

CAMERA = ("/image", "/image/compressed")


def test_it_is_said_within_ten_seconds_and_then_less_and_less_often() -> None:
    reminder = Reminder()
    said = [second for second in range(1000) if reminder.waited_s(True, float(second)) is not None]
    assert said[0] <= 10
    pauses = [later - sooner for sooner, later in zip(said, said[1:], strict=False)]
    assert len(said) > 3 and pauses == sorted(pauses) and pauses[0] < pauses[-1]


def test_what_came_is_not_waited_for() -> None:
    reminder = Reminder(5.0)
    assert [reminder.waited_s(waiting, now) for now, waiting in enumerate([True] * 4 + [False] + [True] * 5)] == (
        [None] * 10
    )
    assert reminder.waited_s(True, 10.0) == 5.0


def test_a_camera_on_another_topic() -> None:
    types = {"/camera/image_raw": "sensor_msgs/msg/Image"}
    sentence = no_image(8.2, CameraView(CAMERA, {}, image_topics=types), {})
    assert "no image for 8 s on /image or /image/compressed: nobody publishes there" in sentence
    assert "/camera/image_raw" in sentence and "--image-topic" in sentence and "image_topic:=" in sentence


def test_no_camera_at_all_names_the_settings() -> None:
    view = CameraView(("/image",), {"/image": 0})
    assert "nor images on any other topic" in no_image(8.0, view, {})
    assert "ROS_DOMAIN_ID=7" in no_image(8.0, view, {"ROS_DOMAIN_ID": "7"})


def test_a_camera_that_is_there_and_silent() -> None:
    view = CameraView(CAMERA, {"/image": 1, "/image/compressed": 0}, image_topics={"/image": "sensor_msgs/msg/Image"})
    sentence = no_image(8.0, view, {})
    assert "/image has a publisher" in sentence and "--image-topic" not in sentence
    assert "no further image" in no_image(8.0, CameraView(CAMERA, {}, had_images=True), {})


def test_a_camera_whose_quality_of_service_does_not_match() -> None:
    sentence = no_image(8.0, CameraView(CAMERA, {"/image": 1}, incompatible=["/image"]), {})
    assert "the publisher on /image offers a quality of service" in sentence


def test_a_topic_that_has_no_images() -> None:
    sentence = no_image(8.0, CameraView(("/chatter",), {"/chatter": 1}, {"/chatter": "std_msgs/msg/String"}), {})
    assert sentence.endswith("/chatter is of type std_msgs/msg/String, which is no image")


def test_many_topics_are_cut() -> None:
    types = {f"/camera{number}/image": "sensor_msgs/msg/Image" for number in range(30)}
    assert "and 22 more" in no_image(8.0, CameraView(CAMERA, {}, image_topics=types), {})


def plan_view(silent: str = "", has_planner: bool = True, **proposal: dict[str, str]) -> PlanView:
    return PlanView(("sat1", "sat2"), silent.split(), has_planner, bool(proposal), **proposal)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (plan_view(), ["the planner is there and has proposed none", "its log"]),
        (plan_view(has_planner=False), ["no planner is found"]),
        (plan_view("sat2"), ["no status yet of sat2"]),
        (plan_view("sat1 sat2", False), ["no planner is found and no status yet of sat1, sat2", "ROS_DOMAIN_ID=9"]),
        (
            plan_view(unready={"sat1": "is loading its blocks", "sat2": "refuses it: too small"}),
            ["one is proposed, but sat1 is loading its blocks; sat2 refuses it: too small"],
        ),
    ],
)
def test_no_plan_tells_what_is_missing(view: PlanView, words: list[str]) -> None:
    sentence = no_plan(9.4, view, {"ROS_DOMAIN_ID": "9"})
    assert sentence.startswith("no plan is active after 9 s: ")
    assert all(word in sentence for word in words)
    # Whoever hears somebody is in the right domain.
    assert ("ROS_DOMAIN_ID" in sentence) is (len(view.silent) == 2)


def test_a_stream_that_waits() -> None:
    sentence = stream_waits(8.0, {"sat2": "dead", "sat1": "does not serve the active plan yet"})
    assert sentence == "the stream waits for 8 s: sat1 does not serve the active plan yet; sat2 is dead"


def test_settings_that_decide_who_is_found() -> None:
    environ = {
        "ROS_DOMAIN_ID": "3",
        "ROS_LOCALHOST_ONLY": "",
        "FASTDDS_DEFAULT_PROFILES_FILE": "/prefix/share/satllm_ros/config/fastdds.xml",
        "HOME": "/root",
    }
    assert settings_that_hide(environ) == ["ROS_DOMAIN_ID=3"]
    assert settings_that_hide({"FASTDDS_DEFAULT_PROFILES_FILE": "/own.xml"}) == [
        "FASTDDS_DEFAULT_PROFILES_FILE=/own.xml"
    ]
