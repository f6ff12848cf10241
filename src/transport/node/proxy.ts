import { BlockList, isIP } from "node:net"
import * as Redacted from "#effect/Redacted"
import { kindOf } from "../../values/show.js"
import { withoutScheme } from "../../values/withoutScheme.js"
import type { Options } from "./options.js"

/** A proxy that makes tunnels. */
export interface Proxy {
  readonly isSecure: boolean
  readonly hostname: string
  readonly port: number
  /** What may be shown of it. */
  readonly name: string
  /** The value of `Proxy-Authorization`. */
  readonly authorization: string | undefined
  /** All of it: what no error may show. */
  readonly href: string
}

/** Which proxy leads to a server, if any. It throws when none can be told from what was given. */
export type ProxyOf = (target: string) => Proxy | undefined

/** Known to be a mistake of the caller's by its code. */
export const mistake = (message: string): Error =>
  Object.assign(new TypeError(message), { code: "ERR_INVALID_ARG_VALUE" })

const defaultPort = (protocol: string): number => (protocol === "https:" || protocol === "wss:" ? 443 : 80)

const portOf = ({ port, protocol }: URL): number => (port === "" ? defaultPort(protocol) : Number(port))

/** Without the brackets of an IPv6 address. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1")

/** As a tunnel is asked for, and as a proxy is named: always with its port. */
export const authority = (url: URL): string => `${url.hostname}:${portOf(url)}`

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** What names its option, for one that is wrong. */
const option = "the transport's option proxy"

const parse = (what: string, given: string): Proxy => {
  const allowed = `${what}: expected a URL that begins with http: or https:`
  const [, host] = withoutScheme.exec(given) ?? []
  if (host !== undefined) throw mistake(`${allowed}, got one without a scheme: did you mean http://${host}?`)
  let url: URL
  try {
    url = new URL(given)
  } catch {
    throw mistake(`${allowed}, got a text that cannot be parsed as one`)
  }
  const { password, protocol, username } = url
  if ((protocol !== "http:" && protocol !== "https:") || url.hostname === "") {
    // Any other text in this place may be a user name: "user:password@host" is a URL, too.
    const got = /^(socks[45]?[ah]?|wss?|ftp):$/.test(protocol) ? `, got one that begins with ${protocol}` : ""
    throw mistake(`${allowed}${got}${protocol.startsWith("socks") ? ", and SOCKS is not supported" : ""}`)
  }
  const credentials = `${decoded(username)}:${decoded(password)}`
  return {
    isSecure: protocol === "https:",
    hostname: hostOf(url),
    port: portOf(url),
    name: authority(url),
    authorization: credentials === ":" ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`,
    href: given
  }
}

/** A variable in lower case goes before the one in upper case, as in curl; an empty one is as good as none. */
const variable = (name: string): readonly [name: string, value: string] | undefined => {
  for (const each of [name.toLowerCase(), name]) {
    const value = process.env[each]?.trim() ?? ""
    if (value !== "") return [each, value]
  }
  return undefined
}

const fromEnvironment: ProxyOf = (url) => {
  const target = new URL(url)
  const found = variable(target.protocol === "wss:" ? "HTTPS_PROXY" : "HTTP_PROXY")
  if (found === undefined || isExempt(target, variable("NO_PROXY")?.[1] ?? "")) return undefined
  const [name, value] = found
  // A proxy named there without a scheme is common, and means http:.
  return parse(`${option} reads ${name}`, value.includes("://") ? value : `http://${value}`)
}

/** Whether a list such as `NO_PROXY` names the server. */
export const isExempt = (target: URL, list: string): boolean => {
  const host = hostOf(target).toLowerCase().replace(/\.$/, "")
  const port = String(portOf(target))
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => names(entry, host, port))
}

const names = (entry: string, host: string, port: string): boolean => {
  if (entry === "*") return true
  if (isIP(host) !== 0 && entry.includes("/")) return isWithin(host, entry)
  const [, bracketed, plain, entryPort] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? []
  // An IPv6 address without brackets has no port behind it.
  const name = bracketed ?? plain ?? entry
  if (entryPort !== undefined && entryPort !== port) return false
  if (isIP(name) === 6 && isIP(host) === 6) return isWithin(host, `${name}/128`)
  const domain = name.replace(/^\*?\./, "").replace(/\.$/, "")
  return domain !== "" && (host === domain || (isIP(host) === 0 && host.endsWith(`.${domain}`)))
}

/** Whether an address belongs to a network such as `10.0.0.0/8`. */
const isWithin = (address: string, network: string): boolean => {
  const [base = "", bits = ""] = network.replace(/[[\]]/g, "").split("/")
  const family = isIP(base)
  const longest = family === 4 ? 32 : 128
  if (family === 0 || family !== isIP(address) || !/^\d{1,3}$/.test(bits) || Number(bits) > longest) return false
  const type = family === 4 ? "ipv4" : "ipv6"
  const list = new BlockList()
  list.addSubnet(base, Number(bits), type)
  return list.check(address, type)
}

/** Reads the option `proxy`. What is wrong with it shows when somebody connects. */
export const decode = ({ proxy }: Pick<Options, "proxy">): ProxyOf | undefined => {
  if (proxy === undefined) return undefined
  const given: unknown = Redacted.isRedacted(proxy) ? Redacted.value(proxy) : proxy
  if (given === "environment") return fromEnvironment
  let parsed: Proxy | undefined
  return () => {
    if (typeof given !== "string" && !(given instanceof URL)) {
      throw mistake(`${option}: expected a URL that begins with http: or https:, got ${kindOf(given)}`)
    }
    parsed ??= parse(option, String(given))
    return parsed
  }
}
