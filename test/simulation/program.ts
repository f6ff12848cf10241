import fc from "fast-check"

/** What a server does with a message; each lease says so in what it sends. */
export type Wish = "echo" | "late" | "never" | "twice" | "close" | "fail" | "reset" | "silence" | "flood"

/** What the holder of a lease does. */
export type Act =
  | { readonly do: "request"; readonly wish: Wish; readonly patience: number }
  | { readonly do: "send"; readonly wish: Wish; readonly bytes: number }
  | { readonly do: "receive"; readonly patience: number; readonly all: boolean }
  | { readonly do: "stream"; readonly count: number; readonly patience: number }
  | { readonly do: "ping" | "discard" | "close" }
  | { readonly do: "hold"; readonly millis: number }
  /** Holds for so long, or until the connection retires. */
  | { readonly do: "heed"; readonly millis: number }

/** One step of a program. */
export type Step =
  | {
      readonly step: "lease"
      readonly mode: "get" | "getNew" | "use" | "useNew"
      readonly acts: ReadonlyArray<Act>
      readonly end: "succeed" | "fail"
    }
  /** One exchange, given up after so many milliseconds. */
  | { readonly step: "ask"; readonly wish: Wish; readonly bytes: number; readonly patience: number }
  | { readonly step: "interrupt"; readonly who: number }
  /** With all leased, a holder is interrupted, and one of the next in line so many turns later: what was given back may be on its way. */
  | { readonly step: "cross"; readonly who: number; readonly other: number; readonly turns: number }
  /** The server pushes to everybody, and so many turns later a holder is interrupted: it may be receiving just then. */
  | { readonly step: "race"; readonly who: number; readonly turns: number }
  /** The same of those who ask, one of whom is interrupted: it may be given its reply, or its turn, just then. */
  | { readonly step: "raceAsk"; readonly who: number; readonly turns: number }
  | { readonly step: "wait"; readonly millis: number }
  | { readonly step: "server"; readonly mood: Mood }
  | { readonly step: "peer"; readonly who: number; readonly deed: "push" | "close" | "destroy" | "silence" }
  | { readonly step: "resize"; readonly min: number; readonly max: number }
  | { readonly step: "refresh" }
  | { readonly step: "close" }
  /** The next hook but so many closes the pool, in the middle of whatever has called it. */
  | { readonly step: "closeFromHook"; readonly hooks: number }

/** How the server treats those who connect. */
export type Mood = "open" | "slow" | "hangs" | "refuses" | "forbids" | "slams" | "holdsOff"

/** The options that the pool is made with. */
export interface Setting {
  readonly min: number
  readonly max: number
  readonly maxWaiters: number | undefined
  readonly drain: "off" | "now" | "quiet" | "picky"
  readonly validates: boolean
  readonly healthCheck: boolean
  readonly onConnect: boolean
  readonly onRelease: boolean
  readonly discards: boolean
  readonly narrow: boolean
  readonly idleTimeout: number
  readonly connectionTTL: number | undefined
  readonly acquireTimeout: number
  /** Whether header fields are computed for each attempt. */
  readonly computes: boolean
  /** Whether a socket that is destroyed is gone a turn later. */
  readonly lingers: boolean
  /** Whether those who wait for messages are told once all has come that comes in a turn. */
  readonly defers: boolean
  /** How often fibers yield. */
  readonly yields: number
  readonly seed: number
}

export interface Program {
  readonly setting: Setting
  readonly steps: ReadonlyArray<Step>
}

