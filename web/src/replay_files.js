// <onair-replay-files>: what a host does with a recording: keep it as files, or delete it for everyone.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { router } from "./router.js";
import { sheet } from "./style.js";
import { clock, size, t } from "./strings.js";
import { toast } from "./toast.js";

/** Files that are being made are asked for again after this long; twelve hours of recording take some minutes. */
const ASK_MS = 2_000;
const ASKS_MAX = 600;

/** @fires deleted - it is gone for everyone; whoever prevents the default stays on their screen */
export class OnairReplayFiles extends LitElement {
  static properties = {
    streamId: {},
    files: { state: true },
    preparing: { state: true },
    sure: { state: true },
    deleting: { state: true },
    problem: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        display: grid;
        gap: 10px;
      }
      p {
        margin: 0;
        opacity: 0.85;
      }
      .sure {
        display: grid;
        gap: 8px;
      }
      .problem {
        color: #ff9c97;
        opacity: 1;
      }
    `,
  ];

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.asking);
  }

  #download = () => {
    this.problem = undefined;
    this.preparing = true;
    this.#ask(ASKS_MAX);
  };

  async #ask(left) {
    try {
      const { state, files } = await api.post(`/streams/${this.streamId}/replay/download`);
      if (!this.isConnected) return;
      if (state === "preparing" && left > 0) {
        this.asking = setTimeout(() => this.#ask(left - 1), ASK_MS);
        return;
      }
      this.preparing = false;
      if (state !== "ready") this.problem = t("replay.download_late");
      else this.#got(files);
    } catch ({ message }) {
      this.preparing = false;
      this.problem = message;
    }
  }

  async #got(files) {
    this.files = files;
    await this.updateComplete;
    // One file comes at once; of several, each is chosen.
    if (files.length === 1) this.renderRoot.querySelector("a").click();
  }

  #delete = async () => {
    this.deleting = true;
    try {
      await api.delete(`/streams/${this.streamId}`);
      toast(t("replay.deleted"));
      const left = this.dispatchEvent(new Event("deleted", { cancelable: true }));
      if (left && this.isConnected) router.go("/me", { replace: true });
    } catch ({ message }) {
      this.problem = message;
    } finally {
      this.deleting = false;
    }
  };

  #file = ({ url, bytes, duration_s: seconds }, at) => html`<a class="button act wide" href=${url} download>
    ${icon("down")}${this.files.length > 1 ? t("replay.part", { number: at + 1 }) : t("replay.save")} · ${clock(seconds)} · ${size(bytes)}
  </a>`;

  #keep() {
    if (this.files) {
      return html`${this.files.length > 1 ? html`<p>${t("replay.parts")}</p>` : ""}${this.files.map(this.#file)}`;
    }
    return html`<button class="button act wide" ?disabled=${Boolean(this.preparing)} @click=${this.#download}>
      ${icon("down")}${t(this.preparing ? "replay.download_preparing" : "replay.download")}
    </button>`;
  }

  #remove() {
    if (!this.sure) {
      return html`<button class="button plain wide" @click=${() => (this.sure = true)}>${icon("trash")}${t("replay.delete")}</button>`;
    }
    return html`<div role="alertdialog" aria-label=${t("replay.delete")} class="sure">
      <p>${t("replay.delete_what")}</p>
      <button class="button danger wide" ?disabled=${Boolean(this.deleting)} @click=${this.#delete}>${t("replay.delete_sure")}</button>
      <button class="button wide" @click=${() => (this.sure = false)}>${t("cancel")}</button>
    </div>`;
  }

  render() {
    return html`
      ${this.#keep()}
      <div role="status">${this.problem ? html`<p class="problem">${this.problem}</p>` : ""}</div>
      ${this.#remove()}
    `;
  }
}

customElements.define("onair-replay-files", OnairReplayFiles);
