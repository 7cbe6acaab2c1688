#include "tools/report/report.h"

namespace llamajit::cli {

// One hue by its strength tells shares, so that it reads without colour vision too, in light and in dark;
// --h is 0 to 1. The plot's colours are Okabe and Ito's.
std::string_view report_style() {
  return R"(
:root {
  --page: #fbfaf7; --card: #ffffff; --ink: #22252a; --quiet: #646a73; --line: #dedbd2; --link: #0b57a4;
  --heat: 226 126 0; --strength: 0.62; --stream: #b9b4a6;
  --memory: #0072b2; --cache: #00806a; --prompt: #c04a00;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --card: #1c1f23; --ink: #e4e2dc; --quiet: #9ba1aa; --line: #33373d; --link: #8ec2ff;
    --heat: 255 152 32; --strength: 0.5; --stream: #565b63;
    --memory: #62b8ee; --cache: #3fc7a5; --prompt: #ff9a52;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 2.2rem 1.2rem 5rem; }
h1 { font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.2; margin: 0.1rem 0 0.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 0 0 0.6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 0.5rem; }
p { margin: 0 0 0.8rem; max-width: 46rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre { font-family: var(--mono); font-size: 0.86em; }
section { margin-top: 2.8rem; }
.kicker { margin: 0; color: var(--quiet); font-size: 0.85rem; letter-spacing: 0.06em; }
.headline { font-size: 1.05rem; color: var(--quiet); font-variant-numeric: tabular-nums; }
.headline strong { color: var(--ink); font-size: 1.5rem; }
.notice { border-left: 0.25rem solid rgb(var(--heat)); padding: 0.3rem 0.8rem; }
.small, .facts { color: var(--quiet); font-size: 0.86rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1.3rem; margin: 0.6rem 0 1.4rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.card { margin: 0; padding: 1rem 1.2rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; }
.card h2 { font-size: 1rem; }
dl { margin: 0; }
dl div { display: flex; justify-content: space-between; gap: 1rem; padding: 0.2rem 0; border-top: 1px solid var(--line); }
dt { color: var(--quiet); flex: none; max-width: 55%; }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }

.path { position: relative; padding: 0.2rem 0 0.2rem 2.4rem; }
.path::before { content: ""; position: absolute; left: 0.7rem; top: 1rem; bottom: 1rem; width: 0.3rem;
  border-radius: 0.2rem; background: var(--stream); }
.path p { margin: 0; }
.end { font-weight: 600; position: relative; }
.end::before, .branch > .box:first-child::before { content: ""; position: absolute; background: var(--stream); }
.end::before { left: -2rem; top: 0.35rem; width: 0.9rem; height: 0.9rem; border-radius: 50%; }
.layers { position: relative; border: 1px dashed var(--stream); border-radius: 0.7rem; padding: 0.6rem 0.7rem 0.3rem 1.4rem;
  margin: 0.6rem 0; }
.layers .title { font-weight: 600; }
.branch { position: relative; display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1.3rem; margin: 0.8rem 0; }
.branch > .box:first-child::before { left: -1.7rem; width: 1.7rem; height: 2px; top: 50%; }
.layers .branch > .box:first-child::before { left: -3.1rem; width: 3.1rem; }
.box { position: relative; min-width: 9rem; max-width: 15rem; padding: 0.35rem 0.6rem; border-radius: 0.45rem;
  border: 1px solid var(--line);
  background: linear-gradient(rgb(var(--heat) / calc(var(--h) * var(--strength))) 0 0), var(--card); }
.box p { display: flex; justify-content: space-between; gap: 0.8rem; }
.box .name { font-size: 0.78rem; line-height: 1.3; overflow-wrap: anywhere; }
.box .name a, .box .name code { color: inherit; }
.share { font-variant-numeric: tabular-nums; }
.parallel { display: flex; flex-direction: column; gap: 0.35rem; position: relative; }
.branch > * + .box::before, .branch > * + .parallel::before { content: "\2192"; position: absolute; left: -1.15rem;
  top: 50%; transform: translateY(-50%); color: var(--quiet); }
.ending { color: var(--quiet); font-size: 0.86rem; flex-basis: 100%; }

.roofline { display: grid; grid-template-columns: minmax(0, 38rem) minmax(15rem, 1fr); gap: 1.4rem; align-items: start; }
.plot { width: 100%; height: auto; display: block; }
.plot text { paint-order: stroke; stroke: var(--page); stroke-width: 3px; fill: var(--ink); font: 10.5px system-ui, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
.plot .grid { stroke: var(--line); stroke-width: 1; }
.plot .roof { stroke: var(--ink); stroke-width: 1.6; }
.plot .cached { stroke-dasharray: 6 4; }
.plot .leader { stroke: var(--quiet); stroke-width: 0.8; }
.plot g text { stroke: none; }
.plot .plate { fill: var(--page); stroke: currentColor; }
.plot g { color: var(--memory); fill: currentColor; }
.plot g.cache { color: var(--cache); }
.plot g.prompt { color: var(--prompt); }
.plot g text { font-size: 11px; font-weight: 600; }
.legend { list-style: none; margin: 0; padding: 0; font-size: 0.88rem; }
.legend li { padding: 0.15rem 0 0.15rem 2rem; text-indent: -2rem; overflow-wrap: anywhere; }
.legend .number { margin-right: 0.6rem; }
.legend .facts { margin-left: 0.4rem; }
.number { display: inline-block; min-width: 1.6em; text-align: right; text-indent: 0; color: var(--quiet); font-variant-numeric: tabular-nums; }

/* What can be scrolled to throws a shadow on the edge that hides it. */
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 0.6rem; background-color: var(--card);
  background-image: linear-gradient(to right, var(--card), transparent), linear-gradient(to left, var(--card), transparent),
    linear-gradient(to right, rgb(0 0 0 / 0.28), transparent), linear-gradient(to left, rgb(0 0 0 / 0.28), transparent);
  background-position: left, right, left, right; background-repeat: no-repeat;
  background-size: 2.4rem 100%, 2.4rem 100%, 0.9rem 100%, 0.9rem 100%; background-attachment: local, local, scroll, scroll; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.65rem; text-align: right; white-space: nowrap; }
th { color: var(--quiet); font-weight: 600; }
.words { text-align: left; }
tbody td, tfoot td { border-top: 1px solid var(--line); }
tfoot td { font-weight: 600; }
.heat { background: rgb(var(--heat) / calc(var(--h) * var(--strength))); }
.scroll + p { margin-top: 0.8rem; }

details { border-top: 1px solid var(--line); padding: 0.15rem 0; }
details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: 0.35rem 0; overflow-wrap: anywhere; }
summary .facts { margin-left: 0.8rem; white-space: nowrap; }
summary .number { margin-right: 0.6rem; }
details[open] { padding-bottom: 1.2rem; }
.formula { font-family: var(--mono); font-size: 0.86rem; overflow-wrap: anywhere; }
.loops { margin: 0 0 0.8rem; padding-left: 1.2rem; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
pre { margin: 0; padding: 0.7rem 0.9rem; width: max-content; min-width: 100%; font-size: 0.78rem; line-height: 1.45; }
.code { max-height: 44rem; overflow-y: auto; }
pre i { font-style: normal; color: var(--quiet); }
pre b { font-weight: 500; }
pre .l { display: inline-block; min-width: 100%; background: rgb(var(--heat) / calc(var(--h) * var(--strength))); }
pre .l i { color: inherit; }
:target { scroll-margin-top: 2rem; }

@media (max-width: 800px) {
  .roofline { grid-template-columns: minmax(0, 1fr); }
}
@media (max-width: 560px) {
  main { padding: 1.4rem 0.9rem 4rem; }
  .shape { display: none; }
  summary .facts { display: block; margin-left: 3.2rem; }
  .plot text { font-size: 14px; }
  .plot g text { font-size: 13px; }
  .path { padding-left: 2rem; }
  .path::before { left: 0.4rem; }
  .layers { padding-left: 0.7rem; }
  .layers .branch > .box:first-child::before { left: -2.3rem; width: 2.3rem; }
  .end::before { left: -1.9rem; }
  .branch { flex-direction: column; align-items: stretch; gap: 1.1rem; }
  .box { max-width: none; }
  .branch > * + .box::before, .branch > * + .parallel::before { content: "\2193"; left: 50%; top: -0.6rem; }
}
@media print {
  body { font-size: 11px; background: none; }
  .scroll, .code { overflow: visible; max-height: none; border: 0; }
  pre { white-space: pre-wrap; width: auto; }
  nav { display: none; }
  .box, .card, tr, li { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)";
}

}  // namespace llamajit::cli
