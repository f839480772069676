// What the operators' sections share in looks.
import { css } from "lit";

export const operatorStyle = css`
  form,
  .stack {
    display: grid;
    gap: 14px;
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    gap: 10px;
    align-items: end;
  }
  .row .field {
    flex: 1 1 200px;
  }
  .card {
    display: grid;
    gap: 14px;
    padding: 18px;
    border-radius: 22px;
    background: var(--surface);
  }
  .card .field input,
  .card .field select {
    background: var(--ground);
  }
  .who {
    display: flex;
    align-items: center;
    gap: 14px;
  }
  .who > div {
    flex: 1;
    min-width: 0;
    overflow-wrap: anywhere;
  }
  dl {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(130px, 1fr));
    gap: 10px;
    margin: 0;
  }
  dt {
    color: var(--muted);
    font-size: 0.84rem;
  }
  dd {
    margin: 0;
    font-weight: 650;
  }
  h2 {
    font-size: 1.05rem;
  }
  details summary {
    display: flex;
    align-items: center;
    min-height: var(--touch);
    font-weight: 650;
    cursor: pointer;
  }
  .empty {
    padding: 26px 0;
    color: var(--muted);
    text-align: center;
  }
  .block {
    height: 120px;
    border-radius: 22px;
  }
`;
