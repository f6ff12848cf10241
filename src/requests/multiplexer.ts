import { environment, interrupt, random, streamOf } from "#dialect"
import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import type * as Types from "#effect/Types"
import type { Problems } from "../options/problems.js"
import { WebSocketPool } from "../pool/api.js"
import { backstage } from "../pool/service.js"
import type { AcquireError, LaggedError } from "../values/errors.js"
import type { Multiplexer, MultiplexerStats, Options, RequestError, StreamOptions, WideCodec } from "./api.js"
import { type Call, RequestCall, StreamCall, streamEnd, TellCall } from "./call.js"
import { sharerOf, statsOf } from "./figures.js"
import { type Estate, Home } from "./home.js"
import type { OnNotice } from "./notices.js"
import { decode, decodeStream } from "./settings.js"
import { Tally } from "./tally.js"

/** The calls of one home, and its views. */
export class MultiplexerImpl<Request, Item, E> implements Multiplexer<Request, Item, E> {
  constructor(
    readonly estate: Estate<Request, Item, E>,
    private readonly home: Home<Request, Item, E>
  ) {}

  /** Until when a call that begins now may wait for a place. */
  get deadline(): number {
    const { settings, timers } = this.estate.pool
    return timers.now() + settings.acquireTimeout
  }

  /** Begins a call of whoever stands on this, who ends or abandons it. */
  begin(call: Call<Request, Item, E>): void {
    this.estate.tally.requests += 1
    this.home.begin(call)
  }

  readonly request = (request: Request): Effect.Effect<Item, E | RequestError> =>
    this.call(() => new RequestCall<Request, Item, E>(request, this.deadline))

  /** Sends what nothing answers: done when the socket has taken it. */
  readonly tell = (request: Request): Effect.Effect<void, E | RequestError> =>
    this.call(() => new TellCall<Request, Item, E>(request, this.deadline))

  private call(make: () => RequestCall<Request, Item, E>): Effect.Effect<Item, E | RequestError> {
    return Effect.uninterruptibleMask((restore) => {
      const call = make()
      this.begin(call)
      return Effect.catchCause(restore(call.wait), (cause) => {
        // If it has failed by itself there is nothing to give up.
        call.abandon()
        return Effect.failCause(cause)
      })
    })
  }

  readonly stream = (request: Request, options?: StreamOptions): Stream.Stream<Item, E | RequestError | LaggedError> =>
    Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(
          Effect.suspend(() => this.open(request, options)),
          ({ close }) => Effect.sync(close)
        ),
        ({ call }) =>
          // Behind the last item there is no error.
          streamOf(
            call.take,
            (error) => error === streamEnd,
            () => false
          ) as Stream.Stream<Item, E | RequestError | LaggedError>
      )
    )

  private open(
    request: Request,
    options: StreamOptions | undefined
  ): Effect.Effect<{ readonly call: StreamCall<Request, Item, E>; readonly close: () => void }> {
    const settings = decodeStream(options, this.estate.settings)
    if (settings instanceof TypeError) return Effect.die(settings)
    const call = new StreamCall<Request, Item, E>(request, this.deadline, settings.bufferSize, settings.overflow)
    this.estate.tally.requests += 1
    const own = options?.exclusive === true && !this.home.isClosing
    const home = own ? new Home(this.estate, { _tag: "Exclusive" }) : this.home
    home.begin(call)
    return Effect.succeed({
      call,
      close: () => {
        call.abandon()
        if (own) home.close()
      }
    })
  }

  readonly pinned: Effect.Effect<Multiplexer<Request, Item, E>, AcquireError, Scope.Scope> = Effect.uninterruptibleMask(
    (restore) =>
      Effect.flatMap(Effect.scope, (scope) => {
        if (this.home.isClosing) return this.home.poolClosed()
        return Effect.flatMap(this.estate.pool.rent(restore, this.deadline), (tenancy) => {
          if (this.home.isClosing) {
            tenancy.release(false)
            return this.home.poolClosed()
          }
          const home = new Home(this.estate, { _tag: "Pinned", tenancy })
          home.start()
          return Effect.as(
            Scope.addFinalizer(
              scope,
              Effect.sync(() => home.close())
            ),
            new MultiplexerImpl(this.estate, home)
          )
        })
      })
  )

  readonly stats: Effect.Effect<MultiplexerStats> = Effect.sync(() => statsOf(this.estate))
}

/** Over the pool behind a tag. */
export const make = <Request, Item, E = never, R = never, Pool = WebSocketPool>(
  options: Options<Request, Item, E, R, Pool>
): Effect.Effect<Multiplexer<Request, Item, E>, Config.ConfigError, Types.NoInfer<Pool | R> | Scope.Scope> =>
  // Without options there is no codec either; whoever decodes them says so.
  makeWide({
    options,
    codec: (options as typeof options | undefined)?.codec as typeof options.codec,
    who: "Multiplexer",
    own: ["codec"]
  })

/** What stands on a multiplexer gives its own codec. */
export interface Wide<Request, Item, E, R, Pool> {
  readonly options: Omit<Options<never, unknown, unknown, R, Pool>, "codec">
  readonly codec: (connection: object) => WideCodec<Request, Item, E>
  readonly listen?: Estate<Request, Item, E>["listen"]
  /** Whose options they are, and which it has besides. */
  readonly who: string
  readonly own: ReadonlyArray<string>
  /** Which options of a multiplexer it has not. */
  readonly without?: ReadonlyArray<string>
  readonly problems?: Problems
}

export const makeWide = <Request, Item, E, R, Pool>({
  codec,
  listen,
  options,
  own,
  problems,
  who,
  without
}: Wide<Request, Item, E, R, Pool>): Effect.Effect<
  MultiplexerImpl<Request, Item, E>,
  Config.ConfigError,
  Types.NoInfer<Pool | R> | Scope.Scope
> =>
  // Nothing may come between the first lease and the finaliser that ends it.
  Effect.uninterruptible(
    Effect.gen(function* () {
      const settings = yield* decode(options, who, own, problems, without)
      const service = yield* (options.pool ?? WebSocketPool) as Context.Key<Pool, WebSocketPool>
      const pool = backstage(service)
      if (pool === undefined) {
        return yield* Effect.die(
          new TypeError(`${who} shares out the connections of a pool made by WebSocketPool only`)
        )
      }
      const { fork } = yield* environment<R>({ isQuiet: true })
      const vacancy = Deferred.makeUnsafe<void>()
      const homes = new Set<Home<Request, Item, E>>()
      const handlers = new Set<Fiber.Fiber<unknown, unknown>>()
      let isClosed = false
      const onEmpty = (): void => {
        if (!isClosed || homes.size > 0) return
        for (const fiber of handlers) interrupt(fiber)
        Deferred.doneUnsafe(vacancy, Effect.void)
      }
      const estate: Estate<Request, Item, E> = {
        settings,
        codec,
        listen,
        onNotice: options.onNotice as OnNotice | undefined,
        pool,
        tally: new Tally(),
        fork: fork as Estate<Request, Item, E>["fork"],
        random: yield* random,
        homes,
        handlers,
        onEmpty
      }
      const home = new Home(estate, { _tag: "Shared" })
      const sharer = sharerOf(estate)
      pool.sharers.add(sharer)
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          isClosed = true
          for (const one of Array.from(homes)) one.close()
          onEmpty()
          return Effect.map(Deferred.await(vacancy), () => {
            pool.sharers.delete(sharer)
          })
        })
      )
      home.start()
      return new MultiplexerImpl(estate, home)
    })
  )
