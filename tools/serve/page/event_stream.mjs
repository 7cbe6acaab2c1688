// Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html

// Returns a function that takes text as it comes, cut anywhere, and gives the data of those events that are whole.
export function eventReader() {
  let rest = "";
  let data = [];
  return (text) => {
    rest += text;
    const events = [];
    // A lone \r at the end may be half of \r\n.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) events.push(data.join("\n"));
        data = [];
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return events;
  };
}
