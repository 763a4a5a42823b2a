"""How the report looks: one style sheet, light and dark."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #1b2430; --soft: #5b6675; --line: #e3e7ec;
  --c0: #2563eb; --c1: #e8590c; --c2: #0d9488; --c3: #9333ea; --c4: #b45309; --c5: #64748b;
  --right: #2563eb; --wrong: #e8590c; --none: #f1f3f6; --note: #fff7e6; --note-line: #f0c36d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10151c; --card: #19202a; --ink: #e6ebf1; --soft: #9aa7b6; --line: #2b3542;
    --c0: #6ea8ff; --c1: #ff9457; --c2: #4fd1c0; --c3: #c79bff; --c4: #e3b35f; --c5: #9fb0c3;
    --right: #3f7fe8; --wrong: #e0672a; --none: #1f2833; --note: #2b2516; --note-line: #7a6125;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 36px 0 12px; letter-spacing: -0.005em; }
h3 { font-size: 14px; margin: 0 0 2px; font-weight: 600; }
h3::first-letter { text-transform: uppercase; }
p { margin: 0 0 10px; }
a { color: var(--c0); }
.soft { color: var(--soft); }
.lead { color: var(--soft); font-size: 16px; margin-bottom: 18px; max-width: 75ch; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; min-width: 0;
}
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }
.tile .value { font-size: 25px; font-weight: 650; line-height: 1.25; letter-spacing: -0.01em;
  font-variant-numeric: tabular-nums; }
.tile .name { color: var(--soft); font-size: 13px; }
.tile .under { color: var(--soft); font-size: 12.5px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap: 14px; }
.pair { display: grid; gap: 14px; align-items: start;
  grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr); }
.stack { display: grid; gap: 14px; min-width: 0; }
@media (max-width: 820px) { .pair { grid-template-columns: minmax(0, 1fr); } }
.note { background: var(--note); border: 1px solid var(--note-line); border-radius: 8px;
  padding: 10px 14px; margin: 14px 0; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 12.5px; color: var(--soft);
  margin: 0 0 6px; font-variant-numeric: tabular-nums; }
.legend i { display: inline-block; width: 14px; height: 3px; border-radius: 2px;
  margin-right: 6px; vertical-align: 4px; }
.legend b { color: var(--ink); font-weight: 600; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 11px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg.heat text { font-size: 10.5px; }
svg.heat { max-width: 620px; margin: 0 auto; }
svg.spark { width: 96px; height: 22px; overflow: hidden; }
svg.spark path { fill: var(--c0); opacity: 0.85; }
.mid { text-anchor: middle; } .end { text-anchor: end; } .start { text-anchor: start; }
svg text.halo { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 5px;
  stroke-linejoin: round; }
svg .grid { stroke: var(--line); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; opacity: 0.6; }
.mark { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 4 3; fill: none; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.dot { stroke: var(--card); stroke-width: 0.8; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
.f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); }
.f3 { fill: var(--c3); } .f4 { fill: var(--c4); } .f5 { fill: var(--c5); }
.b0 { background: var(--c0); } .b1 { background: var(--c1); } .b2 { background: var(--c2); }
.b3 { background: var(--c3); } .b4 { background: var(--c4); } .b5 { background: var(--c5); }
.point { fill: var(--c0); opacity: 0.7; }
.right { fill: var(--right); } .wrong { fill: var(--wrong); }
rect.none { fill: var(--none); fill-opacity: 1; } .empty { fill: var(--card); }
svg text.count { fill: var(--ink); } svg text.bright { fill: #ffffff; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; width: 100%;
  font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 12.5px;
  white-space: nowrap; }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; }
table.numbers td { white-space: nowrap; }
table.numbers td:first-child { white-space: normal; overflow-wrap: break-word;
  max-width: 26ch; }
table.facts td:first-child { color: var(--soft); white-space: nowrap; width: 1%;
  padding-right: 18px; }
table.facts td { overflow-wrap: anywhere; }
.path { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
.bar { display: inline-block; width: 64px; height: 6px; border-radius: 3px;
  background: var(--none); vertical-align: 2px; margin-left: 8px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--c0); }
.mistakes { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); }
.mistakes.large { grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); }
pre { font: 12.5px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; margin: 4px 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 0; min-width: 0; }
figure img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  background: #000; border-radius: 6px; image-rendering: pixelated; }
figcaption { font-size: 12.5px; line-height: 1.35; margin-top: 5px; overflow-wrap: anywhere; }
figcaption b { color: var(--wrong); font-weight: 600; }
details { margin-top: 12px; } summary { cursor: pointer; color: var(--soft); font-size: 13.5px; }
footer { margin-top: 36px; color: var(--soft); font-size: 12.5px; }
@media (max-width: 560px) {
  main { padding: 20px 12px 36px; }
  svg.chart text { font-size: 14px; } svg.heat text { font-size: 14px; }
  .bar { display: none; }
}
@media print { :root { --ground: #fff; } .card { break-inside: avoid; } }
"""
