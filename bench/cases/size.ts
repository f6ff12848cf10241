import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"
import * as Effect from "#effect/Effect"
import { type Case, child, median, number, order, type Report, ratio, type Table, type Target } from "../harness.js"

const compiled = (module: string): string => new URL(`../../src/${module}.js`, import.meta.url).href
const file = (module: string): string => JSON.stringify(fileURLToPath(compiled(module)))

interface Imported {
  readonly label: string
  readonly modules: ReadonlyArray<string>
}

const imports: readonly [Imported, ...ReadonlyArray<Imported>] = [
  { label: "`effect`", modules: ["effect"] },
  { label: "and `effect-websocket-pool`", modules: ["effect", compiled("index")] },
  { label: "and `/node`", modules: ["effect", compiled("index"), compiled("node")] },
  {
    label: "and `/WebSocketPoolMonitor`",
    modules: ["effect", compiled("index"), compiled("node"), compiled("WebSocketPoolMonitor")]
  }
]

/** In a process of its own: what is loaded once is loaded. */
const importing = (what: "time" | "count", { modules }: Imported): Effect.Effect<number> =>
  Effect.scoped(Effect.map(child("./importing.js", [what, ...modules]), ([, answer]) => Number(answer)))

const measureImports = (rounds: number, progress: (what: string) => void) =>
  Effect.gen(function* () {
    const entries = imports.map((one) => ({ one, millis: [] as Array<number> }))
    for (let round = 0; round < rounds; round++) {
      progress(`imports, round ${round + 1} of ${rounds}`)
      for (const { millis, one } of order(entries, round)) millis.push(yield* importing("time", one))
    }
    return yield* Effect.forEach(entries, ({ millis, one }) =>
      Effect.map(importing("count", one), (modules) => ({ label: one.label, millis, modules }))
    )
  })

const program = 'import { Effect } from "effect"; Effect.runPromise(Effect.scoped(Effect.void));'

/** As a browser gets them: a program that does nothing, one that leases a connection, and one that keeps every export. */
const programs = [
  { label: "a program with `effect`", source: program },
  {
    label: "one that leases a connection",
    source: `${program}
      import { WebSocketPool, WebSocketTransport } from ${file("index")}
      const lease = Effect.flatMap(WebSocketPool.make({ url: "wss://server.test" }), (pool) => pool.get)
      Effect.provideService(lease, WebSocketTransport.WebSocketTransport, globalThis.transport)
        .pipe(Effect.scoped, Effect.runPromise)`
  },
  { label: "all of `effect-websocket-pool`", source: `${program} export * from ${file("index")}` },
  {
    label: "all of it, and `/WebSocketPoolMonitor`",
    source: `${program} export * from ${file("index")}; export * as WebSocketPoolMonitor from ${file("WebSocketPoolMonitor")}`
  }
]

const bundle = (source: string) =>
  Effect.promise(async () => {
    const { metafile, outputFiles } = await build({
      stdin: { contents: source, resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      // Its `paths` lead to the sources.
      tsconfigRaw: {},
      metafile: true,
      write: false,
      logLevel: "error"
    })
    const [output] = outputFiles
    if (output === undefined) throw new Error("esbuild wrote nothing")
    return {
      modules: Object.keys(metafile.inputs).length,
      bytes: output.contents.length,
      gzip: gzipSync(output.contents, { level: 9 }).length
    }
  })

const kilobytes = (bytes: number): string => number(bytes / 1000, 1)

export const size: Case = {
  name: "size",
  about: "what it costs to import and to bundle the package, next to `effect` alone",
  run: ({ progress, rounds }) =>
    Effect.gen(function* () {
      const imported = yield* measureImports(rounds, progress)
      progress("bundles")
      const bundled = yield* Effect.forEach(programs, ({ label, source }) =>
        Effect.map(bundle(source), (sizes) => ({ label, ...sizes }))
      )
      const [alone, , node] = imported
      const [plain, leasing] = bundled
      const importTable: Table = {
        title: "Import in Node.js, each in a process of its own",
        columns: ["", "modules", "ms", "`effect` = 1"],
        rows: imported.map(({ label, millis, modules }) => [
          label,
          number(modules),
          number(median(millis), 1),
          ratio(millis, alone!.millis).toFixed(2)
        ])
      }
      const bundleTable: Table = {
        title: "Bundle for a browser, by esbuild, minified",
        columns: ["", "modules read", "kB", "gzip, kB", "more than the first"],
        rows: bundled.map(({ bytes, gzip, label, modules }) => [
          label,
          number(modules),
          kilobytes(bytes),
          kilobytes(gzip),
          kilobytes(gzip - plain!.gzip)
        ])
      }
      const targets: ReadonlyArray<Target> = [
        {
          what: "import of `/node`: time",
          measured: `${number(median(node!.millis), 1)} ms`,
          against: `\`effect\`: ${number(median(alone!.millis), 1)} ms`,
          ratio: ratio(node!.millis, alone!.millis),
          better: "less",
          least: 2,
          aim: 1.5
        },
        {
          what: "a bundle that leases a connection: gzip",
          measured: `${kilobytes(leasing!.gzip)} kB`,
          against: `\`effect\`: ${kilobytes(plain!.gzip)} kB`,
          ratio: leasing!.gzip / plain!.gzip,
          better: "less",
          least: 2,
          aim: 1.75
        }
      ]
      const report: Report = {
        name: "size",
        tables: [importTable, bundleTable],
        targets,
        drawings: [],
        samples: { imported, bundled }
      }
      return report
    })
}
