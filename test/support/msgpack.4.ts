/** Schemas that encode to MessagePack, for Effect 4, which has none: those of the example. */
export { msgPack } from "../../examples/msgpack.4.js"
