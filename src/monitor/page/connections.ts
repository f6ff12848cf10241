import { type Connection, type ConnectionRequests, type Sample, states } from "../wire.js"
import { byId, element, find, setText } from "./dom.js"
import { formatAge, formatBytes, formatCount } from "./format.js"

const ofRequests = ["inFlight", "abandoned", "streams"] as const

type RequestColumn = (typeof ofRequests)[number] & keyof ConnectionRequests

/** Whether it retires is shown with its state. */
type Column = Exclude<keyof Connection, "isRetiring" | "requests"> | RequestColumn

const isOfRequests = (column: Column): column is RequestColumn => (ofRequests as ReadonlyArray<string>).includes(column)

interface Cell {
  readonly column: Column
  readonly cell: HTMLElement
  readonly text: HTMLElement
  readonly badge: HTMLElement | undefined
}

interface Row {
  readonly row: HTMLElement
  readonly cells: ReadonlyArray<Cell>
}

const rows = new Map<string, Row>()
let sorting: { readonly key: Column; readonly isDescending: boolean } = { key: "id", isDescending: false }
let latest: Sample | undefined
const inOrder = new Intl.Collator("en", { numeric: true }).compare

const buttons = (): ReadonlyArray<HTMLElement> => [...document.querySelectorAll<HTMLElement>("[data-sort]")]
const columnOf = (button: HTMLElement): Column => (button.dataset.sort ?? "id") as Column

/** Times are shown as how long ago they were, so that is how they are sorted. */
const isTime = (column: Column): boolean => column === "openedAt" || column === "lastActivityAt"

const order: ReadonlyArray<string> = states

const rank = (connection: Connection, column: Column): number => {
  if (isOfRequests(column)) return connection.requests?.[column] ?? -1
  const value = column === "state" ? order.indexOf(connection.state) : connection[column]
  return typeof value !== "number" ? 0 : isTime(column) ? -value : value
}

const compare = (a: Connection, b: Connection): number => {
  const { isDescending, key } = sorting
  const difference = key === "id" ? inOrder(a.id, b.id) : rank(a, key) - rank(b, key)
  return (isDescending ? -difference : difference) || inOrder(a.id, b.id)
}

const requestText = (requests: ConnectionRequests | undefined, column: RequestColumn): string => {
  if (requests === undefined) return "–"
  const count = formatCount(requests[column])
  return column === "inFlight" ? `${count} of ${formatCount(requests.concurrency)}` : count
}

const cellText = (connection: Connection, column: Column, now: number): string => {
  if (isOfRequests(column)) return requestText(connection.requests, column)
  const value = connection[column]
  if (typeof value === "string") return value
  if (isTime(column)) return connection.openedAt === 0 ? "–" : formatAge(now - value)
  return column.startsWith("bytes") ? formatBytes(value) : formatCount(value)
}

const makeCell = (column: Column): Cell => {
  const isState = column === "state"
  const className = isOfRequests(column) ? "number of-requests" : "number"
  const cell = element("td", column === "id" || isState ? "" : className)
  if (!isState) return { column, cell, text: cell, badge: undefined }
  const text = element("span", "")
  const badge = element("span", "state", element("i", ""), text)
  cell.append(badge)
  return { column, cell, text, badge }
}

const rowOf = (id: string): Row => {
  const known = rows.get(id)
  if (known !== undefined) return known
  const cells = buttons().map((button) => makeCell(columnOf(button)))
  const made = { row: element("tr", "", ...cells.map(({ cell }) => cell)), cells }
  rows.set(id, made)
  return made
}

const fill = ({ badge, cell, column, text }: Cell, connection: Connection, now: number): void => {
  if (badge === undefined) setText(text, cellText(connection, column, now))
  else {
    const state = connection.isRetiring ? `${connection.state}, retiring` : connection.state
    if (badge.dataset.state === state) return
    badge.dataset.state = state
    badge.className = `state ${connection.state}`
    setText(text, state)
  }
  if (column === "id") cell.title = connection.id
}

export const showConnections = (sample: Sample): void => {
  latest = sample
  const { connections, connectionsLeftOut, now } = sample
  const body = find(byId("connections"), "tbody")
  const sorted = [...(connections ?? [])].sort(compare)
  const gone = new Set(rows.keys())
  sorted.forEach((connection, index) => {
    gone.delete(connection.id)
    const { cells, row } = rowOf(connection.id)
    for (const cell of cells) fill(cell, connection, now)
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null)
  })
  for (const id of gone) {
    rows.get(id)?.row.remove()
    rows.delete(id)
  }
  byId("no-connections").hidden = sorted.length > 0
  setText(byId("no-connections"), connections === null ? "This pool does not list them." : "None at the moment.")
  const all = formatCount(sorted.length + connectionsLeftOut)
  setText(byId("connection-count"), connectionsLeftOut === 0 ? all : `${formatCount(sorted.length)} of ${all}`)
}

const showSorting = (): void => {
  for (const button of buttons()) {
    const heading = button.closest("th")
    if (columnOf(button) !== sorting.key) heading?.removeAttribute("aria-sort")
    else heading?.setAttribute("aria-sort", sorting.isDescending ? "descending" : "ascending")
  }
}

export const listenToHeadings = (): void => {
  for (const button of buttons()) {
    button.addEventListener("click", () => {
      const key = columnOf(button)
      const isText = key === "id" || key === "state"
      sorting = { key, isDescending: key === sorting.key ? !sorting.isDescending : !isText }
      showSorting()
      if (latest) showConnections(latest)
    })
  }
  showSorting()
}
