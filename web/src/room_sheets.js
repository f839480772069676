// <onair-room-sheets>: the sheets that viewers, moderators and hosts share: questions, poll, viewers, rules, a comment's menu.
import { LitElement, html } from "lit";
import { icon } from "./icons.js";
import { t } from "./strings.js";
import "./comment_menu.js";
import "./gift_board.js";
import "./goal_button.js";
import "./held.js";
import "./moderation.js";
import "./poll_form.js";
import "./questions.js";
import "./report_form.js";
import "./sheet.js";
import "./viewers.js";

export const moderates = (room) => room?.me?.role === "host" || room?.me?.role === "moderator";

/** Buttons of the side of the picture that open them; `sheets` gives the element at the time of the tap. */
export function roomButtons(room, sheets) {
  const waiting = moderates(room) ? room.heldWaiting : 0;
  const button = (name, key) => html`<button class="round glass" data-sheet=${name} aria-label=${t(key)} @click=${() => sheets().show(name)}>
    ${icon(name === "rules" ? "shield" : name === "poll" ? "poll" : "question")}
  </button>`;
  return html`<onair-goal-button .room=${room} @click=${() => sheets().show("board")}></onair-goal-button>
  ${button("questions", "questions.title")}
  ${moderates(room) ? html`${button("poll", "poll.new")}${button("rules", "moderation.title")}${
        waiting ? html`<button class="round glass count" data-sheet="held" aria-label=${t("held.open", { n: waiting })} @click=${() => sheets().show("held")}>
          <b>${waiting}</b>
        </button>` : ""
      }` : ""}`;
}

/** @fires reply - detail: the comment to reply to */
export class OnairRoomSheets extends LitElement {
  static properties = { room: { attribute: false }, open: { state: true }, comment: { state: true } };

  /** Opens a sheet by name; "menu" is about `comment`. */
  show(name, comment) {
    this.comment = comment;
    this.open = name;
  }

  close = () => (this.open = undefined);

  #replied = ({ detail }) => {
    this.close();
    this.dispatchEvent(new CustomEvent("reply", { detail }));
  };

  #body() {
    const { room } = this;
    switch (this.open) {
      case "board":
        return html`<onair-gift-board .room=${room}></onair-gift-board>`;
      case "questions":
        return html`<onair-questions .room=${room} .moderates=${moderates(room)}></onair-questions>`;
      case "poll":
        return html`<onair-poll-form .room=${room} @done=${this.close}></onair-poll-form>`;
      case "viewers":
        return html`<onair-viewers .room=${room} .moderates=${moderates(room)}></onair-viewers>`;
      case "rules":
        return html`<onair-moderation .streamId=${room.streamId} .waiting=${room.heldWaiting} @held=${() => this.show("held")}></onair-moderation>`;
      case "held":
        return html`<onair-held .room=${room}></onair-held>`;
      case "report":
        return html`<onair-report .path=${`/streams/${room.streamId}`} .eventId=${this.comment?.id} @done=${this.close}></onair-report>`;
      case "menu":
        return html`<onair-comment-menu .room=${room} .comment=${this.comment} @reply=${this.#replied} @report=${() => this.show("report", this.comment)} @done=${this.close}></onair-comment-menu>`;
      default:
        return "";
    }
  }

  render() {
    const headings = {
      board: "board.title", questions: "questions.title", viewers: "viewers.title", poll: "poll.new", rules: "moderation.title",
      held: "held.title", report: "report.title", menu: "comment.menu",
    };
    return html`<onair-sheet
      clear
      heading=${this.open ? t(headings[this.open]) : ""}
      .open=${this.open !== undefined}
      @close=${(event) => event.target === event.currentTarget && this.close()}
      >${this.#body()}</onair-sheet
    >`;
  }
}

customElements.define("onair-room-sheets", OnairRoomSheets);
