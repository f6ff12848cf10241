import type { Sample } from "../wire.js"
import { byId, element, find, setText } from "./dom.js"
import { formatAge, formatCount } from "./format.js"

/** Who holds connections now: the oldest lease first, and where they were taken. */
export const showLeases = ({ holders, leases, leasesLeftOut }: Sample): void => {
  const shown = leases ?? []
  const body = find(byId("leases"), "tbody")
  while (body.children.length > shown.length) body.lastElementChild?.remove()
  shown.forEach(({ connectionId, held, quietFor, span }, index) => {
    const row = body.children[index] ?? body.appendChild(makeRow())
    const cells = [connectionId, formatAge(held), sayLatest(quietFor, held), span ?? "–"]
    cells.forEach((text, column) => {
      const cell = row.children[column]
      if (cell !== undefined) setText(cell, text)
    })
  })
  byId("no-leases").hidden = shown.length > 0
  setText(byId("no-leases"), leases === null ? "This pool does not list them." : "No lease is out.")
  const all = formatCount(shown.length + leasesLeftOut)
  setText(byId("lease-count"), leasesLeftOut === 0 ? all : `${formatCount(shown.length)} of ${all}`)
  const known = holders.filter(({ span }) => span !== null)
  const bySpan = holders.map(({ leases, span }) => `${span ?? "no span"} ${formatCount(leases)}`)
  setText(byId("holders"), known.length === 0 ? "" : bySpan.join(", "))
}

const sayLatest = (quietFor: number, held: number): string => {
  if (quietFor >= held) return "none yet"
  return quietFor < 1000 ? "now" : `${formatAge(quietFor)} ago`
}

const makeRow = (): HTMLElement =>
  element("tr", "", ...["", "number", "number", ""].map((className) => element("td", className)))
