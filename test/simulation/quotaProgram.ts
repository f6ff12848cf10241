import fc from "fast-check"

/** What happens to the next report of a worker. One that is sent again is answered the second time. */
export type ReportMood = "lost" | "unheard" | "lateAnswer" | "late" | "twice" | "again" | "slow"

/** One step of a program. Whoever is meant by `who` is taken from those who are there. */
export type Step =
  | {
      readonly step: "want"
      readonly who: number
      readonly urgency: "waiter" | "background"
      readonly count: number
    }
  | { readonly step: "cancel"; readonly who: number; readonly which: number }
  /** The oldest attempt ends. */
  | { readonly step: "end"; readonly who: number; readonly how: "well" | "failed" | "refused" | "heldOff" }
  /** A lease ends: its connection idles, or is closed. */
  | { readonly step: "release"; readonly who: number; readonly how: "idle" | "close" }
  /** An idle connection is used again, or ends. */
  | { readonly step: "idle"; readonly who: number; readonly how: "lease" | "close" }
  | { readonly step: "wait"; readonly millis: number }
  /** `after` how many milliseconds it comes that is late, or comes once more: by default by chance. */
  | { readonly step: "report"; readonly who: number; readonly mood: ReportMood; readonly after?: number }
  | { readonly step: "message"; readonly who: number; readonly mood: "lost" | "late"; readonly after?: number }
  | { readonly step: "cut"; readonly who: number; readonly millis: number }
  | { readonly step: "kill"; readonly who: number }
  /** With permits that it has not given back itself. */
  | { readonly step: "leave"; readonly who: number; readonly isCareless: boolean }
  | { readonly step: "enter" }
  | { readonly step: "forget"; readonly key: number }
  | { readonly step: "flush" | "save" }
  | { readonly step: "restore"; readonly restarts: boolean }
  | { readonly step: "restart"; readonly millis: number; readonly keeps: boolean }
  /** Nobody reaches the engine, which goes on. */
  | { readonly step: "away"; readonly millis: number }
  | { readonly step: "resize"; readonly who: number; readonly limit: number }
  | { readonly step: "pause"; readonly who: number; readonly millis: number }

export interface Setting {
  readonly engine: "memory" | "redis"
  readonly workers: number
  readonly limit: number
  readonly windows: ReadonlyArray<{ readonly limit: number; readonly window: number }>
  readonly settle: number
  readonly reclaim: "fair" | "idle" | "none"
  readonly turn: number
  readonly unreachable: number
  readonly onLapse: "keep" | "idle" | "close"
  /** By how many milliseconds the clock of each worker is off. */
  readonly clocks: ReadonlyArray<number>
  readonly seed: number
  readonly commandTimeout?: number
}

export interface Program {
  readonly setting: Setting
  readonly steps: ReadonlyArray<Step>
}

const who = fc.nat(5)

const wants = fc.record({
  step: fc.constant("want" as const),
  who,
  urgency: fc.constantFrom("waiter" as const, "waiter" as const, "waiter" as const, "background" as const),
  count: fc.constantFrom(1, 1, 1, 2, 3)
})

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 14, arbitrary: wants },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("cancel" as const), who, which: fc.nat(3) }) },
  {
    weight: 14,
    arbitrary: fc.record({
      step: fc.constant("end" as const),
      who,
      how: fc.oneof(
        { weight: 12, arbitrary: fc.constant("well" as const) },
        { weight: 2, arbitrary: fc.constant("failed" as const) },
        { weight: 1, arbitrary: fc.constantFrom("refused" as const, "heldOff" as const) }
      )
    })
  },
  {
    weight: 12,
    arbitrary: fc.record({ step: fc.constant("release" as const), who, how: fc.constantFrom("idle", "close") })
  },
  {
    weight: 3,
    arbitrary: fc.record({ step: fc.constant("idle" as const), who, how: fc.constantFrom("lease", "close") })
  },
  {
    weight: 16,
    arbitrary: fc.record({
      step: fc.constant("wait" as const),
      millis: fc.constantFrom(0, 1, 2, 5, 20, 50, 100, 300, 700)
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      step: fc.constant("report" as const),
      who,
      mood: fc.constantFrom<ReportMood>(
        "lost",
        "unheard",
        "unheard",
        "lateAnswer",
        "late",
        "late",
        "twice",
        "twice",
        "again",
        "slow"
      )
    })
  },
  {
    weight: 4,
    arbitrary: fc.record({ step: fc.constant("message" as const), who, mood: fc.constantFrom("lost", "late") })
  },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("cut" as const), who, millis: fc.constantFrom(150, 600, 1500) })
  },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.record({ step: fc.constant("kill" as const), who }),
      fc.record({ step: fc.constant("leave" as const), who, isCareless: fc.boolean() })
    )
  },
  { weight: 1, arbitrary: fc.constant({ step: "enter" as const }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("forget" as const), key: fc.nat(7) }) },
  {
    weight: 5,
    arbitrary: fc.oneof(
      fc.record({ step: fc.constantFrom("flush" as const, "save" as const, "save" as const) }),
      fc.record({ step: fc.constant("restore" as const), restarts: fc.boolean() }),
      fc.record({
        step: fc.constant("restart" as const),
        millis: fc.constantFrom(1, 100, 600, 1500),
        keeps: fc.boolean()
      }),
      fc.record({ step: fc.constant("away" as const), millis: fc.constantFrom(100, 600, 1500) })
    )
  },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("resize" as const), who, limit: fc.integer({ min: 1, max: 5 }) })
  },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("pause" as const), who, millis: fc.constantFrom(100, 900, 2500) })
  }
) as fc.Arbitrary<Step>

const hour = 3_600_000

const setting = (engine: Setting["engine"]): fc.Arbitrary<Setting> =>
  fc.record({
    engine: fc.constant(engine),
    workers: fc.integer({ min: 2, max: 5 }),
    limit: fc.constantFrom(1, 2, 3, 4, 4, Number.POSITIVE_INFINITY),
    windows: fc.constantFrom(
      [],
      [],
      [{ limit: 3, window: 1500 }],
      [
        { limit: 2, window: 400 },
        { limit: 4, window: 2000 }
      ]
    ),
    settle: fc.constantFrom(0, 0, 0, 250),
    reclaim: fc.constantFrom("fair" as const, "fair" as const, "fair" as const, "idle" as const, "none" as const),
    turn: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 600),
    unreachable: fc.constantFrom(0, 0, 0, 0, 2),
    onLapse: fc.constantFrom("keep" as const, "keep" as const, "idle" as const, "close" as const),
    clocks: fc.array(fc.constantFrom(0, 0, hour, -hour, 17), { minLength: 5, maxLength: 5 }),
    seed: fc.nat()
  })

/** Programs of up to so many steps. */
export const program =
  (engine: Setting["engine"]) =>
  (steps: number): fc.Arbitrary<Program> =>
    fc.record({ setting: setting(engine), steps: fc.array(step, { minLength: 1, maxLength: steps, size: "max" }) })
