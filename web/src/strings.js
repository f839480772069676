// Every sentence of the page, by key. A language is one more table; a missing key falls back to English.

/** @type {Record<string, Record<string, string>>} */
const tables = {
  en: {
    "app.name": "Onair",
    "app.tagline": "Be there while it happens.",
    "app.starting": "Starting Onair…",
    "app.start_failed": "Onair did not answer. Check your connection, then try again.",
    "retry": "Try again",
    "cancel": "Cancel",
    "close": "Close",
    "back": "Back",
    "next": "Next",
    "done": "Done",
    "live": "LIVE",

    "tab.feed": "Home",
    "tab.following": "Following",
    "tab.create": "Go live",
    "tab.me": "Me",
    "tab.navigation": "Main",

    "feed.for_you": "For you",
    "feed.following": "Following",
    "feed.loading": "Finding who is live…",
    "feed.empty": "Nobody is live right now",
    "feed.empty_hint": "Every room starts with one person. It could be you.",
    "feed.following_empty": "Nobody you follow is live",
    "feed.following_hint": "Follow hosts you like and they will be here when they go live.",
    "feed.error": "The feed did not load",
    "feed.refresh": "Refresh",
    "feed.pull": "Pull to refresh",
    "feed.release": "Release to refresh",
    "feed.refreshing": "Refreshing…",
    "feed.open": "Watch {name}: {title}",
    "why.following": "You follow them",
    "why.popular": "Popular now",
    "why.just_started": "Just started",
    "why.live": "Live now",
    "why.upcoming": "Coming up",

    "sign_in.title": "Sign in",
    "sign_in.to_act": "Sign in to {act}",
    "sign_in.hint": "Comment, send gifts and go live.",
    "sign_in.demo": "Try it as",
    "sign_in.or": "or with your own account",
    "sign_in.handle": "Handle",
    "sign_in.password": "Password",
    "sign_in.submit": "Sign in",
    "sign_in.no_account": "New here? Create an account",
    "sign_in.have_account": "Have an account? Sign in",
    "sign_in.out": "Sign out",
    "sign_up.title": "Create your account",
    "sign_up.display_name": "Name people see",
    "sign_up.birth_date": "Birth date",
    "sign_up.birth_why": "Never shown. It decides what you may watch and do.",
    "sign_up.market": "Country",
    "sign_up.submit": "Create account",
    "sign_up.password_hint": "At least 10 characters, with small and large letters and a digit.",
    "act.comment": "comment",
    "act.react": "send hearts",
    "act.gift": "send a gift",
    "act.follow": "follow",
    "act.live": "go live",
    "act.me": "see your account",
    "act.following": "see who you follow",

    "watch.connecting": "Connecting…",
    "watch.waiting": "Starting soon",
    "watch.waiting_hint": "{name} is getting the camera ready.",
    "watch.buffering": "Loading…",
    "watch.reconnecting": "Reconnecting…",
    "watch.reconnecting_hint": "The picture will be back in a moment.",
    "watch.host_lost": "{name} has a weak connection",
    "watch.host_lost_hint": "The picture comes back as soon as they do.",
    "watch.room_reconnecting": "Chat is reconnecting…",
    "watch.tap_sound": "Tap for sound",
    "watch.tap_play": "Tap to play",
    "watch.mute": "Mute",
    "watch.unmute": "Sound on",
    "watch.fit": "Fit picture to screen",
    "watch.fill": "Fill screen with picture",
    "watch.comment": "Add a comment…",
    "watch.comment_sign_in": "Sign in to comment…",
    "watch.comments_off": "Comments are off",
    "watch.muted_you": "You are muted in this room",
    "watch.send": "Send comment",
    "watch.gift": "Gifts",
    "watch.share": "Share",
    "watch.shared": "Link copied",
    "watch.share_text": "{name} is live on Onair: {title}",
    "watch.leave": "Leave",
    "watch.ended": "This broadcast has ended",
    "watch.ended_hint": "Thanks for watching {name}.",
    "watch.ended_banned": "You can no longer watch this room",
    "watch.watched_for": "you watched",
    "watch.back_to_feed": "Find another live",
    "watch.not_found": "This broadcast does not exist, or is gone.",
    "watch.viewers": "{n} watching",
    "watch.viewers_label.one": "{n} viewer",
    "watch.viewers_label.other": "{n} viewers",
    "watch.react": "Send {kind}",
    "watch.heart_hint": "Double tap the picture to send a heart",
    "watch.new_comments": "New comments",
    "watch.comments": "Comments",
    "watch.says_hello": "Say hello to {name}. Keep it kind.",
    "watch.replay_soon": "Comments show here as they come.",
    "watch.skipped": "{n} more comments",

    "line.join": "joined",
    "line.follow": "followed the host",
    "line.share": "shared the broadcast",
    "line.gift": "sent {gift}",
    "line.muted": "{name} was muted",
    "line.pinned": "Pinned",
    "line.milestone": "Milestone reached",
    "badge.host": "Host",
    "badge.moderator": "Mod",

    "follow": "Follow",
    "following": "Following",
    "followed": "You follow {name} now",
    "followers.one": "follower",
    "followers.other": "followers",
    "following_count": "following",

    "gifts.title": "Gifts",
    "gifts.send": "Send",
    "gifts.balance": "{n} coins",
    "gifts.get_coins": "Get coins",
    "gifts.failed": "Gifts did not load",
    "gifts.combo": "Combo ×{n}",
    "gifts.price.one": "{n} coin",
    "gifts.price.other": "{n} coins",
    "gifts.to": "to {name}",
    "coins.title": "Get coins",
    "coins.sandbox": "Sandbox: nothing is charged.",
    "coins.buy": "{n} coins for {price}",
    "coins.bought": "{n} coins added",
    "coins.balance": "Your balance",

    "live.title": "Go live",
    "live.what": "What is it about?",
    "live.title_label": "Title",
    "live.title_placeholder": "Give your live a title",
    "live.topics": "Topics",
    "live.topics_hint": "Up to 3. They help people find you.",
    "live.checking": "Checking camera, microphone and your account…",
    "live.checks": "Before you go live",
    "live.checks_ready": "All set. You can go live.",
    "live.checks_missing": "Almost there. This is still missing:",
    "live.checks_failed": "The check did not answer",
    "live.check_again": "Check again",
    "live.continue": "Continue",
    "live.need": "Needs {needed}",
    "live.have": "you have {actual}",
    "live.device_refused": "Allow it in your browser: tap the icon beside the address, then check again.",
    "live.device_missing": "None was found. Connect one, then check again.",
    "live.device_busy": "Another app is using it. Close that app, then check again.",
    "live.device_insecure": "Browsers give camera and microphone only to pages opened over HTTPS or on this very machine.",
    "live.preview": "Camera preview",
    "live.preview_hint": "Only you see this yet.",
    "live.switch_camera": "Switch camera",
    "live.mic_level": "Microphone level",
    "live.mic_quiet": "Say something to test your microphone",
    "live.go": "Go live",
    "live.starting": "Going live…",
    "live.start_failed": "Could not go live",
    "live.already": "You are live already",
    "live.already_hint": "A broadcast of yours is still on, maybe on another device.",
    "live.take_over": "Continue it here",
    "live.end_other": "End that broadcast",
    "live.mute_mic": "Mute microphone",
    "live.unmute_mic": "Unmute microphone",
    "live.camera_off": "Turn camera off",
    "live.camera_on": "Turn camera on",
    "live.camera_is_off": "Your camera is off",
    "live.mic_is_off": "Microphone muted",
    "live.end": "End",
    "live.end_title": "End your broadcast?",
    "live.end_hint": "Everybody in the room will see that it is over.",
    "live.end_confirm": "End now",
    "live.end_keep": "Keep going",
    "live.ending": "Ending…",
    "live.health.connecting": "Connecting…",
    "live.health.good": "Good connection",
    "live.health.fair": "Weak connection",
    "live.health.poor": "Bad connection",
    "live.health.reconnecting": "Reconnecting…",
    "live.reconnecting_hint": "Viewers wait with you. Stay here.",
    "live.publish_refused": "The relay refused this broadcast: {reason}",
    "live.leave_warning": "You are live. Leaving ends your picture.",
    "live.comment": "Answer your viewers…",
    "live.diamonds": "Diamonds earned",
    "live.elapsed": "On air for",
    "live.summary": "That was live!",
    "live.summary_hint": "{title}",
    "live.ended_reason": "This broadcast ended by itself: {reason}",
    "summary.duration": "On air",
    "summary.viewers_unique": "Viewers",
    "summary.viewers_peak": "Most at once",
    "summary.comments": "Comments",
    "summary.reactions": "Reactions",
    "summary.gifts": "Gifts",
    "summary.diamonds": "Diamonds",
    "summary.new_followers": "New followers",
    "reason.never_flowed": "no picture arrived",
    "reason.lost": "the picture was lost for too long",

    "requirement.followers": "Followers",
    "requirement.age": "Age",
    "requirement.standing": "Account in good standing",
    "requirement.camera": "Camera",
    "requirement.microphone": "Microphone",
    "requirement.account_age": "Account age",
    "requirement.verified_contact": "Verified e-mail or phone",
    "requirement.met": "done",
    "requirement.unmet": "missing",

    "topic.talk": "Talk", "topic.music": "Music", "topic.gaming": "Gaming", "topic.cooking": "Cooking",
    "topic.fitness": "Fitness", "topic.art": "Art", "topic.travel": "Travel", "topic.study": "Study with me",
    "topic.beauty": "Beauty", "topic.sports": "Sports",

    "me.title": "Me",
    "me.wallet": "Wallet",
    "me.coins": "Coins",
    "me.diamonds": "Diamonds",
    "me.statement": "Statement",
    "me.statement_empty": "Nothing moved yet. What you buy, send and earn shows here.",
    "me.statement_more": "Show more",
    "me.statement_failed": "The statement did not load",
    "me.version": "entry {n}",
    "reason.gift": "Gift sent",
    "reason.gift_settled": "Gifts received",
    "reason.settlement": "Gifts received",
    "reason.purchase": "Coins bought",
    "reason.refund": "Refund",
    "reason.payout": "Payout",
    "reason.grant": "Welcome coins",

    "error.network": "No connection. Check your network, then try again.",
    "error.unknown": "Something went wrong. Try again.",
    "error.session": "Your session ended. Sign in again.",
    "error.wait_s": "Wait {n} s, then try again.",
    "error.webrtc": "This browser cannot broadcast. Use a current Chrome, Safari, Edge or Firefox.",
    "error.playback": "This browser cannot play live video. Use a current Chrome, Safari, Edge or Firefox.",
    "not_found.title": "Nothing here",
    "not_found.hint": "This page does not exist.",
  },
};

