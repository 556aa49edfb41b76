"""Does a reader of recordings keep its promises? For readers of formats that are not ours, too."""

from __future__ import annotations

import numpy as np

from roboscale.core import Clip, Recording

__all__ = ["check_recording"]


def check_recording(recording: Recording, *, pictures: bool = True) -> None:
    """Reads every episode twice and asserts what `Recording` promises.

    Args:
        pictures: also decode cameras whose pictures are not in a video file.

    Raises:
        AssertionError: says which promise is broken.
    """
    spec = recording.spec
    assert len(set(recording.keys)) == len(recording.keys), "keys are not unique"
    named = [origin.field for origin in recording.origins]
    assert sorted(named) == sorted(spec.names), f"origins name {sorted(named)}, the spec {sorted(spec.names)}"
    assert all(reason for reason in recording.unmapped.values()), "a field is left out without a reason"
    numeric = {f.name for f in spec if not f.is_image}
    cameras = {f.name for f in spec.images}
    for key in recording.keys:
        absent = {c for c, keys in recording.missing.items() if key in keys}
        episode = recording.read(key, cameras - absent)
        again = recording.read(key, ())
        assert episode.key == key and len(episode) > 0, f"{key}: another key, or no frames"
        assert set(episode.arrays) == numeric, f"{key}: arrays {sorted(episode.arrays)}, spec {sorted(numeric)}"
        assert set(episode.pictures) == cameras - absent, f"{key}: cameras {sorted(episode.pictures)}"
        assert not again.pictures, f"{key}: pictures that nobody asked for"
        for name, array in episode.arrays.items():
            field = spec[name]
            assert array.shape == (len(episode), *field.shape), f"{key}: {name}: {array.shape}"
            assert array.dtype == np.dtype(field.dtype), f"{key}: {name}: {array.dtype} is not {field.dtype}"
            assert np.array_equal(array, again.arrays[name], equal_nan=array.dtype.kind == "f"), (
                f"{key}: {name} differs"
            )
        for name, images in episode.pictures.items():
            assert len(images) == len(episode), f"{key}: {name}: {len(images)} pictures for {len(episode)} frames"
            if pictures and not isinstance(images, Clip):
                for image in images:
                    assert image.shape == spec[name].shape and image.dtype == np.uint8, f"{key}: {name}: {image.shape}"
    recording.close()
