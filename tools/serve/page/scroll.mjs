// Keeps the end in sight while text comes in, unless the reader has gone up to read.

const kNear = 8; // pixels

// `button` takes the reader down again; it shows while the end is out of sight.
export function followEnd(scroller, button) {
  let follows = true;
  let last = 0;
  const distance = () => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
  const update = () => {
    button.hidden = follows || distance() <= kNear;
  };
  const toEnd = () => {
    follows = true;
    scroller.scrollTop = scroller.scrollHeight;
    last = scroller.scrollTop;
    update();
  };
  scroller.addEventListener(
    "scroll",
    () => {
      if (distance() <= kNear) follows = true;
      else if (scroller.scrollTop < last) follows = false;
      last = scroller.scrollTop;
      update();
    },
    { passive: true },
  );
  button.addEventListener("click", toEnd);
  const grown = () => (follows ? toEnd() : update());
  new ResizeObserver(grown).observe(scroller);
  return { toEnd, grown };
}
