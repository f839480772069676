// What stands over the picture while it does not play: why, and what happens next.
import { html } from "lit";
import { icon } from "./icons.js";
import { t } from "./strings.js";

/** The most important words first; nothing while the picture plays. `screen` is the watch screen. */
function words({ host, room, roomState, roomAway, playerState }) {
  const name = host?.display_name ?? "";
  if (playerState === "unsupported") return { key: "failed", title: t("error.playback") };
  if (playerState === "reconnecting") {
    return room?.media === "lost"
      ? { key: "lost", title: t("watch.host_lost", { name }), hint: t("watch.host_lost_hint"), busy: true }
      : { key: "reconnecting", title: t("watch.reconnecting"), hint: t("watch.reconnecting_hint"), busy: true };
  }
  if (playerState === "playing") return undefined;
  if (playerState === "buffering") return { key: "buffering", title: t("watch.buffering"), busy: true };
  if (roomState === "open" && room.media === "waiting") {
    return { key: "waiting", title: t("watch.waiting"), hint: t("watch.waiting_hint", { name }), busy: true };
  }
  return { key: "connecting", title: t(roomAway ? "watch.reconnecting" : "watch.connecting"), busy: true };
}

export function wordsOver(screen) {
  const found = words(screen);
  if (!found) return "";
  return html`<div class="words ${found.key}" role="status">
    ${found.busy ? html`<div class="spinner"></div>` : icon("alert")}
    <p>${found.title}</p>
    ${found.hint ? html`<small>${found.hint}</small>` : ""}
  </div>`;
}
