/** What a `ConfigError` tells, for Effect 4. */
import * as Config from "effect/Config"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

export const isConfigError = (u: unknown): boolean => u instanceof Config.ConfigError

/** The options that an error names: each problem begins with its own on a line, the first one behind the pool's name. */
export const namesIn = ({ cause }: Config.ConfigError): ReadonlyArray<string> =>
  cause.message
    .replace(/^Pool "[^"]*": /, "")
    .split("\n")
    .flatMap((line) => {
      const at = /^ {2}at \["([^"]*)"\]/.exec(line)?.[1]
      return at ?? /^([\w.[\]"-]+): /.exec(line)?.[1] ?? []
    })

/** Whether something is missing, and nothing wrong. */
export const isMissing = ({ cause }: Config.ConfigError): boolean =>
  /^Pool "[^"]*": Expected \w+\n {2}at/.test(cause.message)

/** How an error shows what is wrong with an option, up to the end of the message if that is told. */
export const problemWith = (option: string, message: string): string => `${option}: ${message}`
export const endOf = (message: string): string => `${message})`
export const beginningFor = (pool: string): string => `ConfigError(Pool "${pool}": `

/** A list of texts, and one text that has to be this one. */
export const texts = (name: string) => Config.Array(Schema.String, name)
export const onlyText = <const Text extends string>(text: Text, name: string) => Config.Literal(text, name)

/** A layer for what it does. */
export const discard = <A, E, R>(layer: Layer.Layer<A, E, R>) => Layer.effectDiscard(Layer.build(layer))
