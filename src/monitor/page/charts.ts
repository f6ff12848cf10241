/** What draws: series over the time shown, each on a canvas. */
import type { Moment } from "../wire.js"
import { byId, element, find, setText } from "./dom.js"
import { runs, shown, shownSpan } from "./moments.js"

const margin = { left: 46, right: 6, top: 10, bottom: 20 }

export interface Series {
  /** Its colour, by name. */
  readonly key: string
  readonly label: string
  readonly read: (moment: Moment) => number | null
}

export interface ChartOptions {
  readonly id: string
  readonly series: ReadonlyArray<Series>
  /** As areas, one on the other, instead of lines. */
  readonly isStacked?: boolean
  /** A dashed line. */
  readonly limit?: Series
  /** The upper end of the scale. */
  readonly top: (moments: ReadonlyArray<Moment>) => number
  readonly format: (value: number) => string
  readonly isTime?: boolean
}

interface Chart extends ChartOptions {
  readonly canvas: HTMLCanvasElement
  readonly title: string
  /** Where the legend says what each series was. */
  readonly values: ReadonlyArray<readonly [Series, HTMLElement]>
}

const charts: Array<Chart> = []

/** The time that is pointed at, if any. */
let pointed: number | null = null

const colourNames = [
  "busy",
  "draining",
  "connecting",
  "closing",
  "idle",
  "waiting",
  "median",
  "tail",
  "now",
  "limit",
  "grid",
  "soft",
  "ink"
]
let colours: ReadonlyMap<string, string> = new Map()

/** After a change between light and dark. */
export const readColours = (): void => {
  const css = getComputedStyle(document.documentElement)
  colours = new Map(colourNames.map((name) => [name, css.getPropertyValue(`--${name}`).trim()]))
}

const colour = (name: string): string => colours.get(name) ?? ""

/** A round number, half of which is whole. */
export const niceAbove = (n: number): number => {
  const unit = 10 ** Math.floor(Math.log10(n))
  const factors = unit < 10 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10]
  return (factors.find((factor) => factor * unit >= n) ?? 10) * unit
}

const pointedAt = (moments: ReadonlyArray<Moment>): Moment | undefined => {
  const last = moments.at(-1)
  const at = pointed
  if (at === null || last === undefined) return last
  return moments.reduce((best, moment) => (Math.abs(moment.at - at) < Math.abs(best.at - at) ? moment : best), last)
}

export const addChart = (options: ChartOptions): void => {
  const figure = byId(options.id)
  const canvas = find<HTMLCanvasElement>(figure, "canvas")
  const all = options.limit === undefined ? options.series : [...options.series, options.limit]
  const values = all.map((series): readonly [Series, HTMLElement] => {
    const value = element("b", "")
    const item = element("li", series.key + (options.isTime ? " time" : ""), element("i", ""), series.label, value)
    find(figure, ".legend").append(item)
    return [series, value]
  })
  const chart: Chart = { ...options, canvas, values, title: find(figure, "h2").textContent ?? "" }
  charts.push(chart)
  canvas.addEventListener("pointermove", (event) => point(canvas, event.offsetX))
  canvas.addEventListener("pointerleave", unpoint)
  canvas.addEventListener("blur", unpoint)
  canvas.addEventListener("keydown", onKey)
  new ResizeObserver(() => draw(chart, shown())).observe(canvas)
}

const onKey = (event: KeyboardEvent): void => {
  const moments = shown()
  if (event.key === "Escape") unpoint()
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    Home: -moments.length,
    End: moments.length
  }
  const step = steps[event.key]
  const from = pointedAt(moments)
  if (step === undefined || from === undefined) return
  event.preventDefault()
  const index = Math.min(moments.length - 1, Math.max(0, moments.indexOf(from) + step))
  pointed = moments[index]?.at ?? null
  drawAll()
}

const point = (canvas: HTMLCanvasElement, offset: number): void => {
  const last = shown().at(-1)
  if (last === undefined) return
  const width = canvas.clientWidth - margin.left - margin.right
  pointed = last.at - shownSpan() + ((offset - margin.left) / width) * shownSpan()
  drawAll()
}

const unpoint = (): void => {
  if (pointed === null) return
  pointed = null
  drawAll()
}

export const drawAll = (): void => {
  const moments = shown()
  for (const chart of charts) draw(chart, moments)
}

/** Where something is on the canvas, in its own pixels. */
interface Scale {
  readonly g: CanvasRenderingContext2D
  readonly top: number
  readonly x: (at: number) => number
  readonly y: (value: number) => number
}

const say = ({ canvas, format, title, values }: Chart, moment: Moment | undefined): void => {
  const text = values.map(([{ label, read }, node]) => {
    const value = moment === undefined ? null : read(moment)
    const said = value === null ? "–" : format(value)
    setText(node, said)
    return `${label} ${said}`
  })
  canvas.setAttribute("aria-label", `${title}: ${text.join(", ")}`)
}

