// How a standing and its record look, to the account itself and to operators: badge, meter of points, entries.
import { css, html } from "lit";
import { icon } from "./icons.js";
import { moment, t } from "./strings.js";

export const recordStyle = css`
  .standing {
    display: inline-flex;
    align-items: center;
    gap: 8px;
    width: fit-content;
    padding: 6px 14px 6px 10px;
    border-radius: 99px;
    background: color-mix(in srgb, var(--tone) 16%, transparent);
    color: var(--tone);
    font-weight: 750;
  }
  .standing .icon {
    width: 20px;
    height: 20px;
  }
  .standing.good {
    --tone: var(--good);
  }
  .standing.limited {
    --tone: var(--text);
  }
  .standing.suspended,
  .standing.banned {
    --tone: var(--bad);
  }
  .meter {
    display: grid;
    grid-template-columns: repeat(var(--most), 1fr);
    gap: 6px;
  }
  .meter i {
    height: 8px;
    border-radius: 4px;
    background: var(--line);
  }
  .meter i.on {
    background: var(--bad);
  }
  .record {
    display: grid;
    gap: 10px;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .record > li {
    display: grid;
    gap: 12px;
    padding: 16px 18px;
    border-radius: 20px;
    background: var(--surface);
  }
  .entry {
    display: grid;
    gap: 4px;
    overflow-wrap: anywhere;
  }
  .entry small,
  .entry .by {
    color: var(--muted);
    font-size: 0.86rem;
  }
  .entry blockquote {
    margin: 8px 0 0;
    padding: 8px 14px;
    border-left: 3px solid var(--line);
  }
  .empty {
    padding: 26px 0;
    color: var(--muted);
    text-align: center;
  }
  .block {
    height: 150px;
    border-radius: 22px;
  }
  textarea {
    width: 100%;
    padding: 12px 16px;
    border: 1.5px solid var(--line);
    border-radius: 16px;
    background: var(--surface);
    color: var(--text);
    font: inherit;
    font-weight: 500;
    resize: vertical;
  }
  textarea:focus {
    outline: none;
    border-color: var(--sun-2);
  }
`;

const SIGNS = { good: "check", limited: "clock", suspended: "lock", banned: "ban" };

/** The standing as a word with its sign; never told by colour alone. */
export const badge = (standing) => html`<span class="standing ${standing}">${icon(SIGNS[standing])}${t(`standing.${standing}`)}</span>`;

/** Points that count now, of those that ban. */
export function meter({ points, points_max: most }) {
  const shown = Math.min(points, most);
  return html`<div>
    <div class="meter" style="--most:${most}" role="img" aria-label=${t("standing.points", { points, most })}>
      ${Array.from({ length: most }, (_, at) => html`<i class=${at < shown ? "on" : ""}></i>`)}
    </div>
    <small>${t("standing.points", { points, most })}</small>
  </div>`;
}

function evidence({ stream_id: stream, event_id: event, frame_at: frame } = {}) {
  const parts = [
    stream && `${t("standing.stream")} ${stream}`,
    event && `${t("standing.event")} ${event}`,
    frame && `${t("standing.frame")} ${moment(frame)}`,
  ].filter(Boolean);
  return parts.length ? html`<small>${t("standing.evidence")}: ${parts.join(" · ")}</small>` : "";
}

/** One entry: what, when, why, on what evidence, who decided, and what became of the appeal. */
export function entry(each) {
  const title = each.kind === "strike" ? t(`rule.${each.rule}`) : t("standing.set_to", { standing: t(`standing.${each.standing}`) });
  const state = each.kind === "strike" ? (each.active ? t("standing.counts", { at: moment(each.expires_at) }) : t("standing.expired")) : "";
  return html`<div class="entry">
    <b>${title}</b>
    <span>${each.reason}</span>
    ${evidence(each.evidence)}
    <span class="by">
      ${moment(each.at)} · ${each.decided_by === "operator" ? t("standing.by_operator") : `@${each.decided_by}`}
      ${each.until ? html` · ${t("standing.until", { at: moment(each.until) })}` : ""} ${state ? html` · ${state}` : ""}
    </span>
    ${each.appeal
      ? html`<blockquote>
          <b>${t(`appeal.${each.appeal.state}`)}</b><br />
          ${each.appeal.text} ${each.appeal.reason ? html`<br /><small>${each.appeal.reason}</small>` : ""}
        </blockquote>`
      : ""}
  </div>`;
}
