// Who was beside the host at this moment of a recording, as a link to their side of it.
import { css, html } from "lit";
import { follow } from "./router.js";
import { avatar } from "./style.js";
import { t } from "./strings.js";

export const replayMatchStyle = css`
  .match {
    position: absolute;
    top: calc(64px + var(--safe-top));
    left: max(12px, var(--safe-left));
    display: flex;
    align-items: center;
    gap: 6px;
    box-sizing: border-box;
    min-height: var(--touch);
    max-width: calc(100% - 84px);
    padding: 0 14px 0 10px;
    border-radius: 22px;
    color: #fff;
    font-size: 0.84rem;
    font-weight: 700;
    text-decoration: none;
  }
  .match span:not(.avatar) {
    min-width: 0;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .match .avatar {
    flex: none;
  }
  .match b {
    color: #ffc46b;
  }
`;

/** Nothing without a match, or with somebody behind a block. `replay` is the right to play the recording. */
export function replayMatch({ stream: { host }, hidden }, match) {
  const rival = match?.rival;
  if (!rival || hidden?.includes(rival.host.id)) return "";
  return html`<a class="match glass" href="/watch/${rival.stream_id}" @click=${follow} aria-label=${t("match.open", { handle: rival.host.handle })}
    >${avatar(host, 24)}<span>@${host.handle}</span><b aria-hidden="true">×</b>${avatar({ ...rival.host, display_name: rival.host.name }, 24)}<span
      >@${rival.host.handle}</span
    ></a>`;
}
