// Conversations as they are kept: trees, since a message may be written anew, and a reply, too.
//
// {id, title, named, created, changed, system, messages, head}: `messages` is a list of {id, parent, role, content, …} in
// which parents stand before their children (a first message's parent is null), and `head` names the last message of
// the version that is shown. `named`: by hand. Times are milliseconds since 1970.

export const kFormat = "llamajit-conversations";
const kLongestTitle = 60;

// crypto.randomUUID is there on https and on this machine's own addresses only.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newConversation(system = "") {
  const now = Date.now();
  return { id: newId(), title: "", named: false, created: now, changed: now, system, messages: [], head: null };
}

export function find(conversation, id) {
  return conversation.messages.find((message) => message.id === id);
}

// From the first message to `id`'s.
export function pathTo(conversation, id) {
  const byId = new Map(conversation.messages.map((message) => [message.id, message]));
  const path = [];
  for (let message = byId.get(id); message; message = byId.get(message.parent)) path.push(message);
  return path.reverse();
}

// All versions of a message, itself among them.
export function versions(conversation, message) {
  return conversation.messages.filter((other) => other.parent === message.parent);
}

// Puts a message behind `parent` and shows it. A second one behind the same parent is another version.
export function addMessage(conversation, parent, role, content) {
  const message = { id: newId(), parent, role, content };
  conversation.messages.push(message);
  conversation.head = message.id;
  if (role === "user" && !conversation.named && parent === null) conversation.title = titleOf(content);
  return message;
}

// Shows that version of a message, with what was last written behind it.
export function showVersion(conversation, id) {
  let head = id;
  for (const message of conversation.messages) {
    if (message.parent === head) head = lastChild(conversation, head);
  }
  conversation.head = head;
}

function lastChild(conversation, id) {
  return conversation.messages.filter((message) => message.parent === id).at(-1).id;
}

// Takes a message away that has nothing behind it.
export function dropMessage(conversation, message) {
  conversation.messages = conversation.messages.filter((other) => other !== message);
  conversation.head = message.parent;
}

export function titleOf(content) {
  const line = content.trim().replace(/\s+/g, " ");
  const letters = Array.from(line);
  return letters.length <= kLongestTitle ? line : `${letters.slice(0, kLongestTitle - 1).join("")}…`;
}

// --- reading

function expect(good, what) {
  if (!good) throw new Error(what);
}

function text(value, what) {
  expect(typeof value === "string", `${what}: expected a text`);
  return value;
}

function time(value) {
  return Number.isFinite(value) ? value : Date.now();
}

// Figures that a reply's foot shows.
function readReply(from, message) {
  if (typeof from.reasoning === "string") message.reasoning = from.reasoning;
  if (typeof from.ended === "string") message.ended = from.ended;
  if (Number.isFinite(from.seed)) message.seed = from.seed;
  if (from.figures !== null && typeof from.figures === "object") {
    message.figures = {};
    for (const [name, value] of Object.entries(from.figures)) {
      if (Number.isFinite(value)) message.figures[name] = value;
    }
  }
}

// What may have been written by anybody becomes a conversation, or an Error that says what is wrong.
export function readConversation(from) {
  expect(from !== null && typeof from === "object", "conversation: expected an object");
  expect(Array.isArray(from.messages), "messages: expected a list");
  const known = new Set([null]);
  const messages = from.messages.map((read, i) => {
    expect(read !== null && typeof read === "object", `messages[${i}]: expected an object`);
    const message = { id: text(read.id, `messages[${i}].id`), parent: read.parent ?? null, role: read.role };
    message.content = text(read.content, `messages[${i}].content`);
    expect(["user", "assistant"].includes(read.role), `messages[${i}].role: expected user or assistant`);
    expect(known.has(message.parent), `messages[${i}].parent: expected a message before it`);
    expect(!known.has(message.id), `messages[${i}].id: expected one that no other has`);
    known.add(message.id);
    readReply(read, message);
    return message;
  });
  return {
    id: text(from.id, "id"),
    title: text(from.title ?? "", "title"),
    named: from.named === true,
    created: time(from.created),
    changed: time(from.changed),
    system: text(from.system ?? "", "system"),
    messages,
    head: messages.length > 0 && known.has(from.head ?? null) ? from.head ?? messages.at(-1).id : messages.at(-1)?.id ?? null,
  };
}

export function exportText(conversations) {
  return JSON.stringify({ format: kFormat, version: 1, conversations }, null, 1);
}

export function readExport(json) {
  const read = JSON.parse(json);
  expect(read?.format === kFormat, `format: expected ${kFormat}`);
  expect(read.version === 1, "version: expected 1");
  expect(Array.isArray(read.conversations), "conversations: expected a list");
  return read.conversations.map(readConversation);
}
