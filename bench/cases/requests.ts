/** Many requests at once on each connection: what one costs, and how many more there are than one at a time. */
import * as Effect from "#effect/Effect"
import {
  type AnyContender,
  type Case,
  comparison,
  type Measured,
  measure,
  median,
  number,
  of,
  perSecond,
  type Report,
  type Runner,
  ratio,
  type Settings,
  speed,
  type Target
} from "../harness.js"
import { byHand, byHandInterruptible, depth, inOrder, jsonRpc, multiplexer, oneByOne } from "../numbered.js"
import type { Peer } from "../peers.js"

const connections = 16
const workers = connections * depth
const message = "x".repeat(32)
/** So many that it does not count what it takes to start the fibers. */
const turns = 16 * workers

const peers = {
  "one-by-one": { label: "bare `ws`, one request at a time", peer: oneByOne, isOurs: false, workers: connections },
  hand: { label: "`ws` and a `Map`, by hand", peer: byHand, isOurs: false, workers },
  "hand-interruptible": {
    label: "the same, with what ends an interrupted one",
    peer: byHandInterruptible,
    isOurs: false,
    workers
  },
  multiplexer: { label: "`Multiplexer.request`", peer: multiplexer, isOurs: true, workers },
  "json-rpc": { label: "`JsonRpc`", peer: jsonRpc, isOurs: true, workers },
  "in-order": { label: "`use`, `send` and `receiveChunk`, in order", peer: inOrder, isOurs: true, workers }
} as const satisfies Record<
  string,
  { readonly label: string; readonly peer: Peer; readonly isOurs: boolean; readonly workers: number }
>

type Name = keyof typeof peers

/** Next to each other, over the same server. */
const measureAll = (names: ReadonlyArray<Name>, url: string, settings: Settings) =>
  Effect.scoped(
    Effect.flatMap(
      Effect.forEach(names, (name) => {
        const { isOurs, label, peer, workers } = peers[name]
        return Effect.map(peer({ url, connections, message }), (ask): AnyContender & Runner => ({
          name,
          label,
          isOurs,
          workers,
          turns,
          run: (times) => ask(times, workers)
        }))
      }),
      (contenders) => measure(contenders, settings, 250)
    )
  )

const cpuOf = (one: Measured): string => `${median(one.cpu).toFixed(1)} µs`
const rateOf = (one: Measured): string => `${number(perSecond(one))}/s`

const cpuTarget = (what: string, one: Measured, other: Measured, least: number, aim: number): Target => ({
  what: `${what}: client CPU per request`,
  measured: cpuOf(one),
  against: `${other.label}: ${cpuOf(other)}`,
  ratio: ratio(one.cpu, other.cpu),
  better: "less",
  least,
  aim
})

const rateTarget = (what: string, one: Measured, other: Measured, least: number, aim: number): Target => ({
  what: `${what}: requests/s`,
  measured: rateOf(one),
  against: `${other.label}: ${rateOf(other)}`,
  ratio: speed(one, other),
  better: "more",
  least,
  aim
})

const run = (settings: Settings) =>
  Effect.gen(function* () {
    const answer = `${settings.url}/answer`
    const numbered = yield* measureAll(["hand", "hand-interruptible", "multiplexer", "json-rpc"], answer, settings)
    const many = ["one-by-one", "in-order", "multiplexer", "hand"] as const
    const single = yield* measureAll(many, answer, settings)
    const joined = yield* measureAll(many, `${settings.url}/join`, settings)
    const title = `${number(workers)} requests under way on ${connections} connections`
    return {
      name: "requests",
      tables: [
        comparison(
          `${title}: what it costs to find the request for each answer`,
          "requests/s",
          "by hand = 1",
          numbered
        ),
        comparison(`${title}, next to one at a time on each`, "requests/s", "one at a time = 1", single),
        comparison("The same, when the server joins its answers", "requests/s", "one at a time = 1", joined)
      ],
      targets: [
        cpuTarget(`${title}, \`Multiplexer\``, of(numbered, "multiplexer"), of(numbered, "hand"), 2.2, 1.6),
        rateTarget("the same in order, `use`", of(single, "in-order"), of(single, "one-by-one"), 1.4, 1.6),
        cpuTarget("the same in order, `use`", of(single, "in-order"), of(single, "one-by-one"), 0.7, 0.6),
        rateTarget(
          "the same, a server that joins its answers",
          of(joined, "in-order"),
          of(joined, "one-by-one"),
          4,
          4.5
        )
      ],
      drawings: [],
      samples: [numbered, single, joined]
    } satisfies Report
  })

export const requests: Case = {
  name: "requests",
  about: `many requests at once on each of ${connections} connections, next to a \`Map\` by hand and to one at a time`,
  run
}
