// The buttons beside the picture of a broadcast, and the sheets that a viewer opens over it. `screen` is the watch screen.
import { html } from "lit";
import { toggleFull } from "./big_picture.js";
import { icon } from "./icons.js";
import { roomButtons } from "./room_sheets.js";
import { seatsButton } from "./seats.js";
import { t } from "./strings.js";
import "./gift_tray.js";
import "./host_card.js";
import "./playback_sheet.js";
import "./sheet.js";

export function watchSide(screen, roomSheets) {
  const { player, fit } = screen;
  return html`<div class="side">
    ${player?.landscape && !screen.wide.matches
      ? html`<button class="round glass" aria-label=${t(fit === "cover" ? "watch.fit" : "watch.fill")}
          @click=${() => (screen.fill = fit !== "cover")}>${icon("fit")}</button>`
      : ""}
    <button
      class="round glass"
      aria-label=${t(player?.muted ? "watch.unmute" : "watch.mute")}
      @click=${() => (player.muted ? player.unmute() : player.mute())}
    >
      ${icon(player?.muted ? "muted" : "sound")}
    </button>
    <button class="round glass" aria-label=${t("playback.title")} @click=${() => (screen.sheet = "playback")}>${icon("tune")}</button>
    ${seatsButton(screen.seats?.stage, () => screen.seats)} ${roomButtons(screen.room, roomSheets)}
  </div>`;
}

/** Offered on the picture itself: who is far behind does not open a menu to find that out. */
export function behindChip({ player, ended }) {
  if (!player?.behind || ended) return "";
  return html`<button class="behind glass" @click=${() => player.goLive()}>${icon("refresh")}${t("playback.go_live")}</button>`;
}

export function watchSheets(screen, giftSent) {
  const { host, sheet } = screen;
  const close = (event) => event.target === event.currentTarget && (screen.sheet = undefined);
  return html`
    <onair-sheet
      clear
      heading=${host ? `${t("watch.gift")} ${t("gifts.to", { name: host.display_name })}` : t("watch.gift")}
      .open=${sheet === "gifts"}
      @close=${close}
    >
      ${sheet === "gifts" ? html`<onair-gift-tray .room=${screen.room} @sent=${giftSent}></onair-gift-tray>` : ""}
    </onair-sheet>
    <onair-sheet .open=${sheet === "host"} @close=${close}>
      ${sheet === "host" ? html`<onair-host-card .account=${host} .following=${screen.followed}></onair-host-card>` : ""}
    </onair-sheet>
    <onair-sheet clear heading=${t("playback.title")} .open=${sheet === "playback"} @close=${close}>
      ${sheet === "playback"
        ? html`<onair-playback .player=${screen.player} @done=${() => (screen.sheet = undefined)}></onair-playback>`
        : ""}
    </onair-sheet>
    <onair-sheet heading=${t("watch.share")} .open=${sheet === "link"} @close=${close}>
      <label class="field"
        >${t("watch.share")}<input readonly .value=${screen.link ?? ""} @focus=${(event) => event.target.select()}
      /></label>
    </onair-sheet>
  `;
}

/** Keys of a player, as people know them from others; undefined for one that is none. */
export function watchKey(event, { player }) {
  const target = event.composedPath()[0];
  if (!player || event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return undefined;
  if (target.matches?.("input, textarea, select, [contenteditable]")) return undefined;
  if (event.key === "m") return () => (player.muted ? player.unmute() : player.mute());
  if (event.key === "f") return () => toggleFull(player.video, player.landscape);
  return undefined;
}
