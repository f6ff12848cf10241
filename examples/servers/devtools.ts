/**
 * Chromium's DevTools protocol: a pool of browser tabs, one for each connection.
 *
 *     chromium --headless --remote-debugging-port=9222 &
 *     npx tsx examples/servers/devtools.ts [http://127.0.0.1:9222]
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, type Scope } from "effect"
import { type WebSocketConnection, WebSocketPool, type WebSocketTransport } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

type Connection = WebSocketConnection.WebSocketConnection

export class DevToolsError extends Data.TaggedError("DevToolsError")<{ readonly message: string }> {}

/** The commands that are used here, and what they answer. */
interface Results {
  readonly "Target.createBrowserContext": { readonly browserContextId: string }
  readonly "Target.createTarget": { readonly targetId: string }
  readonly "Target.attachToTarget": { readonly sessionId: string }
  readonly "Page.enable": unknown
  readonly "Page.navigate": { readonly errorText?: string }
  readonly "Page.captureScreenshot": { readonly data: string }
  readonly "Runtime.enable": unknown
  readonly "Runtime.evaluate": { readonly result: { readonly value?: unknown } }
}

interface Answer {
  readonly id: number
  readonly result: Results[keyof Results]
  readonly error?: { readonly message: string }
}

/** It has no id. */
interface Event {
  readonly id?: undefined
  readonly method: string
  readonly params: { readonly args: ReadonlyArray<{ readonly value?: unknown }> }
}

const parse = (message: WebSocketTransport.Message): Answer | Event => JSON.parse(message.toString())

// #region commands
let lastId = 0

/** Sends a command and receives its result. Events that come before it go to `onEvent`. */
const command = <M extends keyof Results>(
  connection: Connection,
  method: M,
  params: Record<string, unknown> = {},
  onEvent: (event: Event) => void = () => {}
) =>
  Effect.gen(function* () {
    lastId += 1
    const id = lastId
    yield* connection.send(JSON.stringify({ id, method, params, sessionId: tabs.get(connection.id) }))
    while (true) {
      const incoming = parse(yield* connection.receive)
      if (incoming.id === undefined) onEvent(incoming)
      if (incoming.id !== id) continue
      const { error, result } = incoming
      if (error !== undefined) return yield* new DevToolsError({ message: `${method}: ${error.message}` })
      return result as Results[M]
    }
  })
// #endregion

// #region options
/** The session of the tab that belongs to a connection. */
const tabs = new Map<string, string>()

const openTab = (connection: Connection) =>
  Effect.gen(function* () {
    // Chromium throws the context away, with the tab in it, as soon as the connection is closed.
    const { browserContextId } = yield* command(connection, "Target.createBrowserContext", { disposeOnDetach: true })
    const { targetId } = yield* command(connection, "Target.createTarget", { url: "about:blank", browserContextId })
    const { sessionId } = yield* command(connection, "Target.attachToTarget", { targetId, flatten: true })
    yield* Effect.acquireRelease(
      Effect.sync(() => tabs.set(connection.id, sessionId)),
      () => Effect.sync(() => tabs.delete(connection.id))
    )
    yield* command(connection, "Page.enable")
    yield* command(connection, "Runtime.enable")
  })

export const options = (address: string) =>
  ({
    // The path holds an id that is new each time the browser is started, so it is asked for before every attempt.
    url: Effect.tryPromise(async (signal) => {
      const response = await fetch(new URL("/json/version", address), { signal })
      const { webSocketDebuggerUrl } = (await response.json()) as { readonly webSocketDebuggerUrl: string }
      return webSocketDebuggerUrl
    }),
    name: "chromium",
    maxConnections: 4,
    onConnect: openTab,
    // The page must neither go on working nor be seen by the next one who gets the tab.
    onRelease: (connection) => command(connection, "Page.navigate", { url: "about:blank" }),
    // What the page has still to say is dropped. An answer that nobody waits for is no event: the tab is closed.
    drain: { quietPeriod: "50 millis", condition: (message) => parse(message).id === undefined },
    // A screenshot is one message.
    maxPayload: 64 * 1024 * 1024
  }) satisfies WebSocketPool.Options<never, never, Scope.Scope>

export const layer = (address: string) => NodeWebSocketPool.layer(options(address))
// #endregion

// #region leases
export interface Visit {
  readonly title: string
  /** What the page has written to its console until it was loaded. */
  readonly console: ReadonlyArray<string>
  readonly screenshot: Uint8Array
}

const whenLoaded = `new Promise((resolve) => {
  const done = () => resolve(document.title)
  if (document.readyState === "complete") done()
  else addEventListener("load", done)
})`

/** Opens a page in a tab of the pool. */
export const visit = (url: string) =>
  WebSocketPool.use((connection) =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const onEvent = ({ method, params }: Event) => {
        if (method === "Runtime.consoleAPICalled") lines.push(params.args.map(({ value }) => value).join(" "))
      }
      const { errorText } = yield* command(connection, "Page.navigate", { url }, onEvent)
      if (errorText !== undefined) return yield* new DevToolsError({ message: errorText })
      const { result } = yield* command(
        connection,
        "Runtime.evaluate",
        { expression: whenLoaded, awaitPromise: true },
        onEvent
      )
      const { data } = yield* command(connection, "Page.captureScreenshot", {}, onEvent)
      const visit: Visit = { title: String(result.value), console: lines, screenshot: Buffer.from(data, "base64") }
      return visit
    })
  )
// #endregion

export const program = Effect.gen(function* () {
  const page = `<title>Hello</title><script>console.log("Hello,", "World!")</script>`
  const { console, screenshot, title } = yield* visit(`data:text/html,${encodeURIComponent(page)}`)
  yield* Console.log(`${title}: ${console.join("; ")}; a picture of ${screenshot.length} bytes`)
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  NodeRuntime.runMain(Effect.provide(program, layer(process.argv[2] ?? "http://127.0.0.1:9222")))
}
