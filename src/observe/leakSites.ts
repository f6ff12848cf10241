/** Frames that are taken of the stack, those of this library included. */
const frames = 6

/** The place where a lease was asked for: a stack, and how many frames of it are this library's. */
export interface Site {
  readonly error: Error
  readonly own: number
}

export const text = "The lease was taken"

/** Where the language's own objects are frozen the stack is as deep as it is. */
const isLimitWritable = Reflect.set(Error, "stackTraceLimit", Error.stackTraceLimit)

/** The stack, which is only made a text when somebody reads it. To take it costs about as much as a lease. */
const here = (): Error => {
  if (!isLimitWritable) return new Error(text)
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = frames
  const error = new Error(text)
  Error.stackTraceLimit = limit
  return error
}

/** The site of a call, below which are so many functions of this library. */
export const siteBelow = (own: number): Site => ({ error: here(), own: own + 2 }) // `here`, and this

/** Where the fiber that runs a program begins, and where this library calls itself: nothing below tells who did. */
const machinery =
  /\.next \(<anonymous>\)|effect_internal_function|node_modules[\\/](.*[\\/])?effect[\\/]|pool[\\/]accessors\.[jt]s/

export const framesOf = ({ error, own }: Site): string => {
  const lines = (error.stack ?? "").split("\n").slice(1 + own)
  const end = lines.findIndex((line) => machinery.test(line))
  return [`Error: ${text}`, ...(end === -1 ? lines : lines.slice(0, end))].join("\n")
}

// An accessor is called by the program; the service that it stands for only by the runtime, on whose stack nothing tells
// who that was. So the accessor takes the stack, and hands it to the service.

/** Whether there is, or was, a pool that looks for leaks. Before that no accessor takes a stack. */
let isWatched = false

export const watch = (): void => {
  isWatched = true
}

/** What an accessor is called by, if anybody wants to know; below it are so many functions of this library. */
export const siteOfAccessor = (own: number): Site | undefined =>
  isWatched ? { error: here(), own: own + 2 } : undefined

let announced: Site | undefined

/** Calls the service on behalf of a site. */
export const callFrom = <A>(site: Site, call: () => A): A => {
  announced = site
  try {
    return call()
  } finally {
    announced = undefined
  }
}

/** On whose behalf the service is called right now. */
export const takeAnnounced = (): Site | undefined => {
  const site = announced
  announced = undefined
  return site
}
