export type { ParseError as SchemaError } from "effect/ParseResult"
export * from "effect/Schema"
