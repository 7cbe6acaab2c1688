// Conversations, their versions, and how they are kept.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import test from "node:test";

globalThis.crypto ??= webcrypto; // Node 18 has it behind an option

const { addMessage, dropMessage, exportText, newConversation, pathTo, readConversation, readExport, showVersion, titleOf, versions } =
  await import("../../../tools/serve/page/conversations.mjs");
const { Storage } = await import("../../../tools/serve/page/storage.mjs");

function contents(conversation) {
  return pathTo(conversation, conversation.head).map(({ content }) => content);
}

// q1 a1 q2 a2, with another reply and another question beside.
function branched() {
  const conversation = newConversation("be kind");
  const q1 = addMessage(conversation, null, "user", "q1");
  const a1 = addMessage(conversation, q1.id, "assistant", "a1");
  const q2 = addMessage(conversation, a1.id, "user", "q2");
  addMessage(conversation, q2.id, "assistant", "a2");
  const a1b = addMessage(conversation, q1.id, "assistant", "a1b");
  return { conversation, q1, a1, q2, a1b };
}

test("another reply stands beside the first, and either can be shown with what follows it", () => {
  const { conversation, a1, a1b } = branched();
  assert.deepEqual(contents(conversation), ["q1", "a1b"]);
  assert.deepEqual(versions(conversation, a1), [a1, a1b]);
  showVersion(conversation, a1.id);
  assert.deepEqual(contents(conversation), ["q1", "a1", "q2", "a2"]);
  showVersion(conversation, a1b.id);
  assert.deepEqual(contents(conversation), ["q1", "a1b"]);
});

test("an edited first message is a version of it", () => {
  const { conversation, q1 } = branched();
  addMessage(conversation, null, "user", "other");
  assert.deepEqual(contents(conversation), ["other"]);
  assert.equal(versions(conversation, q1).length, 2);
});

test("a message that is dropped leaves its parent shown", () => {
  const { conversation, q1, a1b } = branched();
  dropMessage(conversation, a1b);
  assert.equal(conversation.head, q1.id);
  assert.equal(conversation.messages.includes(a1b), false);
});

test("titles are short, of whole characters, and of the first message unless named", () => {
  assert.equal(titleOf("  a\n\n b "), "a b");
  assert.equal(Array.from(titleOf("😀".repeat(100))).length, 60);
  const conversation = newConversation();
  conversation.named = true;
  conversation.title = "mine";
  addMessage(conversation, null, "user", "q");
  assert.equal(conversation.title, "mine");
});

test("what is exported is imported as it was", () => {
  const { conversation } = branched();
  Object.assign(conversation.messages[1], { reasoning: "hm", ended: "stop", seed: 7, figures: { tokens: 3 } });
  assert.deepEqual(readExport(exportText([conversation])), [conversation]);
});

test("what is no conversation is refused, with the place", () => {
  const message = (extra) => ({ id: "b", parent: null, role: "user", content: "x", ...extra });
  const refused = [
    [{ id: "a", messages: 1 }, /messages: expected a list/],
    [{ id: 1, messages: [] }, /id: expected a text/],
    [{ id: "a", messages: [message({ content: {} })] }, /messages\[0\].content: expected a text/],
    [{ id: "a", messages: [message({ role: "system" })] }, /messages\[0\].role/],
    [{ id: "a", messages: [message({ parent: "b" })] }, /messages\[0\].parent/],
    [{ id: "a", messages: [message(), message()] }, /messages\[1\].id/],
    [null, /expected an object/],
  ];
  for (const [conversation, why] of refused) assert.throws(() => readConversation(conversation), why);
  assert.throws(() => readExport("{}"), /format/);
  assert.throws(() => readExport("[["));
});

test("an import keeps nothing but what is known", () => {
  const read = readConversation({ id: "a", extra: 1, head: "nowhere", messages: [
    { id: "b", role: "user", content: "x", onclick: "y", figures: { tokens: "<b>", speed: 2 }, seed: "1" },
  ] });
  assert.deepEqual(read.messages, [{ id: "b", parent: null, role: "user", content: "x", figures: { speed: 2 } }]);
  assert.equal(read.head, "b");
});

// localStorage with room for so many characters.
class Place {
  constructor(room = Infinity) {
    this.room = room;
    this.entries = new Map();
  }
  get length() {
    return this.entries.size;
  }
  key(i) {
    return [...this.entries.keys()][i];
  }
  getItem(name) {
    return this.entries.get(name) ?? null;
  }
  setItem(name, value) {
    if (value.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.entries.set(name, value);
  }
  removeItem(name) {
    this.entries.delete(name);
  }
}

test("conversations are kept, the one that changed last first", () => {
  const place = new Place();
  const storage = new Storage(place, assert.fail);
  const [older, newer] = [newConversation(), newConversation()];
  older.changed = 1;
  storage.keep(older);
  storage.keep(newer);
  place.setItem("llamajit.conversation.damaged", "{");
  place.setItem("another", "page's");
  const again = new Storage(place, assert.fail);
  assert.deepEqual(again.conversations().map(({ id }) => id), [newer.id, older.id]);
  again.forget(newer.id);
  assert.deepEqual(again.conversations().map(({ id }) => id), [older.id]);
});

test("where storage is full the page remembers, and says so", () => {
  let said = 0;
  const storage = new Storage(new Place(10), () => ++said);
  const conversation = newConversation();
  assert.equal(storage.keep(conversation), false);
  assert.equal(said, 1);
  assert.deepEqual(storage.conversations(), [conversation]);
  storage.forget(conversation.id);
  assert.deepEqual(storage.conversations(), []);
});

test("without any storage the page works", () => {
  const storage = new Storage(null, () => {});
  storage.write("theme", "dark");
  assert.equal(storage.read("theme"), "dark");
  storage.remove("theme");
  assert.equal(storage.read("theme"), null);
  assert.deepEqual(storage.conversations(), []);
});
