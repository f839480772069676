// What covers the watch screen for good: the broadcast has ended, or may not be watched.
import { css, html } from "lit";
import { icon } from "./icons.js";
import { follow } from "./router.js";
import { avatar } from "./style.js";
import { clock, exact, t } from "./strings.js";

/** @param {{ host?: object, seconds: number, viewers?: number, replay?: string, follows?: () => void }} ended */
export function endedScreen({ host, seconds, viewers, follows, replay }) {
  const name = host?.display_name ?? "";
  return html`<section class="over" role="status">
    ${host ? avatar(host, 96) : ""}
    <h1>${t("watch.ended")}</h1>
    ${name ? html`<p>${t("watch.ended_hint", { name })}</p>` : ""}
    <dl>
      <div><dd>${clock(seconds)}</dd><dt>${t("watch.watched_for")}</dt></div>
      ${viewers ? html`<div><dd>${exact(viewers)}</dd><dt>${t("summary.viewers_unique")}</dt></div>` : ""}
    </dl>
    ${follows ? html`<button class="button" @click=${follows}>${t("follow")} ${name}</button>` : ""}
    ${replay ? html`<a class="button" href=${replay} @click=${follow}>${t("replay.watch")}</a>` : ""}
    <a class="button act" href="/" @click=${follow}>${t("watch.back_to_feed")}</a>
  </section>`;
}

/** `failure.account` tells that signing in would help. */
export function failedScreen(failure, signIn) {
  const missing = failure.code === "not_found";
  return html`<section class="over" role="alert">
    <div class="art">${icon(missing ? "alert" : "lock")}</div>
    <h1>${failure.heading ?? (missing ? t("not_found.title") : t("watch.ended_banned"))}</h1>
    <p>${missing && !failure.heading ? t("watch.not_found") : failure.message}</p>
    ${failure.account ? html`<button class="button act" @click=${signIn}>${t("sign_in.title")}</button>` : ""}
    <a class="button ${failure.account ? "" : "act"}" href="/" @click=${follow}>${t("watch.back_to_feed")}</a>
  </section>`;
}

export const overStyle = css`
  .over {
    position: absolute;
    inset: 0;
    z-index: 1;
    display: grid;
    align-content: center;
    justify-items: center;
    gap: 12px;
    padding: 40px 28px;
    overflow-y: auto;
    background: #08050dd1;
    backdrop-filter: blur(26px);
    -webkit-backdrop-filter: blur(26px);
    text-align: center;
    animation: appear 0.5s;
  }
  .over h1 {
    margin-top: 8px;
    font-size: 1.55rem;
  }
  .over p {
    max-width: 320px;
    color: #ffffffd1;
  }
  .over .button {
    min-width: 240px;
  }
  .over .button:not(.act):not(.danger) {
    background: #ffffff24;
    color: #fff;
  }
  .over dl {
    display: flex;
    gap: 34px;
    margin: 10px 0 16px;
  }
  .over dd {
    margin: 0;
    font-size: 1.5rem;
    font-weight: 800;
    font-variant-numeric: tabular-nums;
  }
  .over dt {
    color: #ffffffc7;
    font-size: 0.84rem;
  }
  .art {
    display: grid;
    place-items: center;
    width: 96px;
    height: 96px;
    border-radius: 50%;
    background: #ffffff1a;
    color: #ffb59c;
  }
  .art .icon {
    width: 42px;
    height: 42px;
  }
`;
