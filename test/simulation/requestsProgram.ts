import fc from "fast-check"

/** How the server treats those who connect. */
export type Mood = "open" | "slow" | "hangs" | "refuses" | "slams"

/** How a request is answered: in full, by one more item, by an end without a value, or by a failure. */
export type Answer = "answer" | "item" | "end" | "fail"

/** One step of a program. Of what there are several, a number picks one. */
export type Step =
  /** Requests, each given up after so many milliseconds. */
  | { readonly step: "request"; readonly count: number; readonly patience: number }
  /** One that cannot be written. */
  | { readonly step: "bad" }
  /** A stream that takes so many items, and so long over each. */
  | { readonly step: "stream"; readonly take: number; readonly pace: number; readonly exclusive: boolean }
  /** A connection of its own for so many milliseconds, with requests in order. */
  | { readonly step: "pinned"; readonly count: number; readonly millis: number }
  | { readonly step: "interrupt"; readonly who: number; readonly turns: number }
  /** The server answers one that is unanswered, cancelled ones included; several of them in one message. */
  | { readonly step: "answer"; readonly whom: ReadonlyArray<number>; readonly how: Answer }
  /** It answers all, the last first. */
  | { readonly step: "answerAll" }
  /** It answers one, and that is interrupted just then. */
  | { readonly step: "cross"; readonly who: number; readonly turns: number }
  /** It answers what was never asked, or is answered. */
  | { readonly step: "stray"; readonly which: number; readonly id: number }
  | { readonly step: "peer"; readonly which: number; readonly deed: Deed }
  /** The server asks for so many things, each of which takes so long. */
  | { readonly step: "task"; readonly which: number; readonly count: number; readonly millis: number }
  | { readonly step: "server"; readonly mood: Mood }
  | { readonly step: "wait"; readonly millis: number }
  | { readonly step: "refresh" }
  | { readonly step: "resize"; readonly min: number; readonly max: number }
  | { readonly step: "close"; readonly what: "multiplexer" | "pool" }

/** What the server does on one connection: `refuse` says that one of ours failed, and not which. */
export type Deed = "drop" | "close" | "refuse" | "retire" | "nonsense" | "notice" | "ask" | "clog" | "flush"

export interface Setting {
  readonly concurrency: number
  readonly targetUtilization: number
  readonly min: number
  readonly max: number | undefined
  readonly poolMax: number
  readonly maxWaiters: number | undefined
  readonly idleTimeout: number
  readonly retireTimeout: number
  readonly acquireTimeout: number
  readonly connectionTTL: number | undefined
  readonly bufferSize: number
  readonly overflow: "fail" | "slide"
  readonly cancels: boolean
  readonly credits: boolean
  /** Whether connections may be clogged. */
  readonly narrow: boolean
  /** How often fibers yield. */
  readonly yields: number
  readonly seed: number
}

export interface Program {
  readonly setting: Setting
  readonly steps: ReadonlyArray<Step>
}

const which = fc.nat(30)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      step: fc.constant("request" as const),
      count: fc.constantFrom(1, 1, 2, 5),
      patience: fc.constantFrom(0, 10, 500, 60_000, 60_000)
    })
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("bad" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant("stream" as const),
      take: fc.constantFrom(1, 3, 100),
      pace: fc.constantFrom(0, 0, 100),
      exclusive: fc.constantFrom(false, false, true)
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant("pinned" as const),
      count: fc.nat(4),
      millis: fc.constantFrom(10, 3000)
    })
  },
  {
    weight: 4,
    arbitrary: fc.record({ step: fc.constant("interrupt" as const), who: which, turns: fc.nat(6) })
  },
  {
    weight: 10,
    arbitrary: fc.record({
      step: fc.constant("answer" as const),
      whom: fc.array(which, { minLength: 1, maxLength: 4 }),
      how: fc.constantFrom<Answer>("answer", "answer", "answer", "item", "item", "end", "fail")
    })
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("answerAll" as const) }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("cross" as const), who: which, turns: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("stray" as const), which, id: fc.integer({ max: 60 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      step: fc.constant("peer" as const),
      which,
      deed: fc.constantFrom<Deed>(
        "drop",
        "close",
        "refuse",
        "retire",
        "nonsense",
        "notice",
        "ask",
        "clog",
        "clog",
        "flush",
        "flush"
      )
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant("task" as const),
      which,
      count: fc.constantFrom(1, 1, 3),
      millis: fc.constantFrom(0, 100, 2000)
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("server" as const),
      mood: fc.constantFrom<Mood>("open", "open", "open", "slow", "hangs", "refuses", "slams")
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({ step: fc.constant("wait" as const), millis: fc.constantFrom(0, 1, 99, 500, 2000, 12_000) })
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("refresh" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("resize" as const), min: fc.nat(2), max: fc.integer({ min: 1, max: 4 }) })
  }
)

const setting: fc.Arbitrary<Setting> = fc.record({
  concurrency: fc.constantFrom(1, 2, 4),
  targetUtilization: fc.constantFrom(0.5, 1, 1),
  min: fc.constantFrom(0, 0, 1),
  max: fc.constantFrom(undefined, undefined, 1, 2),
  poolMax: fc.integer({ min: 1, max: 4 }),
  maxWaiters: fc.constantFrom(undefined, undefined, 0, 2),
  idleTimeout: fc.constantFrom(0, 1000, 10_000),
  retireTimeout: fc.constantFrom(500, 5000),
  acquireTimeout: fc.constantFrom(1000, 10_000),
  connectionTTL: fc.constantFrom(undefined, undefined, 20_000),
  bufferSize: fc.constantFrom(1, 3, 64),
  overflow: fc.constantFrom("fail" as const, "slide" as const),
  cancels: fc.boolean(),
  credits: fc.boolean(),
  narrow: fc.constantFrom(false, true),
  yields: fc.constantFrom(0, 0, 0.05),
  seed: fc.nat()
})

/** Programs of up to so many steps, before the end of which the multiplexer or its pool is closed now and then. */
export const program = (steps: number): fc.Arbitrary<Program> =>
  fc.record({
    setting,
    steps: fc
      .tuple(
        fc.array(step, { minLength: 1, maxLength: steps, size: "max" }),
        fc.nat(9),
        fc.array(step, { maxLength: 10 })
      )
      .map(([before, ends, after]) => {
        if (ends > 1) return before
        return [
          ...before,
          { step: "close" as const, what: ends === 0 ? ("pool" as const) : ("multiplexer" as const) },
          ...after
        ]
      })
  })
