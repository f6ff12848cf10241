/** Schemas that encode to MessagePack, for Effect 3. */
export { schema as msgPack } from "@effect/platform/MsgPack"
