import * as Duration from "#effect/Duration"

/** The statuses whose `Retry-After` says when to come back. */
const statuses = new Set([408, 425, 429, 503])

export const mayWait = (status: number): boolean => statuses.has(status)

/** The three forms of an HTTP date: they begin with a day of the week, and are all in GMT. */
const httpDate = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? .*\d{2}:\d{2}:\d{2}/i

/** How long a `Retry-After` asks to wait, a number of seconds or a date; `undefined` if it says nothing of the future. */
export const parse = (field: string | undefined, now: number): Duration.Duration | undefined => {
  const value = field?.trim() ?? ""
  if (/^\d+$/.test(value)) return Duration.seconds(Number(value))
  if (!httpDate.test(value)) return undefined
  // One of the forms names no zone, which would make it a date of this machine's.
  const wait = Date.parse(/GMT$/i.test(value) ? value : `${value} GMT`) - now
  return wait >= 0 ? Duration.millis(wait) : undefined
}
