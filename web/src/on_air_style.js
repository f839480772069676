// How the host's own glass lies: the picture, what it earns, how the connection holds, the way out.
import { css } from "lit";

export const onAirStyle = css`
  .own {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    object-fit: cover;
  }
  .own.screen {
    object-fit: contain;
  }
  .own.mirror {
    transform: scaleX(-1);
  }
  header {
    flex-wrap: wrap;
    gap: 8px;
  }
  .pill {
    display: inline-flex;
    align-items: center;
    gap: 6px;
    height: 36px;
    padding: 0 13px 0 8px;
    border-radius: 18px;
    background: #120b1f99;
    font-size: 0.9rem;
    font-weight: 700;
    font-variant-numeric: tabular-nums;
  }
  /* As high as its neighbours to the eye, and as a thumb needs. */
  button.pill {
    height: var(--touch);
    border: 4px solid transparent;
    border-radius: 22px;
    background-clip: padding-box;
    color: inherit;
  }
  .pill .icon {
    width: 18px;
    height: 18px;
  }
  .pill.earned {
    transition: background 0.4s;
  }
  .health {
    padding-left: 11px;
    font-weight: 600;
    font-size: 0.84rem;
  }
  .health i {
    width: 9px;
    height: 9px;
    border-radius: 50%;
    background: #ffc46b;
  }
  .health.good i {
    background: #5fe0a5;
  }
  .health.poor i,
  .health.reconnecting i {
    background: #ff8096;
  }
  .end {
    min-height: var(--touch);
    padding: 0 20px;
    border: 0;
    border-radius: 22px;
    background: var(--live);
    color: #fff;
    font-weight: 750;
  }
  .row {
    display: flex;
    flex-basis: 100%;
    align-items: center;
    flex-wrap: wrap;
    gap: 8px;
  }
  .side {
    top: calc(120px + var(--safe-top));
  }
  .off {
    position: absolute;
    inset: 0;
    display: grid;
    place-content: center;
    justify-items: center;
    gap: 12px;
    background: #120c1c;
    color: #ffffffd1;
  }
  .off .icon {
    width: 52px;
    height: 52px;
  }
  .round.glass[aria-pressed="true"] {
    background: #f7f3fb;
    color: #b3123f;
  }
  .mic-off {
    color: #ffd9df;
  }
  .sheet-actions {
    display: grid;
    gap: 10px;
    padding-top: 14px;
  }
  .sheet-text {
    color: var(--muted);
  }
  onair-sheet {
    color-scheme: dark light;
  }
  .words {
    inset: 0 0 26%;
  }
  onair-room-cards {
    top: calc(150px + var(--match, 0px) + var(--alone, 0px) + var(--safe-top));
  }
  onair-match {
    --match-top: 122px;
  }
  onair-stage-refused {
    position: absolute;
    top: calc(122px + var(--banner, 0px) + var(--safe-top));
    left: max(12px, var(--safe-left));
    right: calc(64px + var(--safe-right));
    pointer-events: none;
  }
  .stage.matched {
    --banner: 56px;
  }
  .stage.alone {
    --alone: 60px;
  }
  /* What the pulse tells may take a line of its own. */
  @media (max-width: 700px) {
    onair-match {
      --match-top: 156px;
    }
    onair-stage-refused {
      top: calc(156px + var(--banner, 0px) + var(--safe-top));
    }
    .stage.matched {
      --match: 60px;
    }
  }
`;
