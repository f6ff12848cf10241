/** The element of that id: page and script are made together, so it is there. */
export const byId = (id: string): HTMLElement => find(document, `#${id}`)

export const find = <E extends HTMLElement = HTMLElement>(within: ParentNode, selector: string): E => {
  const found = within.querySelector<E>(selector)
  if (found === null) throw new Error(`the page has no ${selector}`)
  return found
}

export const element = (tag: string, className: string, ...children: ReadonlyArray<Node | string>): HTMLElement => {
  const made = document.createElement(tag)
  if (className !== "") made.className = className
  made.append(...children)
  return made
}

/** Sets a text if it differs, so that nothing is laid out for nothing. */
export const setText = (node: Node, text: string): void => {
  if (node.textContent !== text) node.textContent = text
}
