// Styles of <onair-settings>.
import { css } from "lit";

export const settingsStyle = css`
  .page {
    display: grid;
    gap: 14px;
    padding: calc(26px + var(--safe-top)) 18px 40px;
  }
  h1 {
    font-size: 1.5rem;
    font-weight: 800;
  }
  h2 {
    font-size: 1.1rem;
  }
  h3 {
    margin: 6px 0 0;
    color: var(--muted);
    font-size: 0.86rem;
    font-weight: 600;
  }
  section {
    display: grid;
    gap: 14px;
    justify-items: start;
    padding: 18px;
    border-radius: 22px;
    background: var(--surface);
  }
  section > * {
    max-width: 100%;
  }
  form {
    display: grid;
    gap: 10px;
    justify-items: start;
    width: 100%;
  }
  form .field {
    width: 100%;
  }
  section .field input {
    background: var(--ground);
  }
  small {
    display: block;
    margin-top: 4px;
    color: var(--muted);
    font-size: 0.82rem;
    font-weight: 400;
  }
  .row {
    display: flex;
    align-items: center;
    gap: 16px;
    width: 100%;
  }
  .grow {
    flex: 1;
    min-width: 0;
  }
  label.button {
    cursor: pointer;
  }
  label.button:focus-within {
    outline: 3px solid var(--sun-1);
    outline-offset: 2px;
  }
  .switch input {
    appearance: none;
    flex: none;
    position: relative;
    width: 52px;
    height: 32px;
    margin: 0;
    border-radius: 16px;
    background: var(--line);
    cursor: pointer;
    transition: background 0.2s;
  }
  .switch input::after {
    content: "";
    position: absolute;
    top: 4px;
    left: 4px;
    width: 24px;
    height: 24px;
    border-radius: 50%;
    background: #fff;
    transition: transform 0.2s;
  }
  .switch input:checked {
    background: var(--good);
  }
  .switch input:checked::after {
    transform: translateX(20px);
  }
  ul {
    width: 100%;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  li {
    display: flex;
    align-items: center;
    gap: 10px;
    min-height: 60px;
  }
  pre {
    width: 100%;
    margin: 0;
    padding: 14px;
    border-radius: 14px;
    background: var(--ground);
    font-size: 0.95rem;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
    user-select: all;
  }
  .empty {
    color: var(--muted);
  }
  .skeleton {
    width: 100%;
    height: 48px;
    border-radius: 14px;
  }
  .visitor {
    display: grid;
    place-content: center;
    justify-items: center;
    gap: 14px;
    height: 100%;
  }
  @media (prefers-reduced-motion: reduce) {
    .switch input,
    .switch input::after {
      transition: none;
    }
  }
`;
