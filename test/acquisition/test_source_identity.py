from satllm_ros.acquisition.source_identity import CameraIdentity, ManifestIdentity


def test_a_camera_counts_from_one_in_every_life() -> None:
    first, second = CameraIdentity(7), CameraIdentity(2**64 - 1)
    assert [first.next(), first.next(), second.next()] == [1, 2, 1]
    assert first.source_id == "camera-0000000000000007" and second.source_id == "camera-ffffffffffffffff"


def test_a_file_keeps_its_number_whatever_comes_before_it() -> None:
    identity = ManifestIdentity("source", ("b.jpg", "a.jpg"))
    assert [identity.frame_of(name) for name in ("a.jpg", "b.jpg", "0.jpg")] == [2, 1, None]
