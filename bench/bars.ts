/** Bar charts as SVG, with names at the left and figures at the right. */
import type { Bars } from "./harness.js"

const barHeight = 18
const pitch = 26
const names = 290
const length = 420
const figures = 90
const top = 84
const width = 16 + names + length + figures

const ink = "#1f2328"
const faint = "#59636e"
const colours = { ours: "#0969da", theirs: "#afb8c1" }

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${x}" y="${y}" ${attributes}>${escape(content.replaceAll("`", ""))}</text>`

const figure = (value: number): string =>
  value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 })

const drawPanel = ({ bars, title }: Bars["panels"][number], y: number): ReadonlyArray<string> => {
  const most = Math.max(...bars.map(({ value }) => value), 1e-9)
  return [
    text(16 + names, y, title, `font-size="13" font-weight="600" fill="${ink}"`),
    ...bars.flatMap(({ isOurs, name, value }, index) => {
      const at = y + 12 + index * pitch
      const long = Math.max(1, Math.round((value / most) * length))
      const weight = isOurs ? ' font-weight="600"' : ""
      return [
        text(8 + names, at + 13, name, `text-anchor="end" fill="${ink}"${weight}`),
        `<rect x="${16 + names}" y="${at}" width="${long}" height="${barHeight}" fill="${isOurs ? colours.ours : colours.theirs}"/>`,
        text(22 + names + long, at + 13, figure(value), `fill="${faint}"`)
      ]
    })
  ]
}

/** The chart as a file. */
export const render = ({ panels, subtitle, title }: Bars): string => {
  const drawn: Array<string> = []
  let y = top + 8
  for (const panel of panels) {
    drawn.push(...drawPanel(panel, y))
    y += 12 + panel.bars.length * pitch + 28
  }
  const height = y - 20
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="${escape(title)}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(16, 32, title, `font-size="18" font-weight="600" fill="${ink}"`),
    text(16, 54, subtitle, `font-size="12" fill="${faint}"`),
    ...drawn,
    "</svg>",
    ""
  ].join("\n")
}
