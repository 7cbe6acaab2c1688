// The page: what is shown, and what becomes of what the reader does.
import { readModel } from "./api.mjs";
import { composeIn, fitHeight } from "./composer.mjs";
import { addMessage, dropMessage, exportText, find, newConversation, pathTo, readExport, showVersion, titleOf } from "./conversations.mjs";
import { byId, element } from "./dom.mjs";
import { failureText } from "./failure.mjs";
import { Key } from "./key.mjs";
import { MessagesView } from "./messages_view.mjs";
import { notice } from "./notice.mjs";
import { followEnd } from "./scroll.mjs";
import { readSettings, requestFor } from "./settings.mjs";
import { SettingsView } from "./settings_view.mjs";
import { shownTitle, Sidebar } from "./sidebar.mjs";
import { Storage } from "./storage.mjs";
import { followTheme } from "./theme.mjs";
import { say, sayAll } from "./words.mjs";
import { Writing } from "./writing.mjs";

const kSaveEvery = 1000; // milliseconds, while a reply grows
const kLongestAnnouncement = 4000;

function browserStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

class App {
  constructor() {
    sayAll(document);
    this.storage = new Storage(browserStorage(), () => notice(say("storageFull")));
    followTheme(this.storage);
    this.key = new Key(this.storage, () => this.afterKey());
    this.model = { name: "", context: 0 };
    this.settings = readSettings(this.storage.read("settings"));
    this.writings = new Map(); // by the conversation's id
    this.failures = new Map(); // likewise: errors
    this.saved = 0;
    this.messages = new MessagesView(byId("messages"), {
      edit: (message, text) => this.rewrite(message, text),
      regenerate: (message) => this.reply(this.current, message.parent),
      show: (message) => this.showVersion(message),
      keepSeed: (seed) => this.keepSeed(seed),
      reply: () => this.reply(this.current, this.current.head),
      retry: () => this.retry(),
    });
    this.sidebar = new Sidebar(byId("conversations"), {
      open: (conversation) => this.open(conversation),
      rename: (conversation, title) => this.rename(conversation, title),
      exportOne: (conversation) => this.download([conversation], shownTitle(conversation)),
      remove: (conversation) => this.remove(conversation),
    });
    this.settingsView = new SettingsView((settings) => {
      this.settings = settings;
      this.storage.write("settings", JSON.stringify(settings));
    });
    this.scroll = followEnd(byId("scroller"), byId("to-end"));
    this.listen();
    this.conversations = this.storage.conversations();
    const last = this.storage.read("current");
    this.open(this.conversations.find(({ id }) => id === last) ?? this.fresh());
    this.findModel();
  }

  // --- conversations

  fresh() {
    return newConversation(this.storage.read("system") ?? "");
  }

  open(conversation) {
    this.current = conversation;
    this.storage.write("current", conversation.id);
    byId("system").value = conversation.system;
    this.closeSidebar();
    this.show();
    this.scroll.toEnd();
    byId("input").focus();
  }

  keep(conversation) {
    conversation.changed = Date.now();
    if (!this.conversations.includes(conversation)) this.conversations.unshift(conversation);
    this.storage.keep(conversation);
  }

  rename(conversation, title) {
    if (title !== "" && title !== shownTitle(conversation)) {
      conversation.title = titleOf(title);
      conversation.named = true;
      this.storage.keep(conversation);
    }
    this.show();
  }

  remove(conversation) {
    this.writings.get(conversation.id)?.stop();
    this.conversations = this.conversations.filter((other) => other !== conversation);
    this.storage.forget(conversation.id);
    if (conversation === this.current) this.open(this.fresh());
    else this.show();
    notice(say("removed", { title: shownTitle(conversation) }), say("undo"), () => {
      this.keep(conversation);
      this.open(conversation);
    });
  }

  download(conversations, name) {
    const url = URL.createObjectURL(new Blob([exportText(conversations)], { type: "application/json" }));
    const file = `${name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40)}.json`;
    element("a", { href: url, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  async importFiles(files) {
    let count = 0;
    try {
      for (const file of files) {
        for (const conversation of readExport(await file.text())) {
          if (this.takeImported(conversation)) ++count;
        }
      }
      notice(say("imported", { count }));
    } catch (error) {
      notice(say("importFailed", { why: error.message }));
    }
    this.show();
  }

  // Of two with one id the one that changed later stays.
  takeImported(conversation) {
    const known = this.conversations.find(({ id }) => id === conversation.id);
    if (known !== undefined && (known.changed >= conversation.changed || this.writings.has(known.id))) return false;
    this.conversations = [conversation, ...this.conversations.filter((other) => other !== known)];
    this.storage.keep(conversation);
    if (known === this.current) this.open(conversation);
    return true;
  }

  // Another page of this browser changed something.
  changedElsewhere() {
    const kept = this.storage.conversations().filter(({ id }) => !this.writings.has(id));
    const written = this.conversations.filter(({ id }) => this.writings.has(id));
    this.conversations = [...written, ...kept];
    this.current = this.conversations.find(({ id }) => id === this.current.id) ?? this.current;
    this.show();
  }

  // --- messages

  send(text) {
    if (this.writings.has(this.current.id)) return false;
    this.askModel(this.current.head, text);
    this.scroll.toEnd();
    return true;
  }

  rewrite(message, text) {
    if (this.writings.has(this.current.id)) return false;
    this.askModel(message.parent, text);
    byId("input").focus();
    return true;
  }

  askModel(parent, text) {
    addMessage(this.current, parent, "user", text);
    this.keep(this.current);
    this.show();
    this.reply(this.current, this.current.head);
  }

  // What went wrong last: a reply, half of one, or only to find out who answers.
  retry() {
    const { current } = this;
    const last = find(current, current.head);
    if (last?.role === "user") this.reply(current, last.id);
    else if (last?.ended === "broken") this.reply(current, last.parent);
    else this.findModel();
  }

  showVersion(message) {
    showVersion(this.current, message.id);
    this.failures.delete(this.current.id);
    this.keep(this.current);
    this.show();
  }

  // Writes a reply to the message `parent`.
  async reply(conversation, parent) {
    if (this.writings.has(conversation.id)) return;
    if (this.model.name === "" && !(await this.findModel())) return;
    this.failures.delete(conversation.id);
    const request = requestFor(this.model.name, conversation.system, pathTo(conversation, parent), this.settings);
    const message = addMessage(conversation, parent, "assistant", "");
    const writing = new Writing(message);
    this.writings.set(conversation.id, writing);
    this.keep(conversation);
    this.show();
    this.scroll.grown();
    const error = await writing.run(request, this.key.value, () => this.grown(conversation, writing));
    this.writings.delete(conversation.id);
    this.ended(conversation, message, error);
  }

  grown(conversation, writing) {
    if (Date.now() - this.saved > kSaveEvery) {
      this.saved = Date.now();
      this.storage.keep(conversation);
    }
    if (this.frame !== undefined) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.writings.get(this.current.id) !== writing) return;
      this.messages.grow(writing.message);
      this.scroll.grown();
    });
  }

