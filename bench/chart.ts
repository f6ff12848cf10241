/** Line charts as SVG, in small multiples. There is nothing to install, and nothing to run in a browser. */

export interface Series {
  readonly name: string
  /** In ascending order of x. */
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface Panel {
  readonly title: string
  readonly series: ReadonlyArray<Series>
  /** A range of x that is shaded, and what happens in it. */
  readonly band?: { readonly from: number; readonly to: number; readonly label: string }
  /** What the y axis must reach at least. Default: the largest value. */
  readonly top?: number
}

export interface Chart {
  readonly title: string
  readonly subtitle: string
  /** What all panels have along their x axis. */
  readonly x: string
  readonly panels: ReadonlyArray<Panel>
}

const columns = 2
const width = 440
const height = 170
const gap = 36
const margin = { left: 56, right: 16, top: 84, bottom: 48 }
const heading = 26

const colours = ["#0969da", "#bc4c00", "#1a7f37"]
const ink = "#1f2328"
const faint = "#59636e"
const line = "#d1d9e0"

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(content)}</text>`

const round = (n: number): number => Math.round(n * 10) / 10

/** 0, 1, 2 or 5 times a power of ten apart, the last at or above `most`. */
const ticks = (most: number, count: number): ReadonlyArray<number> => {
  const rough = Math.max(most, 1e-9) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough) ?? rough
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(12)))
}

const number = (n: number): string => n.toLocaleString("en-US", { maximumFractionDigits: 2 })

const drawPanel = (panel: Panel, left: number, top: number): string => {
  const points = panel.series.flatMap((series) => series.points)
  const lastX = Math.max(...points.map(([x]) => x), 1e-9)
  const xTicks = ticks(lastX, 6).filter((tick) => tick <= lastX * (1 + 1e-9))
  const yTicks = ticks(Math.max(...points.map(([, y]) => y), panel.top ?? 0, 1e-9), 4)
  const lastY = yTicks.at(-1)!
  const atX = (x: number) => left + (x / lastX) * width
  const atY = (y: number) => top + height - (y / lastY) * height

  const { band } = panel
  const shade =
    band === undefined
      ? []
      : [
          `<rect x="${round(atX(band.from))}" y="${top}" width="${round(atX(band.to) - atX(band.from))}" height="${height}" fill="#fff1e5"/>`,
          text(atX((band.from + band.to) / 2), top + 12, band.label, `text-anchor="middle" fill="#953800"`)
        ]
  const grid = yTicks.flatMap((tick) => [
    `<path d="M${left} ${round(atY(tick))}h${width}" stroke="${line}"/>`,
    text(left - 6, atY(tick) + 4, number(tick), `text-anchor="end" fill="${faint}"`)
  ])
  const feet = xTicks.flatMap((tick) => [
    `<path d="M${round(atX(tick))} ${top + height}v4" stroke="${faint}"/>`,
    text(atX(tick), top + height + 17, number(tick), `text-anchor="middle" fill="${faint}"`)
  ])
  const lines = panel.series.map(({ points }, index) => {
    const d = points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${round(atX(x))} ${round(atY(y))}`).join("")
    return `<path d="${d}" fill="none" stroke="${colours[index % colours.length]}" stroke-width="1.5" stroke-linejoin="round"/>`
  })
  // One line needs no legend: the title names it.
  const names = panel.series.length === 1 ? [] : [...panel.series].reverse()
  let right = left + width
  const legend = names.map(({ name }, index) => {
    const colour = colours[(names.length - 1 - index) % colours.length]
    const entry = text(right, top - 10, name, `text-anchor="end" font-weight="600" fill="${colour}"`)
    right -= name.length * 6.4 + 14
    return entry
  })
  const title = text(left, top - 10, panel.title, `font-size="13" font-weight="600" fill="${ink}"`)
  return ["<g>", title, ...legend, ...shade, ...grid, ...feet, ...lines, "</g>"].join("\n")
}

/** The chart as a file. */
export const render = (chart: Chart): string => {
  const { panels, subtitle, title, x } = chart
  const rows = Math.ceil(panels.length / columns)
  const cell = { width: margin.left + width + margin.right, height: heading + height + gap }
  const all = { width: columns * cell.width, height: margin.top + rows * cell.height + margin.bottom - gap }
  const drawn = panels.map((panel, index) =>
    drawPanel(
      panel,
      (index % columns) * cell.width + margin.left,
      margin.top + Math.floor(index / columns) * cell.height + heading
    )
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${all.width} ${all.height}" width="${all.width}" height="${all.height}" font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="${escape(title)}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(16, 32, title, `font-size="18" font-weight="600" fill="${ink}"`),
    text(16, 54, subtitle, `font-size="12" fill="${faint}"`),
    ...drawn,
    text(all.width / 2, all.height - 12, x, `text-anchor="middle" fill="${faint}"`),
    "</svg>",
    ""
  ].join("\n")
}
