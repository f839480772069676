"""What the relay measures of itself, as Prometheus reads it at `/metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """Counters and gauges of one relay; none is labelled by stream, so that their number is bounded."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.publishers = Gauge("onair_relay_publishers", "Publishers connected now", registry=registry)
        self.guests = Gauge("onair_relay_guests", "Guests who publish into a seat now", registry=registry)
        self.compositions = Gauge("onair_relay_compositions", "Streams whose picture is composed", registry=registry)
        self.compositions_refused = Gauge(
            "onair_relay_compositions_refused", "Streams that lack a processor to be composed", registry=registry
        )
        self.matches = Gauge("onair_relay_matches", "Streams that show another one's host", registry=registry)
        self.feeds = Gauge("onair_relay_feeds", "Hosts' media on its way to other tasks now", registry=registry)
        self.feed_bytes = Counter("onair_relay_feed_bytes", "Bytes of hosts' media to other tasks", registry=registry)
        self.feed_losses = Counter(
            "onair_relay_feed_losses", "Feeds from other tasks that broke, or were no relay's", registry=registry
        )
        self.ladders = Gauge("onair_relay_ladders", "Streams of which lower renditions are made", registry=registry)
        self.ladders_refused = Gauge(
            "onair_relay_ladders_refused", "Streams without a ladder, by reason", ["reason"], registry=registry
        )
        self.ladder_behind_s = Gauge(
            "onair_relay_ladder_behind_seconds", "How far the slowest rendition is behind its source", registry=registry
        )
        self.watchers = Gauge("onair_relay_watchers", "WHEP sessions now", registry=registry)
        self.streams = Gauge("onair_relay_streams", "Programs held now", registry=registry)
        self.streams_flowing = Gauge("onair_relay_streams_flowing", "Programs with media now", registry=registry)
        self.requests_blocked = Gauge("onair_relay_requests_blocked", "Requests waiting for media", registry=registry)
        self.media_held_bytes = Gauge("onair_relay_media_held_bytes", "Bytes of media in memory", registry=registry)
        self.loop_lateness_s = Gauge(
            "onair_relay_loop_lateness_seconds", "How late the last 250 ms timer ran", registry=registry
        )
        self.parts = Counter("onair_relay_parts", "Parts cut", registry=registry)
        self.frames_dropped = Counter(
            "onair_relay_frames_dropped", "Access units dropped while waiting for a key frame", registry=registry
        )
        self.packets_lost = Counter("onair_relay_packets_lost", "RTP packets given up", registry=registry)
        self.packets_repaired = Counter(
            "onair_relay_packets_repaired", "RTP packets that came after being asked for again", registry=registry
        )
        self.playlist_answers = Counter("onair_relay_playlist_answers", "Playlists served", registry=registry)
        self.media_answers = Counter(
            "onair_relay_media_answers", "Parts, segments and init segments served", registry=registry
        )
        self.media_bytes = Counter("onair_relay_media_bytes", "Bytes of media served", registry=registry)
        self.refusals = Counter("onair_relay_refusals", "Requests refused, by code", ["code"], registry=registry)
        self.announcements = Counter("onair_relay_announcements", "Media states told to the queue", registry=registry)
        self.leases = Gauge("onair_relay_leases", "Streams that this task owns", registry=registry)
        self.leases_lost = Counter("onair_relay_leases_lost", "Streams that another task took over", registry=registry)
        self.takeovers = Counter("onair_relay_takeovers", "Streams taken over from another task", registry=registry)
        self.followed = Gauge("onair_relay_followed", "Other tasks' streams pulled now", registry=registry)
        self.pulls = Counter("onair_relay_pulls", "Requests to other tasks for playlists and media", registry=registry)
        self.pulled_bytes = Counter("onair_relay_pulled_bytes", "Bytes of media from other tasks", registry=registry)
        self.passed_on = Counter("onair_relay_passed_on", "WHIP and WHEP requests passed on", registry=registry)
        self.protected = Gauge("onair_relay_protected", "Whether ECS lets this task live", registry=registry)
        self.rooms = Gauge("onair_relay_rooms", "Stadiums' rooms that this task is in", registry=registry)
        self.room_frames = Counter("onair_relay_room_frames", "Frames of rooms taken for the media", registry=registry)
        self.room_frames_dropped = Gauge(
            "onair_relay_room_frames_dropped", "Frames of rooms on air that never reached the media", registry=registry
        )
        self.room_reconnects = Counter(
            "onair_relay_room_reconnects", "Sockets to rooms that were lost", registry=registry
        )
        self.archive_objects = Counter("onair_relay_archive_objects", "Objects of recordings stored", registry=registry)
        self.archive_errors = Counter("onair_relay_archive_errors", "Uploads that failed", registry=registry)
        self.archive_dropped = Counter(
            "onair_relay_archive_dropped",
            "Objects that recordings lack, since neither S3 nor the disk took them",
            registry=registry,
        )
        self.archive_waiting_bytes = Gauge(
            "onair_relay_archive_waiting_bytes", "Bytes of recordings that S3 has not taken yet", registry=registry
        )
        self.control_errors = Counter("onair_relay_control_errors", "Failed calls to AWS", registry=registry)

    def bytes_sent(self) -> float:
        """Bytes of media served since the start."""
        found = self.registry.get_sample_value("onair_relay_media_bytes_total")
        return found or 0.0

    def recording_losses(self) -> float:
        """Objects that recordings lack since the start."""
        return self.registry.get_sample_value("onair_relay_archive_dropped_total") or 0.0

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
