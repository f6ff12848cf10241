/** Schemas of one kind, and what they say, for Effect 4. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"

export const tag = "SchemaError"

/** How an error shows what was there instead. */
export const instead = (kind: string): string => `got <${kind}`

/** A number to a number, by effects. */
export const byEffects = <R = never>(
  decode: (n: number) => Effect.Effect<number, never, R>,
  encode = decode
): Schema.Codec<number, number, R, R> =>
  Schema.Number.pipe(
    Schema.decodeTo(Schema.Number, {
      decode: SchemaGetter.transformEffect(decode),
      encode: SchemaGetter.transformEffect(encode)
    })
  )

/** A date, which is text in JSON. */
export const DateInText = Schema.DateFromString

export const Words = Schema.String.pipe(
  Schema.decodeTo(Schema.Array(Schema.String), {
    decode: SchemaGetter.split(),
    encode: SchemaGetter.transform((words: ReadonlyArray<string>) => words.join(","))
  })
)

export const NumberOrText = Schema.Union([Schema.Number, Schema.String])

export const longText = (length: number) => Schema.String.check(Schema.isMinLength(length))

export type AnySchema = Schema.Codec<unknown>

/** As what can be used with any value. */
export const any = <A, I>(schema: Schema.Codec<A, I>): AnySchema => schema as Schema.Top as AnySchema

/** What formatters make of an error. */
export const formatted = ({ issue }: Schema.SchemaError): ReadonlyArray<string> => [
  SchemaIssue.makeFormatterDefault()(issue),
  JSON.stringify(SchemaIssue.makeFormatterStandardSchemaV1()(issue))
]

export interface Tree {
  readonly value: number
  readonly left?: Tree | undefined
}
export const Tree = Schema.Struct({
  value: Schema.Number,
  left: Schema.optional(Schema.suspend((): Schema.Codec<Tree> => Tree))
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
  receive: Schema.Codec<A, I>,
  value: unknown,
  says: string,
  message: Case["message"] = JSON.stringify(value)
): Case => ({ name, receive: any(receive), message, says })

const quoting = (value: unknown) => `it must not be ${JSON.stringify(value)}`

const refusal = (value: unknown) =>
  new SchemaIssue.InvalidValue({ message: quoting(value) }, value, { reportInput: true })

/** A number in text that is not read as one. */
const fromText = (decode: (text: string) => Effect.Effect<number, SchemaIssue.Issue>) =>
  Schema.String.pipe(
    Schema.decodeTo(Schema.Number, {
      decode: SchemaGetter.transformEffect(decode),
      encode: SchemaGetter.transform(String)
    })
  )

/** Messages that hold a secret and do not match. */
export const mismatches = (secret: string): ReadonlyArray<Case> => [
  of(
    "a string for a number",
    Schema.Struct({ a: Schema.Number }),
    { a: secret },
    'Expected number, got <string>\n  at ["a"]'
  ),
  of("a string for a literal", Schema.Struct({ a: Schema.Literal("x") }), { a: secret }, 'Expected "x", got <string>'),
  of(
    "an object for a string",
    Schema.Array(Schema.String),
    ["", { secret }],
    "Expected string, got <object>\n  at [1]"
  ),
  of("an array", Schema.String, [secret], "Expected string, got <array>"),
  of("something else than null", Schema.Null, secret, "Expected null, got <string>"),
  of("text that is not JSON", Schema.String, 0, "Expected JSON", `{"a": ${secret}`),
  of("nothing", Schema.String, 0, "Expected JSON", ""),
  of("binary that is not UTF-8", Schema.String, 0, "not UTF-8", Uint8Array.of(0x22, 0xff, 0x22)),
  of("a number in text", Schema.Struct({ a: Schema.FiniteFromString }), { a: secret }, '["a"]'),
  of("a date", Schema.Struct({ a: Schema.DateFromString }), { a: secret }, '["a"]'),
  of("a pattern", Schema.Struct({ a: Schema.String.check(Schema.isPattern(/^\d+$/)) }), { a: secret }, '["a"]'),
  of("a length", Schema.Struct({ a: Schema.String.check(Schema.isMaxLength(2)) }), { a: secret }, "at most 2"),
  of("a missing key", Schema.Struct({ a: Schema.Number, b: Schema.String }), { b: secret }, 'Missing key\n  at ["a"]'),
  of(
    "a key too many",
    Schema.StructWithRest(Schema.Struct({ a: Schema.Number }), [
      Schema.Record(Schema.TemplateLiteral(["s", Schema.String]), Schema.Never)
    ]),
    { a: 1, [secret]: secret },
    'at ["<key>"]'
  ),
  of(
    "a key of a record",
    Schema.Struct({ prices: Schema.Record(Schema.String, Schema.Struct({ eur: Schema.Number })) }),
    { prices: { [secret]: { eur: secret } } },
    '["eur"]'
  ),
  of(
    "a union",
    Schema.Union([
      Schema.Struct({ _tag: Schema.Literal("A"), a: Schema.Number }),
      Schema.Struct({ _tag: Schema.Literal("B"), b: Schema.Number })
    ]),
    { _tag: "B", b: secret },
    '["b"]'
  ),
  of("a recursive schema", Tree, { value: 1, left: { value: 2, left: { value: secret } } }, '["value"]'),
  of("a map", Schema.Array(Schema.Tuple([Schema.String, Schema.Number])), [[secret, secret]], "[1]"),
  of(
    "a class",
    class Person extends Schema.Class<Person>("Person")({ name: Schema.Number }) {},
    { name: secret },
    '["name"]'
  ),
  of(
    "a filter that quotes",
    Schema.Struct({ a: Schema.String.check(Schema.makeFilter((value) => quoting(value))) }),
    { a: secret },
    '["a"]'
  ),
  of(
    "a filter with a path",
    Schema.Struct({ a: Schema.String, b: Schema.String }).check(
      Schema.makeFilter(({ a }) => ({ path: ["b"], issue: quoting(a) }))
    ),
    { a: secret, b: "" },
    '["b"]'
  ),
  of(
    "a transformation that quotes",
    Schema.Struct({ a: fromText((value) => Effect.fail(refusal(value))) }),
    { a: secret },
    '["a"]'
  ),
  of(
    "a message that knows no value",
    Schema.Struct({ a: Schema.Number.annotate({ message: "Tell the number of seats" }) }),
    { a: secret },
    'Tell the number of seats\n  at ["a"]'
  ),
  of(
    "a schema that throws",
    fromText((value) => {
      throw new RangeError(value)
    }),
    secret,
    "Decoding <string> threw RangeError"
  ),
  of(
    "a schema that dies",
    fromText((value) => Effect.andThen(Effect.yieldNow, Effect.die(new TypeError(value)))),
    secret,
    "Decoding <string> threw TypeError"
  ),
  of(
    "an effect that fails",
    fromText((value) => Effect.delay(Effect.fail(refusal(value)), 0)),
    secret,
    "<string>"
  )
]
