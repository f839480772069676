// How the room feels, for the host: a mark between sad and happy, comments a minute, and whether people come or go.
import { css, html } from "lit";
import { icon } from "./icons.js";
import { t } from "./strings.js";

/** Sentiment nearer to zero than this is neither good nor bad. */
const MIXED = 0.15;

export function pulseGauge({ sentiment, comments_per_min: pace, viewers_trend: trend, top_words: words }) {
  const mood = t(sentiment > MIXED ? "pulse.good" : sentiment < -MIXED ? "pulse.bad" : "pulse.mixed");
  return html`<span
    class="pill pulse"
    role="meter"
    aria-valuemin="-1"
    aria-valuemax="1"
    aria-valuenow=${sentiment}
    aria-label=${t("pulse.label", { mood, n: pace })}
    title=${words.join(", ")}
    ><i style="--at:${(sentiment + 1) / 2}"></i>${t("pulse.pace", { n: pace })}${trend === 0
      ? ""
      : icon(trend > 0 ? "up" : "down")}</span
  >`;
}

export const pulseStyle = css`
  .pulse {
    padding-left: 12px;
    font-size: 0.84rem;
  }
  .pulse i {
    position: relative;
    width: 44px;
    height: 6px;
    border-radius: 3px;
    background: linear-gradient(90deg, #ff8096, #ffc46b, #5fe0a5);
  }
  .pulse i::after {
    content: "";
    position: absolute;
    top: -4px;
    left: calc(var(--at) * 100%);
    width: 6px;
    height: 14px;
    margin-left: -3px;
    border-radius: 3px;
    background: #fff;
    box-shadow: 0 0 4px #000a;
    transition: left 0.6s;
  }
`;