/** Languages of this browser for which there is a table, best first; English ends the list. */
const languages = [...(globalThis.navigator?.languages ?? []).map((tag) => tag.split("-")[0]), "en"].filter(
  (tag) => tag in tables,
);

/** The locale that numbers, dates and plurals follow. */
export const locale = languages[0];

const plural = new Intl.PluralRules(locale);
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(locale);

const lookup = (key) => languages.map((tag) => tables[tag][key]).find((text) => text !== undefined);

/**
 * The sentence of a key, with {name} filled in; `n` also picks the plural form where the key has one.
 * An unknown key gives `fallback`, or the key itself, which shows the omission rather than hiding it.
 */
export function t(key, parameters = {}, fallback = key) {
  const text = lookup(key) ?? (parameters.n === undefined ? undefined : lookup(`${key}.${plural.select(Number(parameters.n))}`));
  return (text ?? fallback).replace(/\{(\w+)\}/g, (_, name) => {
    const value = parameters[name];
    return typeof value === "number" ? whole.format(value) : String(value ?? "");
  });
}

/** 12,345 → "12.3K": for counters where the exact number does not matter. */
export const short = (number) => compact.format(number ?? 0);

/** 12345 → "12,345": for money, always exact. */
export const exact = (number) => whole.format(number ?? 0);

/** 3725 → "1:02:05"; seconds are floored, never negative. */
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const tail = String(s % 60).padStart(2, "0");
  const minutes = Math.floor(s / 60) % 60;
  return s >= 3600 ? `${Math.floor(s / 3600)}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** US cents → "$4.99". */
export const dollars = (cents) =>
  new Intl.NumberFormat(locale, { style: "currency", currency: "USD" }).format(cents / 100);

/** RFC 3339 → "12 Mar, 14:05" in the reader's zone. */
export const moment = (at) =>
  new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(
    new Date(at),
  );
