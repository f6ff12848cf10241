const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })

export const formatCount = (n: number): string => whole.format(n)

export const formatMillis = (n: number): string =>
  n < 1000 ? `${formatCount(n)} ms` : `${(n / 1000).toFixed(n < 9950 ? 2 : 1)} s`

export const formatBytes = (n: number): string => {
  if (n < 1000) return `${n} B`
  const power = Math.min(4, Math.floor(Math.log10(n) / 3))
  const value = n / 1000 ** power
  return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${["", "kB", "MB", "GB", "TB"][power]}`
}

const two = (n: number): string => String(n).padStart(2, "0")

export const formatAge = (millis: number): string => {
  const seconds = Math.max(0, millis) / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} m ${two(Math.floor(seconds % 60))} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${two(minutes % 60)} m`
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`
}

/** By the reader's clock. */
export const formatClock = (at: number): string => {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")
}

export const formatTime = (at: number): string =>
  `${formatClock(at)}.${String(new Date(at).getMilliseconds()).padStart(3, "0")}`
