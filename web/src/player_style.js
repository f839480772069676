// How the player lies on its screen: the picture, the last one kept over it, the blurred one behind it.
import { css } from "lit";

export const playerStyle = css`
  :host {
    position: absolute;
    inset: 0;
    display: block;
    overflow: hidden;
    background: #08050d;
  }
  video,
  .still,
  .backdrop {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    object-fit: cover;
  }
  .backdrop {
    filter: blur(34px) saturate(1.3) brightness(0.5);
    transform: scale(1.25);
  }
  :host([fit="contain"]) video,
  :host([fit="contain"]) .still {
    object-fit: contain;
  }
  .still {
    visibility: hidden;
    filter: brightness(0.42) saturate(0.8);
  }
  :host([state="reconnecting"]) .still.taken {
    visibility: visible;
  }
  :host([state="reconnecting"]) video {
    filter: brightness(0.42) saturate(0.8);
  }
  :host([state="buffering"]) video {
    filter: brightness(0.7);
  }
  :host([alone]) .still.taken {
    visibility: visible;
    filter: blur(26px) saturate(1.2) brightness(0.4);
    transform: scale(1.15);
  }
  .alone {
    position: absolute;
    inset: 0;
    display: flex;
    align-items: center;
    justify-content: center;
    gap: 10px;
    color: #fff;
    font-weight: 650;
  }
  .alone svg {
    width: 28px;
    height: 28px;
  }
  video {
    transition: filter 0.3s;
  }
  .play {
    position: absolute;
    inset: 0;
    margin: auto;
    width: 96px;
    height: 96px;
    border-radius: 50%;
    border: 0;
    background: var(--sun);
    color: var(--on-sun);
  }
  .play svg {
    width: 44px;
    height: 44px;
  }
`;
