// Styles of <onair-payouts>: one column on a phone, two on a desk.
import { css } from "lit";

export const payoutsStyle = css`
  header {
    display: flex;
    align-items: center;
    gap: 6px;
    margin: 0 0 14px -10px;
  }
  h1 {
    font-size: 1.45rem;
    font-weight: 800;
  }
  h2 {
    font-size: 1.1rem;
  }
  section {
    margin-bottom: 28px;
  }
  section > h2 {
    margin-bottom: 10px;
  }
  .head {
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: 12px;
    min-height: 48px;
    margin-bottom: 4px;
  }
  .card,
  .balance {
    padding: 18px;
    border-radius: 22px;
    background: var(--surface);
  }
  .balance {
    display: grid;
    gap: 8px;
    background:
      radial-gradient(120% 130% at 100% 0, color-mix(in srgb, var(--diamond) 22%, transparent), transparent 60%),
      var(--surface);
  }
  .balance > span,
  .balance > p {
    color: var(--muted);
  }
  .balance > b {
    display: flex;
    align-items: center;
    gap: 10px;
    font-size: 2.3rem;
    font-weight: 800;
    letter-spacing: -0.03em;
    line-height: 1.1;
    font-variant-numeric: tabular-nums;
  }
  .balance > b .icon {
    width: 32px;
    height: 32px;
  }
  .balance > .button,
  .meter {
    margin-top: 8px;
  }
  .note {
    display: flex;
    gap: 8px;
    align-items: flex-start;
    font-size: 0.92rem;
  }
  .note .icon {
    width: 20px;
    height: 20px;
    color: var(--warn);
  }
  .meter {
    height: 10px;
    overflow: hidden;
    border-radius: 5px;
    background: var(--raised);
  }
  .meter i {
    display: block;
    width: calc(var(--part) * 100%);
    height: 100%;
    border-radius: 5px;
    background: var(--sun);
  }
  .switch {
    display: flex;
    padding: 2px;
    border-radius: 24px;
    background: var(--raised);
  }
  .switch button {
    min-height: 44px;
    min-width: 44px;
    padding: 0 14px;
    border: 0;
    border-radius: 22px;
    background: none;
    color: var(--muted);
    font-size: 0.88rem;
    font-weight: 650;
  }
  .switch [aria-pressed="true"] {
    background: var(--ground);
    color: var(--text);
  }
  .payee {
    display: flex;
    align-items: center;
    gap: 14px;
  }
  .payee > span {
    flex: 1;
    min-width: 0;
  }
  small {
    display: block;
    color: var(--muted);
    font-size: 0.84rem;
  }
  ul {
    display: grid;
    gap: 10px;
    margin: 0 0 14px;
    padding: 0;
    list-style: none;
  }
  ul > li {
    display: grid;
    gap: 8px;
    padding: 14px 16px;
    border-radius: 20px;
    background: var(--surface);
  }
  .row {
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: 12px;
  }
  .row b {
    font-size: 1.15rem;
    font-variant-numeric: tabular-nums;
  }
  .state {
    display: inline-flex;
    align-items: center;
    gap: 5px;
    flex: none;
    padding: 4px 12px 4px 8px;
    border-radius: 14px;
    background: color-mix(in srgb, var(--warn) 16%, transparent);
    color: var(--warn);
    font-size: 0.84rem;
    font-weight: 700;
  }
  .state .icon {
    width: 17px;
    height: 17px;
  }
  .state.paid {
    background: color-mix(in srgb, var(--good) 16%, transparent);
    color: var(--good);
  }
  .state.reversed {
    background: var(--raised);
    color: var(--muted);
  }
  .steps {
    display: grid;
    grid-template-columns: repeat(3, 1fr);
    gap: 6px;
    margin: 0;
    padding: 0;
    list-style: none;
    color: var(--muted);
    font-size: 0.76rem;
  }
  .steps li {
    padding-top: 7px;
    border-top: 4px solid var(--raised);
    border-radius: 2px;
  }
  .steps .past {
    border-color: var(--sun-2);
  }
  .steps [aria-current="step"] {
    border-image: linear-gradient(90deg, var(--sun-2) 50%, var(--raised) 50%) 1;
    color: var(--text);
    font-weight: 650;
  }
  .sums {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 8px 0;
    margin: 0 0 8px;
    font-variant-numeric: tabular-nums;
  }
  dt {
    color: var(--muted);
  }
  dd {
    margin: 0;
    text-align: end;
  }
  .part {
    color: var(--muted);
    font-size: 0.84rem;
  }
  .net {
    padding-top: 8px;
    border-top: 1px solid var(--line);
    color: var(--text);
    font-weight: 800;
  }
  .pager {
    display: flex;
    align-items: center;
    font-variant-numeric: tabular-nums;
  }
  .pager :disabled {
    opacity: 0.35;
  }
  .empty {
    padding: 20px 4px;
    color: var(--muted);
    text-align: center;
  }
  .skeleton {
    height: 74px;
    margin-bottom: 10px;
    border-radius: 20px;
  }
  .skeleton.tall {
    height: 190px;
    margin-bottom: 24px;
  }
  .refusal {
    margin-bottom: 12px;
  }
  .visitor {
    display: grid;
    place-content: center;
    justify-items: center;
    gap: 18px;
    height: 100%;
    padding: 24px;
  }
  @media (min-width: 1000px) {
    .page {
      max-width: 1040px;
    }
    .columns {
      display: grid;
      grid-template-columns: 5fr 7fr;
      gap: 28px;
      align-items: start;
    }
  }
`;
