"""The colours of reports and the style sheet that every page carries in itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Everywhere the same meaning, told apart with every kind of colour vision: with protanopia,
#: deuteranopia or tritanopia simulated after Machado et al. 2009, doi:10.1109/TVCG.2009.113, the
#: CIEDE2000 difference of found, false and missed is 21 at least, of old and new 16.
OLD, NEW = "#8a95a1", "#00736f"
TRUTH, FOUND, FALSE, MISSED = "#ffe14d", "#2ee6d6", "#ff0f6b", "#ffb01f"
#: For lines and bars without such a meaning, the most important first; differences, measured
#: alike, of 19 at least.
SERIES = (NEW, "#c98500", "#9c61fe", "#1f0ca4", "#1faba5", "#503005")


def model_colours(roles: Sequence[str]) -> tuple[str, ...]:
    """Return the colours of models that are compared, as many as can be told apart.

    Parameters
    ----------
    roles : of each, ``old`` and ``new`` for a model before and after it was retrained (see
        `provenance.roles`), which have their colours in every report; all others take the next one.
    """
    own = {"old": OLD, "new": NEW}
    others = [colour for colour in SERIES if colour != NEW or "new" not in roles]
    made = []
    for role in roles:
        colour = own.pop(role, None) or (others.pop(0) if others else None)
        if colour is None:
            break
        made.append(colour)
    return tuple(made)


INK, QUIET, RULE, FAINT = "#17212b", "#55626f", "#d5dce3", "#eef2f5"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

STYLE = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; }}
body {{ margin: 0; background: #fff; color: {INK}; font: 15px/1.5 {FONT}; }}
main, header, footer {{ max-width: 1080px; margin: 0 auto; padding: 0 20px; }}
header {{ padding-top: 22px; }}
h1 {{ font-size: 1.55rem; line-height: 1.25; font-weight: 650; margin: 0; letter-spacing: -.01em; }}
h2, h3 {{ line-height: 1.3; font-weight: 650; margin: 0 0 .5rem; }}
h2 {{ font-size: 1.12rem; }} h3 {{ font-size: 1rem; }}
h1, h2, h3, p, td, th, dd, figcaption {{ overflow-wrap: anywhere; }}
p {{ margin: .35rem 0; max-width: 72ch; }}
a {{ color: {NEW}; }}
section {{ margin: 1.7rem 0 0; }}
.chapter {{ border-top: 2px solid {INK}; margin-top: 2.6rem; padding-top: .7rem; }}
.chapter > h2 {{ font-size: 1.35rem; }}
.contents {{ margin: 1rem 0 0; padding-left: 1.2rem; }}
.subtitle, .quiet, figcaption, caption, footer {{ color: {QUIET}; }}
.subtitle {{ margin-top: .2rem; }}
.quiet, figcaption, caption {{ font-size: .875rem; }}
footer {{ font-size: .8rem; margin-top: 2.4rem; padding-top: .7rem; padding-bottom: 1.4rem; }}
footer::before {{ content: ""; display: block; border-top: 1px solid {RULE};
  margin-bottom: .6rem; }}
.callout {{ display: flex; gap: .7rem; margin: 1rem 0 0; padding: .7rem .95rem;
  border-radius: 6px; border-left: 5px solid; font-size: 1.05rem; font-weight: 550; }}
.callout p {{ margin: 0; max-width: none; }}
.callout.minor {{ font-size: .94rem; font-weight: 400; padding: .45rem .8rem; margin-top: .5rem; }}
.sign {{ flex: none; font-weight: 700; }}
.good {{ background: #e4f4f1; border-color: {NEW}; }} .good .sign {{ color: {NEW}; }}
.neutral {{ background: #eef2f6; border-color: #5d6b78; }}
.bad {{ background: #fdeaf0; border-color: #c2185b; }} .bad .sign {{ color: #b01050; }}
.scroll {{ overflow-x: auto; margin: .3rem 0; background:
  linear-gradient(90deg, #fff 24px, #fff0) left / 48px 100% no-repeat local,
  linear-gradient(270deg, #fff 24px, #fff0) right / 48px 100% no-repeat local,
  linear-gradient(90deg, #17212b2e, #17212b00) left / 12px 100% no-repeat scroll,
  linear-gradient(270deg, #17212b2e, #17212b00) right / 12px 100% no-repeat scroll; }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }}
caption {{ caption-side: bottom; text-align: left; padding-top: .35rem; }}
th, td {{ text-align: left; padding: .32rem .95rem .32rem 0; border-bottom: 1px solid {RULE};
  vertical-align: top; min-width: 3.2em; overflow-wrap: normal; }}
th:first-child:not(.n) {{ min-width: 10.5em; max-width: 24em; overflow-wrap: anywhere; }}
thead th {{ color: {QUIET}; font-weight: 600; font-size: .82rem; vertical-align: bottom;
  border-bottom: 1px solid {QUIET}; }}
tbody th {{ font-weight: 500; }}
.n {{ text-align: right; white-space: nowrap; }} thead .n {{ white-space: normal; }}
.total th, .total td {{ font-weight: 700; border-bottom: 0; border-top: 1px solid {QUIET}; }}
td {{ max-width: 26em; overflow-wrap: break-word; }} td:not(.n) {{ min-width: 6em; }}
td img, th img {{ display: block; }}
img.small {{ max-width: 96px; max-height: 96px; }}
dl.facts {{ display: grid; grid-template-columns: minmax(7.5em, max-content) 1fr;
  gap: .22rem 1.2rem; margin: .3rem 0; max-width: 900px; }}
dl.facts dt {{ color: {QUIET}; }} dl.facts dd {{ margin: 0; }}
dl.glossary {{ font-size: .875rem; }}
figure {{ margin: .5rem 0 0; }}
figure > svg {{ display: block; height: auto; max-width: 100%; }}
figure > img {{ display: block; width: 100%; height: auto; max-width: 660px; }}
figcaption {{ margin-top: .3rem; max-width: 80ch; }}
.figures {{ display: grid; gap: .5rem 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }}
.gallery > .bar {{ display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; align-items: center;
  font-size: .875rem; margin: .2rem 0 .6rem; }}
.key {{ white-space: nowrap; }}
.key i {{ display: inline-block; width: 15px; height: 11px; margin-right: .4em;
  border: 2.5px solid; border-radius: 3px; background: #4a5560; vertical-align: -1px; }}
.toggle {{ margin-left: auto; cursor: pointer; user-select: none; }}
.toggle input {{ accent-color: {NEW}; margin: 0 .4em 0 0; vertical-align: -1px; }}
.tiles {{ display: grid; gap: 1.1rem 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--tile, 230px)), 1fr)); }}
.tile {{ margin: 0; min-width: 0; }}
.tile .name {{ display: block; color: {INK}; font-weight: 600; }}
.row {{ display: flex; flex-wrap: wrap; gap: 6px; }}
.row > div {{ flex: 1 1 140px; min-width: 0; max-width: 420px; }}
.row:has(> :nth-child(5)) {{ display: grid;
  grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); }}
.row.lines {{ display: grid; grid-auto-flow: row dense;
  grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); }}
.row.lines > div {{ max-width: none; }} .tile.large .row {{ display: flex; }}
.row .panel {{ font-size: .82rem; color: {QUIET}; margin: .1rem 0 .25rem; }}
.panel b {{ display: block; color: {INK}; font-weight: 600; }}
.row > div {{ display: flex; flex-direction: column; justify-content: space-between; }}
.tile.wide {{ grid-column: 1 / -1; }}
.tile.large {{ grid-column: 1 / -1; }}
.tile.large .row > div {{ max-width: none; }}
.tile.wide.large .row > div {{ flex-basis: 45%; }}
.picture {{ position: relative; background: #20262c; border-radius: 3px; overflow: hidden; }}
.picture img {{ position: absolute; inset: 0; width: 100%; height: 100%; display: block; }}
.picture img:first-child {{ position: static; height: auto; }}
.zoomable .picture {{ cursor: zoom-in; }} .zoomable .large .picture {{ cursor: zoom-out; }}
.gallery:has(.toggle input:not(:checked)) .layer {{ visibility: hidden; }}
@media (min-width: 800px), print {{
  details dl.facts:not(.glossary) {{ max-width: none;
    grid-template-columns: max-content minmax(0, 1fr) max-content minmax(0, 1fr); }}
}}
details {{ margin: .4rem 0; }} summary {{ cursor: pointer; font-weight: 550; }}
:focus-visible {{ outline: 2px solid {NEW}; outline-offset: 2px; }}
ol.lineage {{ list-style: none; margin: .3rem 0 .3rem 6px; padding: 0; }}
ol.lineage li {{ border-left: 2px solid {RULE}; padding: 0 0 .7rem 1rem; position: relative; }}
ol.lineage li::before {{ content: ""; position: absolute; left: -6px; top: .45em; width: 10px;
  height: 10px; border-radius: 50%; background: {OLD}; }}
ol.lineage li:last-child {{ border-color: transparent; padding-bottom: 0; }}
ol.lineage li:last-child::before {{ background: {NEW}; }}
@media screen and (max-width: 820px) {{
  .row:has(> :nth-child(4):last-child) > div {{ flex-basis: 45%; }}
}}
@media screen and (max-width: 620px) {{
  body {{ font-size: 14px; }} main, header, footer {{ padding-left: 14px; padding-right: 14px; }}
  .tiles {{ --tile: 200px; gap: .8rem .6rem; }} .toggle {{ margin-left: 0; }}
  dl.facts {{ grid-template-columns: minmax(6em, 34%) 1fr; }}
}}
@media print {{
  @page {{ size: A4; margin: 14mm; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
  body {{ font-size: 9.5pt; }} main, header, footer {{ max-width: none; padding: 0; }}
  h2, h3, h2 + p, h3 + p, summary, .bar {{ break-after: avoid; }}
  figure, .callout, tr, .tile, dl.facts > *, li {{ break-inside: avoid; }}
  p {{ orphans: 3; widows: 3; }}
  .tiles {{ --tile: 43mm; gap: 4mm 3mm; }} .row {{ gap: 2mm; }}
  .row > div {{ flex: 0 1 43mm; }}
  .row:has(> :nth-child(2)):not(:has(> :nth-child(4))) > div {{ flex-basis: 58mm; }}
  .figures {{ grid-template-columns: repeat(auto-fit, minmax(80mm, 1fr)); gap: 3mm 6mm; }}
  .scroll {{ overflow: visible; background: none; }} .toggle {{ display: none; }}
  table {{ font-size: .8rem; }} th, td, td:not(.n) {{ min-width: 0; padding-right: .6em; }}
  th:first-child:not(.n) {{ min-width: 8em; }}
  figure {{ min-width: 0; }} figure > svg, figure > img {{ max-width: min(100%, 150mm); }}
  details::details-content {{ content-visibility: visible; height: auto; }}
  .chapter {{ margin-top: 1.8rem; }}
}}
"""

#: Enlarges a tile on a click; the page is complete without it.
SCRIPT = """
document.addEventListener("click", function (event) {
  var picture = event.target.closest(".picture"), tile = picture && picture.closest(".tile");
  if (tile) { tile.classList.toggle("large"); tile.scrollIntoView({block: "nearest"}); }
});
document.querySelectorAll(".gallery").forEach(function (g) { g.classList.add("zoomable"); });
"""
