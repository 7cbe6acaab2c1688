// The key that the server may ask for. It is forgotten with the page, unless the reader wants it kept.
import { byId } from "./dom.mjs";
import { say } from "./words.mjs";

export class Key {
  // `retry` is called with a new key in place.
  constructor(storage, retry) {
    this.storage = storage;
    this.value = storage.read("key") ?? "";
    this.dialog = byId("key-dialog");
    const form = byId("key-form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.take(byId("key").value.trim(), byId("keep-key").checked);
      this.dialog.close();
      retry();
    });
  }

  take(value, keep) {
    this.value = value;
    if (keep && value !== "") this.storage.write("key", value);
    else this.storage.remove("key");
  }

  // Asks the reader; the server refused the one there is, or that there is none.
  ask() {
    if (this.dialog.open) return;
    byId("key-why").textContent = say(this.value === "" ? "keyWanted" : "keyWrong");
    this.open();
  }

  open() {
    byId("key").value = this.value;
    byId("keep-key").checked = this.storage.read("key") !== null;
    this.dialog.showModal();
    byId("key").select();
  }
}
