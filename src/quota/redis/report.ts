import * as Cause from "#effect/Cause"
import * as Predicate from "#effect/Predicate"
import { QuotaUnavailableError } from "../../values/errors.js"
import type { Window } from "../options.js"

/** What a worker says of itself. All of it is as it is now: a report that is lost is made good by the next. */
export interface Report {
  readonly worker: string
  readonly seq: number
  readonly held: number
  readonly want: number
  readonly back: number
  readonly spare: number
  readonly trying: number
  /** Since the start: attempts that ended, permits given back, grants taken. */
  readonly tried: number
  readonly given: number
  readonly granted: number
  /** How many of the engine's asks have been seen, and are not yet paid. */
  readonly askedIdle: number
  readonly askedLeased: number
  readonly owed: number
  /** How many of these were idle, and close. */
  readonly owedIdle: number
  /** Whether none of its leases can be promised now. */
  readonly isUnable: boolean
  /** How many permits are older than `turn`. */
  readonly old: number
  readonly refused: number
  readonly retryAfter: number | undefined
  readonly well: number
  readonly epoch: string
  readonly version: number
  /** How long ago attempts ended that may still count: for an engine that has forgotten them. */
  readonly ages: ReadonlyArray<number>
  readonly isLast: boolean
  /** What it knows of the limits: for an engine that has forgotten them. */
  readonly latest: Pick<Answer, "limit" | "windows" | "limitsOf"> | undefined
  readonly limit: number | undefined
  readonly windows: ReadonlyArray<Window> | undefined
  readonly pause: number
  readonly counts: boolean
}

/** What every report carries, so that the first one can begin the quota. */
export interface Terms {
  readonly keys: ReadonlyArray<string>
  /** With the worker's name behind it: where it listens. Clients may add something to keys, and not to channels. */
  readonly channel: string
  readonly ttl: number
  readonly recovery: number
  readonly settle: number
  readonly reclaim: string
  readonly connections: number
  readonly windows: ReadonlyArray<Window>
}

const shownLimit = (limit: number): string => (Number.isFinite(limit) ? String(limit) : "-1")

export const shownWindows = (windows: ReadonlyArray<Window>): string =>
  windows.map(({ limit, millis }) => `${limit}:${Math.ceil(millis)}`).join(",")

/**
 * The keys and arguments of the script, in its order. Each argument costs the engine more than what stands in it: they
 * are few. `isFresh`: the engine did not know the script.
 */
export const argsOf = (report: Report, terms: Terms, isFresh: boolean): ReadonlyArray<string> => [
  String(terms.keys.length),
  ...terms.keys,
  report.worker,
  `${whichOf(report, isFresh).join(" ")} ${numbersOf(report).join(" ")}`,
  termsOf(terms, report.latest),
  wishesOf(report),
  report.ages.map((age) => String(Math.max(Math.floor(age), 0))).join(","),
  terms.channel
]

/** Which report it is. */
const whichOf = ({ counts, epoch, isLast, seq, version }: Report, isFresh: boolean): ReadonlyArray<number | string> => [
  ...[seq, version],
  ...[isFresh, isLast, counts].map(Number),
  epoch
]

/** What it says: most often the same as the one before. */
const numbersOf = (report: Report): ReadonlyArray<number> => [
  ...[report.held, report.want, report.back, report.spare, report.trying],
  ...[report.tried, report.given, report.granted],
  ...[report.askedIdle, report.askedLeased, report.owed, report.owedIdle, Number(report.isUnable)],
  ...[report.old, report.refused, Math.ceil(report.retryAfter ?? -1), report.well]
]

const termsOf = (terms: Terms, latest: Report["latest"]): string =>
  [
    ...[terms.ttl, terms.recovery, terms.settle].map(Math.ceil),
    terms.reclaim,
    shownLimit(latest?.limit ?? terms.connections),
    latest?.windows ?? shownWindows(terms.windows),
    latest?.limitsOf ?? ""
  ].join(" ")

