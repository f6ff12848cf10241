import type { Overview } from "../wire.js"
import { byId, element, find, setText } from "./dom.js"
import { formatCount } from "./format.js"

let buttons: ReadonlyArray<HTMLElement> = []

/** The one in the page's address, which is where the choice is kept. */
export const chosenPool = (): number => Number(new URLSearchParams(location.search).get("pool")) || 0

const keepChoice = (index: number): void => {
  const url = new URL(location.href)
  url.searchParams.set("pool", String(index))
  history.replaceState(null, "", url)
}

const makeButton = (index: number, onChoice: () => void): HTMLElement => {
  const button = element("button", "", element("b", ""), element("small", ""))
  button.setAttribute("type", "button")
  button.addEventListener("click", () => {
    if (index === chosenPool()) return
    keepChoice(index)
    onChoice()
  })
  return button
}

const say = ({ busy, isOut, maxConnections, state, waiting }: Overview): string => {
  if (state !== "open") return state
  if (isOut) return "cannot reach the server"
  const inUse = `${formatCount(busy)} of ${formatCount(maxConnections)} in use`
  return waiting === 0 ? inUse : `${inUse}, ${formatCount(waiting)} waiting`
}

/** A button for each pool, if there are several. */
export const showPools = (pools: ReadonlyArray<Overview>, onChoice: () => void): void => {
  if (buttons.length !== pools.length) {
    buttons = pools.map((_, index) => makeButton(index, onChoice))
    byId("pools").replaceChildren(...buttons)
    byId("pools").hidden = pools.length === 0
  }
  const chosen = pools[chosenPool()] === undefined ? 0 : chosenPool()
  pools.forEach((pool, index) => {
    const button = buttons[index]
    if (button === undefined) return
    setText(find(button, "b"), pool.name)
    setText(find(button, "small"), say(pool))
    button.setAttribute("aria-pressed", String(index === chosen))
    button.dataset.trouble = String(pool.state !== "open" || pool.isOut || pool.waiting > 0)
  })
}
