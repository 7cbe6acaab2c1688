// What the browser keeps between visits. A conversation is an entry of its own, so that a change writes no others.
import { readConversation } from "./conversations.mjs";

const kPrefix = "llamajit.";
const kConversations = `${kPrefix}conversation.`;

// `place` is localStorage, or something like it. `full` is called when it takes no more, or nothing at all (private
// windows); what was written is remembered until the page closes.
export class Storage {
  constructor(place, full) {
    this.place = place;
    this.full = full;
    this.unsaved = new Map(); // name -> text, or null: taken away
  }

  read(name) {
    return this.readEntry(kPrefix + name);
  }

  write(name, value) {
    return this.writeEntry(kPrefix + name, value);
  }

  remove(name) {
    this.removeEntry(kPrefix + name);
  }

  conversations() {
    const names = new Set([...this.names(), ...this.unsaved.keys()]);
    const found = [];
    for (const name of names) {
      if (!name.startsWith(kConversations)) continue;
      try {
        const stored = this.readEntry(name);
        if (stored !== null) found.push(readConversation(JSON.parse(stored)));
      } catch {
        // Another version's, or damaged: it stays where it is, unseen.
      }
    }
    return found.sort((a, b) => b.changed - a.changed);
  }

  conversation(id) {
    try {
      return readConversation(JSON.parse(this.readEntry(kConversations + id)));
    } catch {
      return null;
    }
  }

  keep(conversation) {
    return this.writeEntry(kConversations + conversation.id, JSON.stringify(conversation));
  }

  forget(id) {
    this.removeEntry(kConversations + id);
  }

  names() {
    try {
      return Array.from({ length: this.place.length }, (_, i) => this.place.key(i));
    } catch {
      return [];
    }
  }

  readEntry(name) {
    if (this.unsaved.has(name)) return this.unsaved.get(name);
    try {
      return this.place.getItem(name);
    } catch {
      return null;
    }
  }

  // False: it lasts no longer than the page.
  writeEntry(name, value) {
    try {
      this.place.setItem(name, value);
      this.unsaved.delete(name);
      return true;
    } catch {
      this.unsaved.set(name, value);
      this.full();
      return false;
    }
  }

  removeEntry(name) {
    this.unsaved.delete(name);
    try {
      this.place.removeItem(name);
    } catch {
      this.unsaved.set(name, null);
    }
  }
}
