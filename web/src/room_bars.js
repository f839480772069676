// Bars beside the comments: what is pinned, and whom the next comment answers.
import { html } from "lit";
import { icon } from "./icons.js";
import { t } from "./strings.js";

export function pinnedBar(room) {
  const pinned = room?.room?.pinned;
  if (!pinned) return "";
  return html`<p class="pinned" aria-label=${t("line.pinned")}>${icon("pin")}<span><b>${pinned.from?.name}</b> ${pinned.text}</span></p>`;
}

export function replyChip(comment, cancel) {
  return html`<p class="reply glass">
    ${icon("reply")}<span><b>${t("comment.replying", { name: comment.from?.name ?? comment.from?.handle })}</b> ${comment.text}</span>
    <button class="round" aria-label=${t("comment.reply_cancel")} @click=${cancel}>${icon("close")}</button>
  </p>`;
}
