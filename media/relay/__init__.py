"""The media relay: the path of a frame from a publisher to every viewer, one file a step (`python -m media.relay`)."""
