/** A page in a real browser, and everything that the browser complains about. */
import { type BrowserContextOptions, type Browser as BrowserShape, chromium, type Page } from "playwright-core"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Schedule from "#effect/Schedule"
import * as Process from "../servers/support/process.js"

export class Browser extends Context.Service<Browser, BrowserShape>()("test/Browser") {}

/** Where Chromium is, if it is installed. */
export const program = Process.find("chromium")

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

export const browser = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath: program ?? "chromium", args: flags })),
  (browser) => Effect.promise(() => browser.close())
)

export interface Tab {
  readonly page: Page
  readonly complaints: ReadonlyArray<string>
  /** How often the stream was asked for. */
  readonly streams: () => number
}

export const open = (url: string, options: BrowserContextOptions = {}) =>
  Effect.gen(function* () {
    const browser = yield* Browser
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newContext(options)),
      (context) => Effect.promise(() => context.close())
    )
    const page = yield* Effect.promise(() => context.newPage())
    const complaints: Array<string> = []
    let streams = 0
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`))
    page.on("pageerror", (error) => complaints.push(`error: ${error.message}`))
    page.on("request", (request) => {
      if (/\/events(\?|$)/.test(request.url())) streams += 1
    })
    yield* Effect.promise(() => page.goto(url))
    const tab: Tab = { page, complaints, streams: () => streams }
    return tab
  })

export const text = (page: Page, selector: string) => Effect.promise(() => page.locator(selector).innerText())

export const says = ({ page }: Tab, status: string) =>
  Effect.promise(() => page.locator("#status-text").getByText(status, { exact: true }).waitFor({ timeout: 15_000 }))

/** Waits until something that is looked at again and again is so; the test's own limit ends it. */
export const until = <A, E, R>(look: Effect.Effect<A, E, R>, isSo: (value: A) => boolean) =>
  Effect.repeat(look, { schedule: Schedule.spaced("50 millis"), until: isSo })