const wish = fc.constantFrom<Wish>(
  "echo",
  "echo",
  "echo",
  "late",
  "never",
  "twice",
  "close",
  "fail",
  "reset",
  "silence",
  "flood"
)
const patience = fc.constantFrom(0, 1, 10, 100, 1000, 5000)

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("request" as const), wish, patience }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("send" as const), wish, bytes: fc.constantFrom(0, 10, 300) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("receive" as const), patience, all: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("stream" as const), count: fc.integer({ min: 1, max: 3 }), patience })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("ping" as const, "discard" as const, "close" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("hold" as const), millis: fc.constantFrom(0, 1, 50, 1000, 7000) })
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("heed" as const), millis: fc.constantFrom(1000, 7000, 20_000) })
  }
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      step: fc.constant("lease" as const),
      mode: fc.constantFrom("get" as const, "use" as const, "use" as const, "getNew" as const, "useNew" as const),
      acts: fc.array(act, { maxLength: 4 }),
      end: fc.constantFrom("succeed" as const, "succeed" as const, "fail" as const)
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({ step: fc.constant("ask" as const), wish, bytes: fc.constantFrom(0, 0, 10, 300), patience })
  },
  { weight: 4, arbitrary: fc.record({ step: fc.constant("interrupt" as const), who: fc.nat(30) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      step: fc.constant("cross" as const),
      who: fc.nat(30),
      other: fc.nat(30),
      turns: fc.nat(4)
    })
  },
  {
    weight: 4,
    arbitrary: fc.record({ step: fc.constant("race" as const), who: fc.nat(30), turns: fc.nat(8) })
  },
  {
    weight: 3,
    arbitrary: fc.record({ step: fc.constant("raceAsk" as const), who: fc.nat(30), turns: fc.nat(8) })
  },
  {
    weight: 8,
    arbitrary: fc.record({
      step: fc.constant("wait" as const),
      millis: fc.constantFrom(0, 1, 10, 99, 500, 2000, 12000)
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("server" as const),
      mood: fc.constantFrom<Mood>("open", "open", "slow", "hangs", "refuses", "forbids", "slams", "holdsOff")
    })
  },
  {
    weight: 4,
    arbitrary: fc.record({
      step: fc.constant("peer" as const),
      who: fc.nat(30),
      deed: fc.constantFrom("push" as const, "close" as const, "destroy" as const, "silence" as const)
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("resize" as const), min: fc.nat(3), max: fc.integer({ min: 1, max: 4 }) })
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("refresh" as const) }) }
)

const setting: fc.Arbitrary<Setting> = fc.record({
  min: fc.nat(2),
  max: fc.integer({ min: 2, max: 4 }),
  maxWaiters: fc.constantFrom(undefined, undefined, 0, 2),
  drain: fc.constantFrom("off" as const, "off" as const, "now" as const, "quiet" as const, "picky" as const),
  validates: fc.boolean(),
  healthCheck: fc.boolean(),
  onConnect: fc.boolean(),
  onRelease: fc.boolean(),
  discards: fc.boolean(),
  narrow: fc.boolean(),
  idleTimeout: fc.constantFrom(1000, 10_000, 60_000),
  connectionTTL: fc.constantFrom(undefined, 20_000),
  acquireTimeout: fc.constantFrom(1000, 10_000),
  computes: fc.boolean(),
  lingers: fc.boolean(),
  defers: fc.boolean(),
  yields: fc.constantFrom(0, 0, 0.05),
  seed: fc.nat()
})

/** A lease that outlasts the pool, and a server that falls silent under it. */
const stuck: ReadonlyArray<Step> = [
  { step: "server", mood: "open" },
  { step: "lease", mode: "get", acts: [{ do: "hold", millis: 20_000 }], end: "succeed" },
  { step: "wait", millis: 500 },
  ...[0, 1, 2, 3].map((who): Step => ({ step: "peer", who, deed: "silence" }))
]

/** Programs of up to so many steps, before the end of which the pool is closed now and then, by a hook or from outside. */
export const program = (steps: number): fc.Arbitrary<Program> =>
  fc.record({
    setting,
    steps: fc
      .tuple(
        fc.array(step, { minLength: 1, maxLength: steps, size: "max" }),
        fc.nat(9),
        fc.nat(7),
        fc.array(step, { maxLength: 10 })
      )
      .map(([before, ends, hooks, after]) => {
        if (ends === 3) return [...before, ...stuck]
        if (ends > 3) return before
        const close: Step = ends === 0 ? { step: "close" } : { step: "closeFromHook", hooks }
        return [...before, close, ...after]
      })
  })