const draw = (chart: Chart, moments: ReadonlyArray<Moment>): void => {
  const { canvas, limit } = chart
  const moment = pointedAt(moments)
  say(chart, moment)
  const ratio = window.devicePixelRatio || 1
  const width = canvas.clientWidth
  const height = canvas.clientHeight
  const g = canvas.getContext("2d")
  if (width === 0 || g === null) return
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
  }
  g.setTransform(ratio, 0, 0, ratio, 0, 0)
  g.clearRect(0, 0, width, height)

  const left = margin.left
  const right = width - margin.right
  const bottom = height - margin.bottom
  const span = shownSpan()
  const end = moments.at(-1)?.at ?? span
  const top = chart.top(moments)
  const scale: Scale = {
    g,
    top,
    x: (at) => right - ((end - at) / span) * (right - left),
    y: (value) => bottom - (Math.min(value, top) / top) * (bottom - margin.top)
  }
  drawGrid(chart, scale, { left, right, height, end, span })
  g.lineJoin = "round"
  for (const run of runs(moments)) {
    if (chart.isStacked) drawAreas(scale, run, chart.series)
    else drawLines(scale, run, chart.series)
    if (limit) drawLimit(scale, run, limit)
  }
  if (pointed !== null && moment !== undefined) drawPointer(scale, moment, { left, right, bottom, end })
}

const drawGrid = (
  { format }: Chart,
  { g, top, x, y }: Scale,
  area: {
    readonly left: number
    readonly right: number
    readonly height: number
    readonly end: number
    readonly span: number
  }
): void => {
  g.font = "11px system-ui, sans-serif"
  g.lineWidth = 1
  g.strokeStyle = colour("grid")
  g.fillStyle = colour("soft")
  g.textBaseline = "middle"
  g.textAlign = "right"
  for (const part of [0, 0.5, 1]) {
    const at = Math.round(y(top * part)) + 0.5
    g.beginPath()
    g.moveTo(area.left, at)
    g.lineTo(area.right, at)
    g.stroke()
    g.fillText(format(top * part), area.left - 6, at)
  }
  g.textBaseline = "alphabetic"
  const ends = [
    { part: 1, align: "left" },
    { part: 0.5, align: "center" },
    { part: 0, align: "right" }
  ] as const
  for (const { align, part } of ends) {
    g.textAlign = align
    const label = part === 0 ? "now" : `${(area.span * part) / 60_000} min ago`
    g.fillText(label, x(area.end - area.span * part), area.height - 5)
  }
}

const drawAreas = ({ g, x, y }: Scale, run: ReadonlyArray<Moment>, series: ReadonlyArray<Series>): void => {
  let below = run.map(() => 0)
  for (const { key, read } of series) {
    const above = run.map((moment, index) => (below[index] ?? 0) + (read(moment) ?? 0))
    g.fillStyle = colour(key)
    g.beginPath()
    run.forEach(({ at }, index) => {
      g.lineTo(x(at), y(above[index] ?? 0))
    })
    for (const [index, { at }] of [...run.entries()].reverse()) g.lineTo(x(at), y(below[index] ?? 0))
    g.fill()
    below = above
  }
}

const drawLines = (scale: Scale, run: ReadonlyArray<Moment>, series: ReadonlyArray<Series>): void => {
  scale.g.lineWidth = 1.75
  // The first one last: it stays visible where they meet.
  for (const { key, read } of [...series].reverse()) drawLine(scale, run, key, read)
}

const drawLimit = (scale: Scale, run: ReadonlyArray<Moment>, { key, read }: Series): void => {
  scale.g.lineWidth = 1.5
  scale.g.setLineDash([5, 4])
  // A limit far above what there is would leave no room for it; the legend shows it.
  drawLine(scale, run, key, (moment) => {
    const value = read(moment)
    return value === null || value > scale.top ? null : value
  })
  scale.g.setLineDash([])
}

const drawLine = ({ g, x, y }: Scale, run: ReadonlyArray<Moment>, key: string, read: Series["read"]): void => {
  g.strokeStyle = colour(key)
  g.beginPath()
  let isDrawing = false
  for (const moment of run) {
    const value = read(moment)
    if (value === null) isDrawing = false
    else if (isDrawing) g.lineTo(x(moment.at), y(value))
    else {
      g.moveTo(x(moment.at), y(value))
      isDrawing = true
    }
  }
  g.stroke()
}

const drawPointer = (
  { g, x }: Scale,
  { at }: Moment,
  area: { readonly left: number; readonly right: number; readonly bottom: number; readonly end: number }
): void => {
  g.strokeStyle = colour("ink")
  g.lineWidth = 1
  g.beginPath()
  g.moveTo(Math.round(x(at)) + 0.5, margin.top)
  g.lineTo(Math.round(x(at)) + 0.5, area.bottom)
  g.stroke()
  const isRight = x(at) > (area.left + area.right) / 2
  g.fillStyle = colour("ink")
  g.textAlign = isRight ? "right" : "left"
  g.fillText(`${Math.round((area.end - at) / 1000)} s ago`, x(at) + (isRight ? -5 : 5), margin.top + 10)
}
