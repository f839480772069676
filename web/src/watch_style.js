// How the watch screen and the screen on air lie on the glass: picture, head, side, comments, composer.
import { css } from "lit";

export const watchStyle = css`
  :host {
    position: absolute;
    inset: 0;
    display: block;
    overflow: hidden;
    background: #08050d;
    color: #fff;
    color-scheme: dark;
  }
  .stage {
    position: absolute;
    inset: 0;
    overflow: hidden;
    touch-action: manipulation;
    user-select: none;
    -webkit-user-select: none;
    --stage-bottom: calc(46% + var(--safe-bottom));
  }
  /* What lies below the header makes room for the banner of a match. */
  .stage.matched {
    --match: 54px;
  }
  .veil {
    position: absolute;
    inset: 0;
    pointer-events: none;
    background: linear-gradient(#08050db8, transparent 19%, transparent 50%, #08050dd9);
  }
  .glass {
    background: #120b1f99;
    backdrop-filter: blur(14px);
    -webkit-backdrop-filter: blur(14px);
  }
  header {
    position: absolute;
    top: 0;
    left: 0;
    right: 0;
    display: flex;
    align-items: center;
    gap: 6px;
    padding: calc(8px + var(--safe-top)) max(8px, var(--safe-right)) 8px max(12px, var(--safe-left));
  }
  .spacer {
    flex: 1;
  }
  .host {
    display: flex;
    align-items: center;
    min-width: 0;
    max-width: 72%;
    border-radius: 26px;
  }
  .who {
    display: flex;
    align-items: center;
    gap: 8px;
    min-width: 0;
    min-height: 48px;
    padding: 4px 8px 4px 6px;
    border: 0;
    border-radius: 26px;
    background: none;
    text-align: left;
  }
  .ring {
    position: relative;
    display: grid;
    flex: none;
    padding: 2px;
    border-radius: 50%;
    box-shadow: 0 0 0 2px #ff3d6e;
  }
  .who .avatar.skeleton {
    width: 36px;
    height: 36px;
  }
  .names {
    display: grid;
    min-width: 0;
    line-height: 1.2;
  }
  .names b,
  .names small {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .names b {
    font-size: 0.88rem;
    font-weight: 700;
  }
  .names small {
    color: #ffffffd1;
    font-size: 0.76rem;
  }
  .follow {
    flex: none;
    min-height: var(--touch);
    margin: 2px 3px 2px 0;
    padding: 0 12px;
    border: 0;
    border-radius: 23px;
    background: var(--sun);
    color: var(--on-sun);
    font-size: 0.86rem;
    font-weight: 750;
  }
  .viewers {
    display: flex;
    flex: none;
    align-items: center;
    gap: 4px;
    position: relative;
    height: var(--touch);
    padding: 0 14px 0 10px;
    border: 0;
    border-radius: 22px;
    color: inherit;
    background: #120b1f99;
    font-size: 0.86rem;
    font-weight: 650;
    font-variant-numeric: tabular-nums;
  }
  .viewers::after {
    content: ""; /* a thumb's 44 px around 34 that look right */
    position: absolute;
    inset: -5px 0;
  }
  .viewers .icon {
    width: 17px;
    height: 17px;
    margin-left: 2px;
  }
  .viewers b {
    min-width: 1.2ch;
    font-weight: 700;
  }
  .side {
    position: absolute;
    top: calc(68px + var(--safe-top));
    right: max(8px, var(--safe-right));
    display: grid;
    gap: 10px;
  }
  .words {
    position: absolute;
    inset: 0 0 16%;
    display: grid;
    align-content: center;
    justify-items: center;
    gap: 12px;
    padding: 0 40px;
    text-align: center;
    pointer-events: none;
    animation: appear 0.3s;
    text-shadow: 0 1px 8px #000c;
  }
  .words p {
    font-size: 1.25rem;
    font-weight: 700;
  }
  .words small {
    max-width: 280px;
    color: #ffffffd1;
    font-size: 0.94rem;
  }
  @keyframes appear {
    from {
      opacity: 0;
    }
  }
  .tap-sound {
    position: absolute;
    left: 50%;
    top: 38%;
    translate: -50% -50%;
    display: inline-flex;
    align-items: center;
    gap: 10px;
    min-height: 56px;
    padding: 0 26px 0 20px;
    border: 0;
    border-radius: 28px;
    background: #f7f3fbf2;
    color: #1c1322;
    font-size: 1.06rem;
    font-weight: 700;
    white-space: nowrap;
    box-shadow: 0 10px 40px #0008;
  }
  .tap-sound::after {
    content: "";
    position: absolute;
    inset: 0;
    border-radius: inherit;
    pointer-events: none;
    animation: beckon 2.2s ease-out infinite;
  }
  @keyframes beckon {
    from {
      box-shadow: 0 0 0 0 #f7f3fb99;
    }
    70%,
    to {
      box-shadow: 0 0 0 22px #f7f3fb00;
    }
  }
  .behind {
    position: absolute;
    left: 50%;
    top: calc(74px + var(--match, 0px) + var(--safe-top));
    translate: -50% 0;
    display: inline-flex;
    align-items: center;
    gap: 8px;
    min-height: var(--touch);
    padding: 0 18px 0 13px;
    border: 0;
    border-radius: 22px;
    color: #fff;
    font-size: 0.92rem;
    font-weight: 700;
  }
  .behind .icon {
    width: 19px;
    height: 19px;
  }
  .room-away {
    position: absolute;
    top: calc(68px + var(--match, 0px) + var(--safe-top));
    left: 12px;
    display: flex;
    align-items: center;
    gap: 8px;
    padding: 7px 14px 7px 9px;
    border-radius: 17px;
    background: #120b1fcc;
    font-size: 0.86rem;
    font-weight: 600;
  }
  .room-away .spinner {
    width: 17px;
    height: 17px;
  }
  .side .count {
    position: absolute;
    top: -4px;
    right: -4px;
    min-width: 18px;
    padding: 0 4px;
    border-radius: 9px;
    background: var(--live);
    color: #fff;
    font-size: 0.7rem;
    line-height: 18px;
  }
  .side .round {
    position: relative;
  }
  aside {
    position: absolute;
    left: 0;
    right: 0;
    bottom: 0;
    display: grid;
    grid-template: auto minmax(0, 1fr) auto auto / minmax(0, 1fr);
    height: min(44%, 380px);
    padding: 0 max(10px, var(--safe-right)) calc(10px + var(--safe-bottom)) max(12px, var(--safe-left));
    pointer-events: none;
    /* Above the keyboard, whose own safe area covers ours. */
    transform: translateY(calc(-1 * max(0px, var(--keyboard) - var(--safe-bottom))));
    transition: transform 0.18s var(--ease);
  }
  aside > * {
    pointer-events: auto;
  }
  onair-comments {
    grid-row: 2;
    max-width: 82%;
  }
  .pinned {
    display: flex;
    gap: 6px;
    width: fit-content;
    max-width: 84%;
    padding: 8px 12px;
    border-radius: 14px;
    background: #120b1fb3;
    font-size: 0.88rem;
  }
  .pinned .icon {
    width: 18px;
    height: 18px;
    color: #ffc46b;
  }
  .pinned span,
  .reply span {
    min-width: 0;
    overflow: hidden;
    overflow-wrap: anywhere;
  }
  .pinned span {
    display: -webkit-box;
    -webkit-box-orient: vertical;
    -webkit-line-clamp: 2;
  }
  .reply {
    grid-row: 3;
    display: flex;
    align-items: center;
    gap: 8px;
    min-width: 0;
    margin: 2px 0 4px;
    padding-left: 12px;
    border-radius: 22px;
    font-size: 0.86rem;
  }
  .reply span {
    flex: 1;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .reply .icon {
    width: 18px;
    height: 18px;
  }
  .kinds {
    grid-row: 3;
    display: flex;
    gap: 2px;
    margin: 4px 0 2px -8px;
  }
  .kinds button {
    display: grid;
    place-items: center;
    width: 46px;
    height: 44px;
    padding: 0;
    border: 0;
    background: none;
    transition: transform 0.2s var(--spring);
  }
  .kinds button:active {
    transform: scale(1.35) translateY(-5px);
  }
  .kinds .emoji {
    font-size: 25px;
    filter: drop-shadow(0 1px 4px #0008);
  }
  aside form {
    grid-row: 4;
    display: flex;
    align-items: center;
    gap: 8px;
  }
  form.typing .share,
  form.typing .heart {
    display: none;
  }
  .field-box {
    display: flex;
    flex: 1;
    align-items: center;
    min-width: 0;
    border-radius: 23px;
    border: 1px solid #ffffff2e;
  }
  .field-box:focus-within {
    border-color: #ffffff8c;
  }
  .field-box input {
    flex: 1;
    min-width: 0;
    height: 44px;
    padding: 0 0 0 16px;
    border: 0;
    outline: 0;
    background: none;
    color: #fff;
    /* 16 px: Safari zooms into smaller fields. */
    font-size: 16px;
    text-overflow: ellipsis;
  }
  .field-box input::placeholder {
    color: #ffffffc7;
  }
  .send {
    display: grid;
    place-items: center;
    width: 44px;
    height: 44px;
    padding: 0;
    border: 0;
    border-radius: 50%;
    background: var(--sun);
    color: var(--on-sun);
  }
  .send .icon {
    width: 21px;
    height: 21px;
  }
  .round.gift {
    color: #ffd08a;
  }
  .round.heart {
    position: relative;
    color: #ff6a94;
  }
  .round.heart:active {
    transform: scale(1.18);
  }
  .round.heart small {
    position: absolute;
    top: -7px;
    right: -4px;
    padding: 0 6px;
    border-radius: 9px;
    background: #f7f3fb;
    color: #1c1322;
    font-size: 0.66rem;
    font-weight: 750;
    line-height: 17px;
    font-variant-numeric: tabular-nums;
  }
  /* Wide: the picture to the left, the room beside it. */
  @media (min-width: 900px) {
    .stage {
      right: 372px;
      --stage-bottom: 12%;
    }
    .veil {
      background: linear-gradient(#08050d99, transparent 16%);
    }
    aside {
      left: auto;
      top: 0;
      width: 372px;
      height: auto;
      padding: 16px;
      border-left: 1px solid #ffffff1a;
      background: #110c19;
    }
    onair-comments {
      max-width: none;
    }
    header,
    .side {
      padding-inline: 16px;
    }
    .side {
      right: 0;
    }
    .host {
      max-width: 420px;
    }
    .words {
      inset: 0;
    }
    .tap-sound {
      top: 50%;
    }
    .kinds {
      justify-content: space-between;
      margin: 10px 0;
    }
  }
  /* Low: more buttons than fit below one another stand in columns, the first at the edge. */
  @media (max-height: 500px) {
    .side {
      grid-auto-flow: column;
      grid-template-rows: repeat(4, auto);
      direction: rtl;
    }
    .side > * {
      direction: ltr;
    }
  }
  /* A phone on its side: comments keep to the left, the picture stays seen. */
  @media (orientation: landscape) and (max-height: 500px) and (max-width: 899px) {
    aside {
      right: 40%;
      height: 62%;
    }
  }
`;
