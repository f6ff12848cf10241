import { ADDRCONFIG, type LookupAddress, type LookupOptions, lookup as systemLookup } from "node:dns"
import { connect, isIP, type LookupFunction, type Socket } from "node:net"
import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import type { AttemptSockets } from "./sockets.js"

/** Where to, and how names are resolved on the way. */
export interface Destination {
  readonly host: string
  readonly port: number
  readonly family?: number | undefined
  readonly localAddress?: string | undefined
  readonly lookup?: LookupFunction | undefined
}

/** How long an address is tried before the next one is tried as well (RFC 8305, section 5). */
const connectionAttemptDelay = 250

/** The real one, whatever a test puts in its place later. */
const { nextTick } = process

const noAddress = (host: string): Error =>
  Object.assign(new Error(`the lookup of ${host} gave no usable address`), { code: "ENOTFOUND" })

/** The addresses of a host in the order in which they are tried. */
export const resolve = ({
  family = 0,
  host,
  lookup = systemLookup
}: Destination): Effect.Effect<ReadonlyArray<LookupAddress>, unknown> => {
  const known = isIP(host)
  if (known !== 0) return Effect.succeed([{ address: host, family: known }])
  // As `net.connect` does it: no addresses of a family that this machine has no address of.
  const hints = process.platform !== "win32" && family !== 4 && family !== 6 ? ADDRCONFIG : 0
  const options: LookupOptions = { all: true, family, hints }
  return callback((resume) => {
    const onAnswer = (error: Error | null, answer: unknown): void => {
      const addresses = error ? [] : inTurns(usable(answer))
      resume(addresses.length === 0 ? Effect.fail(error ?? noAddress(host)) : Effect.succeed(addresses))
    }
    try {
      ;(lookup as LookupFunction)(host, options, onAnswer)
    } catch (error) {
      resume(Effect.fail(error))
    }
  })
}

/** A `lookup` of the user's may answer with one address though it was asked for all. */
const usable = (answer: unknown): ReadonlyArray<LookupAddress> => {
  const given: ReadonlyArray<unknown> = Array.isArray(answer) ? answer : [{ address: answer }]
  const addresses = given.map((each) => String((each as Partial<LookupAddress> | null)?.address))
  return [...new Set(addresses)].flatMap((address) => {
    const family = isIP(address)
    return family === 0 ? [] : [{ address, family }]
  })
}

/** The families take turns, beginning with the one that the resolver prefers. */
const inTurns = (addresses: ReadonlyArray<LookupAddress>): ReadonlyArray<LookupAddress> => {
  const preferred = addresses.filter(({ family }) => family === addresses[0]?.family)
  const others = addresses.filter(({ family }) => family !== addresses[0]?.family)
  return Array.from({ length: Math.max(preferred.length, others.length) }, (_, at) => [
    ...preferred.slice(at, at + 1),
    ...others.slice(at, at + 1)
  ]).flat()
}

/**
 * Answers with what is known already. It takes its time, since whoever connects listens to the socket's errors only
 * from the next tick on.
 */
export const knownAs =
  ({ address, family }: LookupAddress): LookupFunction =>
  (_, { all }, callback) => {
    nextTick(() => (all === true ? callback(null, [{ address, family }]) : callback(null, address, family)))
  }

const ignore = (): void => {}

/** What all the addresses have failed with. */
const together = (errors: ReadonlyArray<unknown>): unknown =>
  errors.length === 1 ? errors[0] : new AggregateError(errors)

/** Connects to one of the addresses, and no further. */
export const connectTo =
  ({ localAddress, port }: Destination) =>
  ({ address, family }: LookupAddress): Socket =>
    connect({ host: address, family, port, ...(localAddress === undefined ? undefined : { localAddress }) })

/**
 * Connects to whichever address answers first (RFC 8305). Another one is tried every 250 ms, or at once when one has
 * failed; none is given up before one has connected. The losers are gone when it returns.
 */
export const race = (
  addresses: ReadonlyArray<LookupAddress>,
  open: (address: LookupAddress) => Socket,
  sockets: AttemptSockets
): Effect.Effect<Socket, unknown> =>
  Effect.suspend(() => {
    const errors: Array<unknown> = []
    const won: { socket?: Socket } = {}
    let tell = ignore
    const failed = (error: unknown): void => {
      errors.push(error)
      tell()
    }

    const start = (address: LookupAddress): void => {
      try {
        const socket = sockets.add(open(address))
        // It stays: whoever goes on with the socket listens only from then on.
        socket.on("error", ignore)
        socket.once("error", failed)
        socket.once("connect", () => {
          won.socket ??= socket
          tell()
        })
      } catch (error) {
        failed(error)
      }
    }

    /** How many of the failures have been followed by another attempt. */
    let followed = 0
    const news = callback<void>((resume) => {
      tell = () => resume(Effect.void)
      if (won.socket !== undefined || errors.length > followed) tell()
    })

    return Effect.gen(function* () {
      for (const [index, address] of addresses.entries()) {
        start(address)
        if (index === addresses.length - 1) break
        yield* Effect.timeoutOption(Effect.interruptible(news), connectionAttemptDelay)
        if (won.socket !== undefined) break
        followed = Math.min(followed + 1, errors.length)
      }
      while (won.socket === undefined && errors.length < addresses.length) {
        followed = errors.length
        yield* news
      }
      if (won.socket === undefined) return yield* Effect.fail(together(errors))
      yield* sockets.keepOnly(won.socket)
      return won.socket
    })
  })