/** What an engine can still count with, in milliseconds: for ever. */
const longestPause = 2 ** 50

/** Nothing, most often. */
const wishesOf = ({ limit, pause, windows }: Report): string =>
  limit === undefined && windows === undefined && pause <= 0
    ? ""
    : [
        limit === undefined ? "" : shownLimit(limit),
        windows === undefined ? "-" : shownWindows(windows),
        Math.min(Math.ceil(pause), longestPause)
      ].join(" ")

/** What the engine answers. */
export interface Answer {
  readonly epoch: string
  readonly version: number
  readonly seq: number
  readonly allotment: number
  readonly askedIdle: number
  readonly askedLeased: number
  readonly limit: number
  readonly used: number
  readonly waiting: number
  readonly workers: number
  /** For how long nothing is granted, since the engine recovers or is paused. */
  readonly recovering: number
  readonly paused: number
  /** When to ask again, and how many are before. */
  readonly wait: number
  readonly rank: number
  readonly connects: ReadonlyArray<number> | undefined
  /** The windows, as the engine keeps them. */
  readonly windows: string
  /** When the limits were set: later ones sort behind. */
  readonly limitsOf: string
}

export const answerOf = (reply: unknown): Answer | undefined => {
  if (!Array.isArray(reply) || reply.length < 17) return undefined
  const [epoch, ...rest] = reply.map(String)
  const counts = rest[13] ?? ""
  const at = (index: number): number => Number(rest[index])
  const limit = at(5)
  return {
    epoch: epoch ?? "",
    version: at(0),
    seq: at(1),
    allotment: at(2),
    askedIdle: at(3),
    askedLeased: at(4),
    limit: limit < 0 ? Number.POSITIVE_INFINITY : limit,
    used: at(6),
    waiting: at(7),
    workers: at(8),
    recovering: at(9),
    paused: at(10),
    wait: at(11),
    rank: at(12),
    connects: counts === "" ? undefined : counts.split(",").map(Number),
    windows: rest[14] ?? "",
    limitsOf: rest[15] ?? ""
  }
}

/** The engine answered within no time. */
export class NoAnswer {
  readonly _tag = "NoAnswer"
}

export const isMissingScript = (error: unknown): boolean => /^NOSCRIPT\b/.test(textOf(error))

const textOf = (error: unknown): string =>
  Predicate.hasProperty(error, "message") && typeof error.message === "string" ? error.message : String(error)

/** An error reply begins with a word in capitals. */
const isReply = (error: unknown, text: string): boolean =>
  /^[A-Z][A-Z]+\b/.test(text) && !/^E[A-Z]+\b/.test(text)
    ? true
    : Predicate.hasProperty(error, "name") && error.name === "ReplyError"

/**
 * What went wrong, without what clients put into their errors: a command with its arguments, or a URL with its user. A
 * cause of its own takes the place of theirs.
 */
export const unavailable = (quota: string, error: unknown): QuotaUnavailableError => {
  if (error instanceof NoAnswer) {
    return new QuotaUnavailableError({ quota, reason: "Timeout", cause: new Error("commandTimeout has passed") })
  }
  if (error instanceof QuotaUnavailableError) return error
  const parts = Predicate.hasProperty(error, "errors") && Array.isArray(error.errors) ? error.errors : []
  const text = textOf(error) || parts.map(textOf).join("; ")
  const cause = new Error(text.replace(/\/\/[^/@\s]*@/g, "//"))
  return new QuotaUnavailableError({ quota, reason: isReply(error, text) ? "Refused" : "Network", cause })
}

/** Why a report has failed. */
export const errorIn = (quota: string, cause: Cause.Cause<QuotaUnavailableError>): QuotaUnavailableError => {
  const failure = Cause.findErrorOption(cause)
  return failure._tag === "Some" ? failure.value : unavailable(quota, Cause.squash(cause))
}
