/** Schemas of one kind, and what they say, for Effect 3. */
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

export const tag = "ParseError"

/** How an error shows what was there instead. */
export const instead = (kind: string): string => `actual <${kind}`

/** A number to a number, by effects. */
export const byEffects = <R = never>(
  decode: (n: number) => Effect.Effect<number, never, R>,
  encode = decode
): Schema.Schema<number, number, R> => Schema.transformOrFail(Schema.Number, Schema.Number, { decode, encode })

/** A date, which is text in JSON. */
export const DateInText = Schema.Date

export const Words = Schema.split(",")

export const NumberOrText = Schema.Union(Schema.Number, Schema.String)

export const longText = (length: number) => Schema.String.pipe(Schema.minLength(length))

export type AnySchema = Schema.Schema<unknown>

/** As what can be used with any value. */
export const any = <A, I>(schema: Schema.Schema<A, I>): AnySchema =>
  schema as Schema.Schema.All as Schema.Schema<unknown>

/** What formatters make of an error. */
export const formatted = (error: ParseResult.ParseError): ReadonlyArray<string> => [
  ParseResult.TreeFormatter.formatErrorSync(error),
  JSON.stringify(ParseResult.ArrayFormatter.formatErrorSync(error))
]

export interface Tree {
  readonly value: number
  readonly left?: Tree | undefined
}
export const Tree = Schema.Struct({
  value: Schema.Number,
  left: Schema.optional(Schema.suspend((): Schema.Schema<Tree> => Tree))
})

export interface Case {
  readonly name: string
  readonly receive: AnySchema
  readonly message: string | Uint8Array
  /** What its message has to say. */
  readonly says: string
}

const of = <A, I>(
  name: string,
  receive: Schema.Schema<A, I>,
  value: unknown,
  says: string,
  message: Case["message"] = JSON.stringify(value)
): Case => ({ name, receive: any(receive), message, says })

const quoting = (value: unknown) => `it must not be ${JSON.stringify(value)}`

/** Messages that hold a secret and do not match. */
export const mismatches = (secret: string): ReadonlyArray<Case> => [
  of(
    "a string for a number",
    Schema.Struct({ a: Schema.Number }),
    { a: secret },
    '["a"]\n   └─ Expected number, actual <string>'
  ),
  of(
    "a string for a literal",
    Schema.Struct({ a: Schema.Literal("x") }),
    { a: secret },
    'Expected "x", actual <string>'
  ),
  of(
    "an object for a string",
    Schema.Array(Schema.String),
    ["", { secret }],
    "[1]\n   └─ Expected string, actual <object>"
  ),
  of("an array", Schema.String, [secret], "Expected string, actual <array>"),
  of("something else than null", Schema.Null, secret, "Expected null, actual <string>"),
  of("text that is not JSON", Schema.String, 0, "Expected JSON", `{"a": ${secret}`),
  of("nothing", Schema.String, 0, "Expected JSON", ""),
  of("binary that is not UTF-8", Schema.String, 0, "not UTF-8", Uint8Array.of(0x22, 0xff, 0x22)),
  of("a number in text", Schema.Struct({ a: Schema.NumberFromString }), { a: secret }, '["a"]'),
  of("a date", Schema.Struct({ a: Schema.Date }), { a: secret }, '["a"]'),
  of("a pattern", Schema.Struct({ a: Schema.String.pipe(Schema.pattern(/^\d+$/)) }), { a: secret }, '["a"]'),
  of("a length", Schema.Struct({ a: Schema.String.pipe(Schema.maxLength(2)) }), { a: secret }, "at most 2"),
  of("a missing key", Schema.Struct({ a: Schema.Number, b: Schema.String }), { b: secret }, '["a"]\n   └─ is missing'),
  of(
    "a key too many",
    Schema.Struct({ a: Schema.Number }).annotations({ parseOptions: { onExcessProperty: "error" } }),
    { a: 1, [secret]: secret },
    '["<key>"]\n   └─ is unexpected'
  ),
  of(
    "a key of a record",
    Schema.Struct({ prices: Schema.Record({ key: Schema.String, value: Schema.Struct({ eur: Schema.Number }) }) }),
    { prices: { [secret]: { eur: secret } } },
    '["eur"]'
  ),
  of(
    "a union",
    Schema.Union(
      Schema.Struct({ _tag: Schema.Literal("A"), a: Schema.Number }),
      Schema.Struct({ _tag: Schema.Literal("B"), b: Schema.Number })
    ),
    { _tag: "B", b: secret },
    '["b"]'
  ),
  of("a recursive schema", Tree, { value: 1, left: { value: 2, left: { value: secret } } }, '["value"]'),
  of("a map", Schema.Map({ key: Schema.String, value: Schema.Number }), [[secret, secret]], "[1]"),
  of(
    "a class",
    class Person extends Schema.Class<Person>("Person")({ name: Schema.Number }) {},
    { name: secret },
    '["name"]'
  ),
  of(
    "a filter that quotes",
    Schema.Struct({ a: Schema.String.pipe(Schema.filter((value) => quoting(value))) }),
    { a: secret },
    '["a"]'
  ),
  of(
    "a filter with a path",
    Schema.Struct({ a: Schema.String, b: Schema.String }).pipe(
      Schema.filter(({ a }) => ({ path: ["b"], message: quoting(a) }))
    ),
    { a: secret, b: "" },
    '["b"]'
  ),
  of(
    "a transformation that quotes",
    Schema.Struct({
      a: Schema.transformOrFail(Schema.String, Schema.Number, {
        decode: (value, _, ast) => ParseResult.fail(new ParseResult.Type(ast, value, quoting(value))),
        encode: () => ParseResult.succeed("")
      })
    }),
    { a: secret },
    '["a"]'
  ),
  of(
    "a message that knows no value",
    Schema.Struct({ a: Schema.Number.annotations({ message: () => "Tell the number of seats" }) }),
    { a: secret },
    '["a"]\n   └─ Tell the number of seats'
  ),
  of(
    "a message that quotes",
    Schema.Struct({ a: Schema.Number.annotations({ message: ({ actual }) => `no number: ${actual}` }) }),
    { a: secret },
    '["a"]\n   └─ no number: <string>'
  ),
  of(
    "a message that cannot do without a value",
    Schema.Struct({ a: Schema.Number.annotations({ message: ({ actual }) => String(actual).repeat(-1) }) }),
    { a: secret },
    '["a"]\n   └─ <string> does not match'
  ),
  of(
    "a message that takes its time",
    Schema.Struct({ a: Schema.Number.annotations({ message: () => Effect.delay(Effect.succeed(""), "1 second") }) }),
    { a: secret },
    '["a"]\n   └─ <string> does not match'
  ),
  of(
    "a schema that throws",
    Schema.transform(Schema.String, Schema.Number, {
      decode: (value) => {
        throw new RangeError(value)
      },
      encode: String
    }),
    secret,
    "Decoding <string> threw RangeError"
  ),
  of(
    "a schema that dies",
    Schema.transformOrFail(Schema.String, Schema.Number, {
      decode: (value) => Effect.andThen(Effect.yieldNow(), Effect.die(new TypeError(value))),
      encode: () => ParseResult.succeed("")
    }),
    secret,
    "Decoding <string> threw TypeError"
  ),
  of(
    "an effect that fails",
    Schema.transformOrFail(Schema.String, Schema.Number, {
      decode: (value, _, ast) => Effect.delay(ParseResult.fail(new ParseResult.Type(ast, value, quoting(value))), 0),
      encode: () => ParseResult.succeed("")
    }),
    secret,
    "actual <string>"
  )
]