  ended(conversation, message, error) {
    const nothing = message.content === "" && (message.reasoning ?? "") === "";
    if (nothing && message.ended !== "stop" && message.ended !== "length") dropMessage(conversation, message);
    if (error !== null) this.fail(conversation, error);
    // Not one that was deleted meanwhile.
    if (this.conversations.includes(conversation)) this.keep(conversation);
    if (conversation === this.current && error === null) this.announce(message);
    this.show();
    this.scroll.grown();
  }

  fail(conversation, error) {
    this.failures.set(conversation.id, error);
    if (error.kind === "key") this.key.ask();
  }

  announce(message) {
    byId("announcer").textContent = `${say("finished")} ${message.content.slice(0, kLongestAnnouncement)}`;
  }

  keepSeed(seed) {
    this.settings = { ...this.settings, seed };
    this.storage.write("settings", JSON.stringify(this.settings));
    notice(say("seedKept", { seed }));
  }

  stop() {
    this.writings.get(this.current.id)?.stop();
  }

  // --- the server

  // Whether it answered.
  async findModel() {
    try {
      this.model = await readModel(this.key.value);
      this.failures.delete(this.current.id);
    } catch (error) {
      this.fail(this.current, error);
    }
    this.show();
    return this.model.name !== "";
  }

  async afterKey() {
    const waiting = this.failures.get(this.current.id)?.kind === "key";
    if ((await this.findModel()) && waiting) this.retry();
  }

  // --- what is shown

  show() {
    const { current } = this;
    const writing = this.writings.get(current.id);
    const error = this.failures.get(current.id);
    this.messages.show({
      conversation: current,
      path: current.head === null ? [] : pathTo(current, current.head),
      writing: writing?.message ?? null,
      failure: error === undefined ? null : failureText(error),
      context: this.model.context,
    });
    this.sidebar.show(this.conversations, current, this.writings);
    byId("title").textContent = shownTitle(current);
    byId("model").textContent = this.model.name;
    byId("send").hidden = writing !== undefined;
    byId("stop").hidden = writing === undefined;
    document.title = `${shownTitle(current)} – llamajit`;
  }

  openSidebar() {
    document.body.classList.add("sidebar-open");
    byId("menu").setAttribute("aria-expanded", "true");
    byId("conversations").querySelector("button")?.focus();
  }

  closeSidebar() {
    document.body.classList.remove("sidebar-open");
    byId("menu").setAttribute("aria-expanded", "false");
  }

  openSettings() {
    this.settingsView.show(this.settings);
    byId("settings").showModal();
  }

  // --- what the reader does

  listen() {
    const click = (id, run) => byId(id).addEventListener("click", run);
    const submit = composeIn(byId("input"), (text) => this.send(text));
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
    });
    click("stop", () => {
      this.stop();
      byId("input").focus();
    });
    click("new", () => this.open(this.fresh()));
    click("new-too", () => this.open(this.fresh()));
    click("menu", () => this.openSidebar());
    click("backdrop", () => this.closeSidebar());
    click("open-settings", () => this.openSettings());
    click("open-key", () => this.key.open());
    click("export-all", () => this.download(this.conversations, "llamajit-conversations"));
    click("import", () => byId("file").click());
    byId("file").addEventListener("change", async (event) => {
      await this.importFiles(event.target.files);
      event.target.value = "";
    });
    byId("system").addEventListener("input", (event) => this.writeSystem(event.target.value));
    for (const dialog of document.querySelectorAll("dialog")) {
      dialog.querySelector(".close").addEventListener("click", () => dialog.close());
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    }
    document.addEventListener("keydown", (event) => this.escape(event));
    window.addEventListener("storage", () => this.changedElsewhere());
    window.addEventListener("pagehide", () => {
      if (this.writings.has(this.current.id)) this.storage.keep(this.current);
    });
    window.addEventListener("resize", () => fitHeight(byId("input")));
  }

  escape(event) {
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]") !== null) return;
    if (document.body.classList.contains("sidebar-open")) this.closeSidebar();
    else this.stop();
  }

  writeSystem(text) {
    this.current.system = text;
    this.storage.write("system", text);
    if (this.conversations.includes(this.current)) this.storage.keep(this.current);
  }
}

new App();
