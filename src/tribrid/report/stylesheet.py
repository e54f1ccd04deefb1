"""The report page's one style sheet: light and dark by the reader's setting, wide and narrow by the window's width."""

STYLESHEET = """
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --panel: #ffffff; --ink: #17191c; --muted: #5d636b; --line: #dfe1e4; --grid: #ebecee;
  --before: #8b95a1; --after: #1f5fd0; --gain: #0a7a55; --loss: #c4430f; --gain-soft: #e3f3ec; --keep-soft: #eef0f2;
  --warn: #8a5a00; --warn-soft: #fbf1dc;
  --sans: "Inter", ui-sans-serif, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121417; --panel: #191c20; --ink: #e6e8eb; --muted: #9ca3ad; --line: #2d3137; --grid: #24282d;
    --before: #7d8895; --after: #74a3ff; --gain: #45c495; --loss: #f2925a; --gain-soft: #14302a; --keep-soft: #23272c;
    --warn: #e6b85c; --warn-soft: #322813;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 var(--sans);
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 32px 64px; }
header { margin-bottom: 28px; }
h1 { font-size: 30px; line-height: 1.15; letter-spacing: -0.02em; margin: 2px 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 18px; letter-spacing: -0.01em; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 24px 0 8px; }
p { margin: 0 0 12px; }
.lead { color: var(--muted); max-width: 80ch; }
.eyebrow { font-size: 12px; font-weight: 600; letter-spacing: 0.08em; text-transform: uppercase; color: var(--muted); }
.mono, code { font-family: var(--mono); font-size: 0.88em; }
.muted { color: var(--muted); }
.gain { color: var(--gain); } .loss { color: var(--loss); }
section {
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 24px; margin-bottom: 20px;
}
section > .lead { margin-bottom: 18px; }

.verdict { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 16px 40px; align-items: start; }
.badge {
  display: inline-block; padding: 4px 12px; border-radius: 999px; font-weight: 650; font-size: 15px;
  background: var(--keep-soft); color: var(--ink);
}
.badge.promote { background: var(--gain-soft); color: var(--gain); }
.verdict ul, .notes ul { margin: 12px 0 0; padding-left: 20px; max-width: 80ch; }
.verdict li, .notes li { margin-bottom: 4px; }
.headline { text-align: right; white-space: nowrap; }
.headline .figure { font-size: 34px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; }
.headline .figure .old { color: var(--muted); font-weight: 450; }
.headline .change { font-size: 15px; }

figure { margin: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; color: var(--muted); margin-bottom: 10px; }
.legend span::before {
  content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 7px;
  background: var(--swatch, var(--muted));
}
.legend .whisker::before { height: 2px; width: 16px; border-radius: 0; vertical-align: 3px; background: var(--ink); }
.legend .dashed::before {
  width: 16px; height: 0; border-radius: 0; vertical-align: 3px; background: none; border-top: 2px dashed var(--ink);
}
.before-swatch { --swatch: var(--before); } .after-swatch { --swatch: var(--after); }
.bars {
  display: grid; grid-template-columns: max-content minmax(0, 1fr) max-content; gap: 0 16px; align-items: center;
}
.bars .row { display: contents; }
.bars .name { font-weight: 500; white-space: nowrap; }
.bars .value { text-align: right; white-space: nowrap; }
.primary-name::after {
  content: "primary"; font-size: 11px; font-weight: 600; color: var(--after); border: 1px solid currentColor;
  border-radius: 3px; padding: 0 4px; margin-left: 8px; vertical-align: 1px;
}

svg { display: block; width: 100%; overflow: visible; }
.per-query { display: grid; grid-template-columns: 38px minmax(0, 1fr); gap: 10px; }
svg text { font: 11px var(--sans); fill: var(--muted); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); } .axis { stroke: var(--muted); } .zero { stroke: var(--ink); stroke-opacity: 0.55; }
.bar-before, .dot-plain { fill: var(--before); } .bar-after, .dot-after { fill: var(--after); }
.dot-before { fill: var(--before); }
.dot-gain, .fill-gain { fill: var(--gain); }
.dot-loss, .fill-loss { fill: var(--loss); }
.dot-oracle { fill: var(--panel); stroke: var(--before); stroke-width: 1.5; }
.whisker { stroke: var(--ink); stroke-width: 1.25; stroke-opacity: 0.8; }
.trace-before { stroke: var(--before); stroke-width: 2; } .trace-after { stroke: var(--after); stroke-width: 2; }
.mark { stroke: var(--ink); stroke-dasharray: 4 3; stroke-opacity: 0.7; }
.span { stroke: var(--before); stroke-width: 2; }
.span-after { stroke: var(--after); } .span-gain { stroke: var(--gain); } .span-loss { stroke: var(--loss); }

table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { padding: 7px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th {
  font-weight: 500; font-size: 12.5px; color: var(--muted); border-bottom-color: var(--line); vertical-align: bottom;
}
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 500; white-space: normal; overflow-wrap: anywhere; min-width: 8em; max-width: 24em; }
td.plot, th.plot { width: 34%; min-width: 150px; }
.what {
  display: block; font-weight: 400; font-size: 12.5px; color: var(--muted); white-space: normal; max-width: 34ch;
}
tr.is-after th .label { color: var(--after); font-weight: 650; }
tr.is-before th .label { font-weight: 650; }

details { border-top: 1px solid var(--grid); }
details:last-of-type { border-bottom: 1px solid var(--grid); }
summary { display: flex; gap: 16px; align-items: baseline; padding: 10px 0; cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: "▸"; color: var(--muted); flex: none; width: 10px; }
details[open] > summary::before { content: "▾"; }
summary .query { flex: 1; min-width: 0; font-weight: 500; overflow-wrap: anywhere; }
summary .query bdi { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
details[open] summary .query bdi { display: inline; }
summary .moved { flex: none; white-space: nowrap; }
.rankings { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 32px; padding: 2px 0 18px 26px; }
.rankings h4 { margin: 0 0 4px; font-size: 12.5px; font-weight: 500; color: var(--muted); }
.ranking { list-style: none; margin: 0; padding: 0; font-size: 13px; }
.ranking li {
  display: grid; grid-template-columns: 22px minmax(0, 1fr) max-content 52px; gap: 1px 8px; padding: 2px 6px;
  border-left: 3px solid transparent;
}
.ranking li.relevant { border-left-color: var(--gain); background: var(--gain-soft); }
.ranking .id {
  font-family: var(--mono); font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
.ranking .title { font-weight: 500; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.ranking .quote {
  grid-column: 2 / -1; color: var(--muted); font-size: 12.5px; line-height: 1.4; overflow-wrap: anywhere;
}
.ranking li:has(.quote) { padding-bottom: 6px; }
mark { background: none; color: var(--ink); font-weight: 600; }
.moves {
  list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; padding: 0 0 10px 26px; font-size: 13px;
}
.moves li { max-width: 100%; overflow-wrap: anywhere; } .moves .head { color: var(--muted); }
.moves span { white-space: nowrap; color: var(--muted); }
.moves .gain, .moves .loss { color: inherit; }
.moves .gain b { color: var(--gain); } .moves .loss b { color: var(--loss); }
.ranking .rank, .ranking .score { color: var(--muted); text-align: right; }
.ranking .grade { font-size: 12px; color: var(--muted); }
.ranking li.relevant .grade { color: var(--gain); font-weight: 600; }

.guards { list-style: none; margin: 0; padding: 0; font-size: 14px; }
.guards li {
  display: grid; grid-template-columns: 18px 190px minmax(0, 1fr); gap: 4px 10px; padding: 6px 0;
  border-bottom: 1px solid var(--grid);
}
.guards li:last-child { border-bottom: 0; }
.guards b { font-weight: 500; overflow-wrap: anywhere; }
.guards .detail { color: var(--muted); overflow-wrap: anywhere; }
.verdict-mark { font-weight: 700; } .verdict-mark.unknown { color: var(--muted); }
.plain-notes { margin: 16px 0 0; padding-left: 20px; color: var(--muted); max-width: 80ch; font-size: 14px; }
.reasons { margin: 0 0 16px; padding-left: 20px; max-width: 80ch; }
.spaced { margin-top: 16px; }

.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 24px 32px; }
.facts h3 { margin: 0 0 6px; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 14px; margin: 0; font-size: 14px; }
dt { color: var(--muted); } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
.warn { background: var(--warn-soft); color: var(--warn); border-radius: 6px; padding: 8px 12px; margin: 12px 0 0; }
footer { color: var(--muted); font-size: 13px; max-width: 78ch; padding: 8px 2px; }
footer dl { grid-template-columns: max-content minmax(0, 1fr); font-size: 13px; }
footer dd { text-align: left; }

@media (max-width: 900px) {
  table, thead, thead tr, tbody { display: block; }
  thead th { display: none; }
  thead th.plot { display: block; border: 0; padding: 0 0 4px; }
  tbody tr { display: flex; flex-wrap: wrap; gap: 2px 14px; padding: 9px 0; border-bottom: 1px solid var(--grid); }
  tbody th, tbody td { border: 0; padding: 0; }
  tbody th { flex: 1 0 100%; max-width: 100%; }
  td.plot, th.plot { order: 9; min-width: 0; flex: 1 0 100%; width: 100%; }
  td[data-label]::before { content: attr(data-label) " "; color: var(--muted); font-size: 12.5px; }
}
@media (max-width: 720px) {
  main { padding: 24px 14px 40px; }
  section { padding: 18px 16px; border-radius: 6px; }
  .verdict { grid-template-columns: minmax(0, 1fr); }
  .headline { text-align: left; order: -1; }
  .bars { display: block; }
  .bars .row { display: grid; grid-template-columns: minmax(0, 1fr) max-content; margin-bottom: 8px; }
  .bars .row svg { grid-column: 1 / -1; grid-row: 2; }
  summary { flex-wrap: wrap; gap: 2px 10px; }
  summary .query { flex: 1 1 calc(100% - 24px); }
  summary .moved { margin-left: 20px; }
  .rankings { grid-template-columns: minmax(0, 1fr); padding-left: 0; }
  .moves { padding-left: 0; }
  .guards li { grid-template-columns: 18px minmax(0, 1fr); } .guards .detail { grid-column: 2; }
}
@media print { body { background: none; } section { break-inside: avoid; } }
"""
