/** The looks of the page: light or dark as the reader's system is, down to the width of a phone. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #1b2430; --soft: #566273; --line: #dde2e9; --grid: #e6eaef;
  --busy: #2f6bd8; --draining: #d39a1f; --connecting: #8b5bd0; --closing: #c8553d; --idle: #a9b8c9;
  --limit: #1b2430; --waiting: #c0392b; --median: #2f6bd8; --tail: #d3731f;
  --good: #2e8b57; --bad: #c0392b; --bad-soft: #fdecea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151b; --card: #191f28; --ink: #e4e9f0; --soft: #98a5b6; --line: #2b3440; --grid: #262e39;
    --busy: #5b93f5; --draining: #e0b04a; --connecting: #a986e8; --closing: #e2795f; --idle: #4c5c70;
    --limit: #e4e9f0; --waiting: #ef7d70; --median: #5b93f5; --tail: #ea9a4f;
    --good: #4cbb7f; --bad: #ef7d70; --bad-soft: #3a2224;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 16px; max-width: 1240px; background: var(--page); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
h1, h2, p, dl, dd, figure, ul { margin: 0; padding: 0; }
h1 { font-size: 20px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 14px; line-height: 1.4; }
small { font-size: 12px; }
header { display: flex; flex-wrap: wrap; gap: 8px 16px; justify-content: space-between; align-items: flex-start; }
.title { min-width: 0; flex: 1 1 240px; }
#limits, small, .count { color: var(--soft); font-weight: 400; }
#status {
  display: flex; gap: 8px; align-items: center; padding: 5px 12px; border: 1px solid var(--line);
  border-radius: 16px; background: var(--card);
}
#status i { flex: none; width: 9px; height: 9px; border-radius: 50%; background: var(--soft); }
#status[data-state="live"] i { background: var(--good); }
#status[data-state="closing"] i { background: var(--draining); }
#status[data-state="closed"], #status[data-state="lost"] { border-color: var(--bad); font-weight: 600; }
#status[data-state="closed"] i, #status[data-state="lost"] i { background: var(--bad); }
.notice { margin-top: 16px; padding: 12px; border: 1px solid var(--bad); border-radius: 8px; }
main > * { margin-top: 16px; }
.tiles, .totals { display: grid; gap: 12px; grid-template-columns: repeat(4, minmax(0, 1fr)); }
.tiles > div, .totals, .chart, .scroll {
  border: 1px solid var(--line); border-radius: 8px; background: var(--card);
}
.tiles > div { padding: 10px 14px; }
.tiles dt, .totals dt { color: var(--soft); font-size: 12px; }
.tiles dd { color: var(--soft); white-space: nowrap; }
.tiles b { color: var(--ink); font-size: 26px; line-height: 1.25; font-weight: 600; }
#trouble[data-any="true"] b { color: var(--bad); }
.totals { margin-top: 6px; padding: 10px 14px; gap: 8px 16px; grid-template-columns: repeat(9, minmax(0, 1fr)); }
.totals dt { overflow-wrap: anywhere; line-height: 1.25; }
.totals > div { display: flex; flex-direction: column; justify-content: space-between; }
.totals dd { font-size: 16px; font-weight: 600; }
.charts { display: grid; gap: 12px; grid-template-columns: repeat(6, minmax(0, 1fr)); }
.chart { padding: 10px 14px 6px; grid-column: span 2; min-width: 0; }
#states { grid-column: span 4; }
.chart figcaption { display: flex; flex-wrap: wrap; gap: 0 14px; align-items: baseline; min-height: 42px; }
.legend { display: flex; flex-wrap: wrap; gap: 0 12px; list-style: none; color: var(--soft); font-size: 12px; }
.legend li { display: flex; gap: 5px; align-items: baseline; white-space: nowrap; }
.legend i { width: 9px; height: 9px; border-radius: 2px; }
.legend b { min-width: 2ch; color: var(--ink); font-weight: 600; text-align: right; }
.legend .time b { min-width: 7ch; text-align: left; }
.legend .limit i { width: 16px; height: 0; border-top: 2px dashed var(--limit); border-radius: 0; align-self: center; }
.busy > i { background: var(--busy); } .draining > i { background: var(--draining); }
.connecting > i { background: var(--connecting); } .closing > i { background: var(--closing); }
.idle > i { background: var(--idle); } .waiting > i { background: var(--waiting); }
.median > i { background: var(--median); } .tail > i { background: var(--tail); }
canvas { display: block; width: 100%; height: 190px; }
.bar { display: flex; flex-wrap: wrap; gap: 6px 20px; align-items: center; min-height: 32px; margin-bottom: 6px; }
.bar h2 { margin-right: auto; }
.bar label { display: flex; gap: 6px; align-items: center; }
button { font: inherit; color: inherit; cursor: pointer; }
#pause { min-width: 84px; padding: 3px 12px; border: 1px solid var(--line); border-radius: 6px; background: var(--card); }
#pause[aria-pressed="true"] { border-color: var(--busy); color: var(--busy); }
:focus-visible { outline: 2px solid var(--busy); outline-offset: 1px; }
.scroll { overflow: auto; max-height: 420px; }
#events { height: 420px; }
table { width: 100%; border-collapse: separate; border-spacing: 0; font-size: 13px; }
th, td { padding: 4px 12px; border-bottom: 1px solid var(--grid); text-align: left; vertical-align: top; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--card); color: var(--soft); font-weight: 600;
  border-bottom-color: var(--line); white-space: nowrap; }
th.number { padding: 4px 0; }
th.number, td.number { text-align: right; white-space: nowrap; }
th.text { padding: 4px 0; }
th button { width: 100%; padding: 2px 12px; border: 0; background: none; font-weight: inherit; text-align: inherit; }
th button::after { content: "\\00a0\\00a0"; display: inline-block; width: 1.2em; text-align: center; }
th.number button::after { margin-right: -0.6em; }
th[aria-sort="ascending"] button::after { content: "\\2191"; }
th[aria-sort="descending"] button::after { content: "\\2193"; }
th[aria-sort] { color: var(--ink); }
#connections table { min-width: 880px; table-layout: fixed; }
#connections th:first-child { width: 20%; }
#connections td:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.state { display: flex; gap: 7px; align-items: center; }
.state i { flex: none; width: 9px; height: 9px; border-radius: 2px; }
#events table { table-layout: fixed; }
#events th:nth-child(1) { width: 118px; } #events th:nth-child(2) { width: 184px; }
#events th:nth-child(3) { width: 20%; }
#events td { overflow-wrap: anywhere; }
#events td:first-child { color: var(--soft); white-space: nowrap; }
#events tr.failure td { background: var(--bad-soft); }
#events tr.failure td:nth-child(2) { color: var(--bad); font-weight: 600; }
.empty { padding: 14px; color: var(--soft); }
[hidden] { display: none; }
@media (max-width: 1000px) {
  .totals { grid-template-columns: repeat(5, minmax(0, 1fr)); }
  #states { grid-column: span 6; } .chart { grid-column: span 3; }
}
@media (max-width: 640px) {
  body { padding: 10px; }
  main > * { margin-top: 12px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .tiles b { font-size: 22px; }
  .totals { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .chart, #states { grid-column: span 6; padding: 10px 10px 4px; }
  canvas { height: 150px; }
  th, td { padding: 4px 10px; }
  #connections table { min-width: 760px; }
  #connections th:first-child { width: 150px; }
  #connections td:first-child, #connections th:first-child { position: sticky; left: 0; background: var(--card); }
  #connections th:first-child { z-index: 2; }
  #events thead { display: none; }
  #events tr { display: flex; flex-wrap: wrap; gap: 0 10px; padding: 5px 10px; border-bottom: 1px solid var(--grid); }
  #events tr.failure { background: var(--bad-soft); }
  #events td { padding: 0; border: 0; }
  #events td:nth-child(3) { color: var(--soft); }
  #events td:nth-child(4) { flex-basis: 100%; }
}
@media (prefers-contrast: more) { :root { --soft: var(--ink); --line: var(--ink); } }
`
