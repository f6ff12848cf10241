import fc from "fast-check"

/** How an item is made. What dies or fails late takes a while before it does; what is stubborn cannot be interrupted. */
export type Making =
  | "instant"
  | "slow"
  | "stubborn"
  | "hangs"
  | "fails"
  | "failsLate"
  | "dies"
  | "diesLate"
  | "interrupts"

/** How an item is finalised. */
export type Finalising = "instant" | "slow" | "hangs" | "dies" | "diesLate"

/** A step that takes no time. */
export type Deed =
  | {
      readonly step: "lease"
      readonly mode: "get" | "use"
      /** How long the item is held; without end until it is told to let go. */
      readonly millis: number | undefined
      readonly end: "succeed" | "fail" | "die"
      /** Whether the holder invalidates what it holds. */
      readonly spoils: boolean
      /** Whether it refuses to be interrupted. */
      readonly stubborn: boolean
    }
  /** A holder lets go. */
  | { readonly step: "release"; readonly who: number; readonly how: "tell" | "interrupt" }
  /** One of those who wait is interrupted, so many turns later. */
  | { readonly step: "cancel"; readonly who: number; readonly turns: number }
  | { readonly step: "invalidate"; readonly which: number; readonly among: "idle" | "leased" | "strangers" }

/** One step of a program. */
export type Step =
  | Deed
  /** Nothing settles in between. */
  | { readonly step: "together"; readonly deeds: ReadonlyArray<Deed> }
  /** So many ask for leases at once, until they are told to let go. */
  | { readonly step: "rush"; readonly count: number }
  /** With all leased, a holder lets go, and one of the next in line is interrupted so many turns later. */
  | { readonly step: "cross"; readonly who: number; readonly other: number; readonly turns: number }
  /** How so many of the next items are made, or finalised; those before and after them are so at once. */
  | { readonly step: "making"; readonly how: Making; readonly times: number; readonly after: number }
  | { readonly step: "finalising"; readonly how: Finalising; readonly times: number }
  /** All holders that wait to be told let go at once. */
  | { readonly step: "relief" }
  /** What hangs goes on. */
  | { readonly step: "thaw" }
  | { readonly step: "wait"; readonly millis: number }
  | { readonly step: "close" }

/** The options that the pool is made with. */
export interface Setting {
  readonly constructor: "make" | "makeWithTTL"
  readonly min: number
  readonly max: number
  readonly concurrency: number
  readonly targetUtilization: number | undefined
  readonly timeToLive: number | undefined
  readonly strategy: "creation" | "usage" | undefined
  /** How the first items are made. */
  readonly making: Making
  /** How often fibers yield. */
  readonly yields: number
  readonly seed: number
}

export interface Program {
  readonly setting: Setting
  readonly steps: ReadonlyArray<Step>
}

const making = fc.constantFrom<Making>(
  "instant",
  "slow",
  "slow",
  "slow",
  "stubborn",
  "hangs",
  "fails",
  "fails",
  "failsLate",
  "failsLate",
  "dies",
  "diesLate",
  "interrupts"
)
const times = fc.constantFrom(1, 1, 2, 3, 20)
const turns = fc.nat(8)
const who = fc.nat(30)

const lease: fc.Arbitrary<Deed> = fc.record({
  step: fc.constant("lease" as const),
  mode: fc.constantFrom("get" as const, "use" as const),
  millis: fc.constantFrom(undefined, undefined, 0, 1, 50, 100),
  end: fc.constantFrom("succeed" as const, "succeed" as const, "fail" as const, "die" as const),
  spoils: fc.nat(9).map((n) => n === 0),
  stubborn: fc.nat(19).map((n) => n === 0)
})

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 10, arbitrary: lease },
  {
    weight: 10,
    arbitrary: fc.record({
      step: fc.constant("release" as const),
      who,
      how: fc.constantFrom("tell" as const, "tell" as const, "interrupt" as const)
    })
  },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("cancel" as const), who, turns }) },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("invalidate" as const),
      which: who,
      among: fc.constantFrom(
        "idle" as const,
        "idle" as const,
        "leased" as const,
        "leased" as const,
        "strangers" as const
      )
    })
  }
)

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 16, arbitrary: deed },
  {
    weight: 5,
    arbitrary: fc.record({
      step: fc.constant("together" as const),
      deeds: fc.array(deed, { minLength: 2, maxLength: 4 })
    })
  },
  { weight: 2, arbitrary: fc.record({ step: fc.constant("rush" as const), count: fc.integer({ min: 2, max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("cross" as const), who, other: who, turns }) },
  {
    weight: 5,
    arbitrary: fc.record({
      step: fc.constant("making" as const),
      how: making,
      times,
      after: fc.constantFrom(0, 0, 1, 1, 2)
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant("finalising" as const),
      how: fc.constantFrom<Finalising>("slow", "slow", "slow", "hangs", "dies", "diesLate"),
      times: fc.constantFrom(1, 1, 2)
    })
  },
  { weight: 3, arbitrary: fc.constant({ step: "relief" as const }) },
  { weight: 3, arbitrary: fc.constant({ step: "thaw" as const }) },
  {
    weight: 10,
    arbitrary: fc.record({
      step: fc.constant("wait" as const),
      millis: fc.constantFrom(0, 1, 10, 99, 100, 500, 2000, 12000)
    })
  }
)

/** An item that is over at once, and has to be there for nobody, is made again and again: that is what it says. */
const withoutEnd = ({ min, strategy, targetUtilization = 1, timeToLive }: Setting): boolean =>
  strategy === "creation" && timeToLive === 0 && (min > 0 || targetUtilization < 1)

const settings: fc.Arbitrary<Setting> = fc.record({
  constructor: fc.constantFrom("makeWithTTL" as const, "makeWithTTL" as const, "makeWithTTL" as const, "make" as const),
  min: fc.constantFrom(0, 0, 1, 2, 3, 5),
  max: fc.integer({ min: 1, max: 4 }),
  concurrency: fc.constantFrom(1, 1, 2, 3, 3),
  targetUtilization: fc.constantFrom(undefined, undefined, 1, 0.75, 0.5, 0.2),
  timeToLive: fc.constantFrom(undefined, 0, 100, 1000, 1000, 10_000),
  strategy: fc.constantFrom(undefined, "usage" as const, "creation" as const),
  making: fc.oneof(fc.constant("instant" as const), making),
  yields: fc.constantFrom(0, 0, 0.05),
  seed: fc.nat()
})

const setting = settings.map((one) => (withoutEnd(one) ? { ...one, timeToLive: 100 } : one))

/** Programs of up to so many steps, which end by closing the pool now and then before their end. */
export const program = (steps: number): fc.Arbitrary<Program> =>
  fc.record({
    setting,
    steps: fc
      .tuple(
        fc.array(step, { minLength: 1, maxLength: steps, size: "max" }),
        fc.nat(9),
        fc.array(step, { maxLength: 5 })
      )
      .map(([before, ends, after]) => (ends === 0 ? [...before, { step: "close" as const }, ...after] : before))
  })
