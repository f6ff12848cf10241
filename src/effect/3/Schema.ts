export { isParseError as isSchemaError, ParseError as SchemaError } from "effect/ParseResult"
export * from "effect/Schema"
