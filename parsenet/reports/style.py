"""How a report page looks: light or dark as the reader's system is, and fit to print."""

STYLE = """\
:root { color-scheme: light dark; --ink: #1c2126; --quiet: #5f6b76; --line: #dfe4e8; --paper: #fff;
  --card: #f4f6f8; --bar: #cfe0fb; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --quiet: #9aa5af; --line: #343b42; --paper: #16191c; --card: #20252a;
    --bar: #274472; }
}
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 1rem; font-size: 1.8rem; overflow-wrap: anywhere; }
h3 { margin: 1.4rem 0 .5rem; font-size: 1rem; }
h2 { margin: 2.2rem 0 .7rem; font-size: 1.2rem; }
.quiet, figcaption { color: var(--quiet); font-size: .9rem; }
.cards, .charts { display: grid; gap: 1rem; }
.cards { grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
.cards div { padding: .8rem 1rem; border-radius: 8px; background: var(--card); }
.cards b { display: block; font-size: 1.9rem; line-height: 1.2; }
.cards span { color: var(--quiet); font-size: .9rem; }
svg { width: 100%; max-width: 640px; border: 1px solid var(--line); border-radius: 8px; }
svg .title { font-weight: 600; font-size: 14px; fill: var(--ink); }
svg .tick { font-size: 11px; fill: var(--quiet); }
svg .grid { stroke: var(--line); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem; border-bottom: 1px solid var(--line); text-align: right; }
th { color: var(--quiet); font-weight: 500; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
.bar { min-width: 9rem;
  background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
figure { margin: 0 0 1.4rem; }
img { max-width: 100%; border: 1px solid var(--line); border-radius: 6px; }
pre { padding: .8rem 1rem; overflow-x: auto; border-radius: 8px; background: var(--card);
  font-size: .85rem; }
th.name, td.name { text-align: left; }
.wide { overflow-x: auto; }
.wide td { white-space: nowrap; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .9rem; }
.legend i { display: inline-block; width: .9rem; height: .9rem; margin-right: .35rem;
  border: 1px solid var(--line); vertical-align: -2px; }
summary { cursor: pointer; margin-top: 1rem; }
"""
