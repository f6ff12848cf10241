/** The part of the page's script that draws: series over the last two minutes, each on a canvas. */
export const charts = `
const SPAN = 120000
// Samples further apart are not joined: the stream was interrupted in between.
const GAP = 3000
const MARGIN = { left: 46, right: 6, top: 10, bottom: 20 }

const byId = (id) => document.getElementById(id)

const element = (tag, className, ...children) => {
  const made = document.createElement(tag)
  if (className) made.className = className
  made.append(...children)
  return made
}

/** Sets a text if it differs, so that nothing is laid out for nothing. */
const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })
const formatCount = (n) => whole.format(n)
const formatMillis = (n) => (n < 1000 ? formatCount(n) + " ms" : (n / 1000).toFixed(n < 9950 ? 2 : 1) + " s")

let samples = []
const charts = []
/** The time that is pointed at, if any. */
let pointed = null
let colours = {}

const readColours = () => {
  const css = getComputedStyle(document.documentElement)
  const names = ["busy", "draining", "connecting", "closing", "idle", "waiting", "median", "tail"]
  for (const name of [...names, "limit", "grid", "soft", "ink"]) colours[name] = css.getPropertyValue("--" + name).trim()
}

/** A round number, half of which is whole. */
const niceAbove = (n) => {
  const unit = 10 ** Math.floor(Math.log10(n))
  const factors = unit < 10 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10]
  return factors.find((factor) => factor * unit >= n) * unit
}

/** The samples without interruption, one after the other. */
const runs = () => {
  const found = []
  samples.forEach((sample, index) => {
    if (index === 0 || sample.t - samples[index - 1].t > GAP) found.push([])
    found[found.length - 1].push(sample)
  })
  return found
}

const shownSample = () => {
  const last = samples[samples.length - 1]
  if (pointed === null || last === undefined) return last
  return samples.reduce((best, sample) => (Math.abs(sample.t - pointed) < Math.abs(best.t - pointed) ? sample : best), last)
}

/**
 * series: what is drawn, [key, label, value of a sample or null]; stacked: as areas, one on the other;
 * top: the upper end of the scale; limit: the value of a dashed line.
 */
const addChart = ({ id, series, stacked, top, limit, format, timeClass }) => {
  const figure = byId(id)
  const canvas = figure.querySelector("canvas")
  const values = series.map(([key, label]) => {
    const value = element("b")
    const item = element("li", key + (timeClass ? " time" : ""), element("i"), label, value)
    figure.querySelector(".legend").append(item)
    return value
  })
  const chart = { canvas, title: figure.querySelector("h2").textContent, series, values, stacked, top, limit, format }
  charts.push(chart)
  canvas.addEventListener("pointermove", (event) => point(chart, event.offsetX))
  canvas.addEventListener("pointerleave", () => unpoint())
  canvas.addEventListener("blur", () => unpoint())
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -samples.length, End: samples.length }[event.key]
    if (event.key === "Escape") unpoint()
    if (step === undefined || samples.length === 0) return
    event.preventDefault()
    const index = Math.min(samples.length - 1, Math.max(0, samples.indexOf(shownSample()) + step))
    pointed = samples[index].t
    drawAll()
  })
  new ResizeObserver(() => draw(chart)).observe(canvas)
}

const point = (chart, offset) => {
  const last = samples[samples.length - 1]
  if (last === undefined) return
  const width = chart.canvas.clientWidth - MARGIN.left - MARGIN.right
  pointed = last.t - SPAN + ((offset - MARGIN.left) / width) * SPAN
  drawAll()
}

const unpoint = () => {
  if (pointed === null) return
  pointed = null
  drawAll()
}

const drawAll = () => {
  for (const chart of charts) draw(chart)
}

const draw = (chart) => {
  const { canvas, format, limit, series, stacked, values } = chart
  const shown = shownSample()
  const last = samples[samples.length - 1]
  const text = series.map(([, label, read], index) => {
    const value = shown === undefined ? null : read(shown)
    const said = value === null ? "–" : format(value)
    setText(values[index], said)
    return label + " " + said
  })
  canvas.setAttribute("aria-label", chart.title + ": " + text.join(", "))

  const ratio = window.devicePixelRatio || 1
  const width = canvas.clientWidth
  const height = canvas.clientHeight
  if (width === 0) return
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
  }
  const g = canvas.getContext("2d")
  g.setTransform(ratio, 0, 0, ratio, 0, 0)
  g.clearRect(0, 0, width, height)

  const left = MARGIN.left
  const right = width - MARGIN.right
  const bottom = height - MARGIN.bottom
  const end = last === undefined ? SPAN : last.t
  const top = chart.top()
  const x = (t) => right - ((end - t) / SPAN) * (right - left)
  const y = (value) => bottom - (Math.min(value, top) / top) * (bottom - MARGIN.top)

  g.font = "11px system-ui, sans-serif"
  g.lineWidth = 1
  g.strokeStyle = colours.grid
  g.fillStyle = colours.soft
  g.textBaseline = "middle"
  g.textAlign = "right"
  for (const part of [0, 0.5, 1]) {
    const at = Math.round(y(top * part)) + 0.5
    g.beginPath()
    g.moveTo(left, at)
    g.lineTo(right, at)
    g.stroke()
    g.fillText(format(top * part), left - 6, at)
  }
  g.textBaseline = "alphabetic"
  for (const [minutes, label, align] of [[2, "2 min ago", "left"], [1, "1 min ago", "center"], [0, "now", "right"]]) {
    g.textAlign = align
    g.fillText(label, x(end - minutes * 60000), height - 5)
  }

  g.lineJoin = "round"
  for (const run of runs()) {
    if (stacked) drawAreas(g, run, series, x, y)
    else drawLines(g, run, series, x, y)
    if (limit) drawLimit(g, run, limit, top, x, y)
  }
  if (pointed !== null && shown !== undefined) {
    g.strokeStyle = colours.ink
    g.lineWidth = 1
    g.beginPath()
    g.moveTo(Math.round(x(shown.t)) + 0.5, MARGIN.top)
    g.lineTo(Math.round(x(shown.t)) + 0.5, bottom)
    g.stroke()
    const ago = Math.round((end - shown.t) / 1000)
    g.fillStyle = colours.ink
    const isRight = x(shown.t) > (left + right) / 2
    g.textAlign = isRight ? "right" : "left"
    g.fillText(ago + " s ago", x(shown.t) + (isRight ? -5 : 5), MARGIN.top + 10)
  }
}

const drawAreas = (g, run, series, x, y) => {
  const below = run.map(() => 0)
  for (const [key, , read] of series) {
    if (!(key in run[0].stats)) continue
    g.fillStyle = colours[key]
    g.beginPath()
    run.forEach((sample, index) => g.lineTo(x(sample.t), y(below[index] + read(sample))))
    for (let index = run.length - 1; index >= 0; index -= 1) g.lineTo(x(run[index].t), y(below[index]))
    g.fill()
    run.forEach((sample, index) => {
      below[index] += read(sample)
    })
  }
}

const drawLines = (g, run, series, x, y) => {
  g.lineWidth = 1.75
  // The first one last: it stays visible where they meet.
  for (const [key, , read] of [...series].reverse()) {
    g.strokeStyle = colours[key]
    g.beginPath()
    let isDrawing = false
    for (const sample of run) {
      const value = read(sample)
      if (value === null) isDrawing = false
      else if (isDrawing) g.lineTo(x(sample.t), y(value))
      else {
        g.moveTo(x(sample.t), y(value))
        isDrawing = true
      }
    }
    g.stroke()
  }
}

const drawLimit = (g, run, limit, top, x, y) => {
  g.strokeStyle = colours.limit
  g.lineWidth = 1.5
  g.setLineDash([5, 4])
  g.beginPath()
  let isDrawing = false
  for (const sample of run) {
    const value = limit(sample)
    // A limit far above what there is would leave no room for it; the legend tells it.
    if (value > top) isDrawing = false
    else if (isDrawing) g.lineTo(x(sample.t), y(value))
    else {
      g.moveTo(x(sample.t), y(value))
      isDrawing = true
    }
  }
  g.stroke()
  g.setLineDash([])
}
`
