/** Returns the element with this id. Throws if it is not an instance of `kind`. */
export function byId<Kind extends HTMLElement = HTMLElement>(
  id: string,
  kind: abstract new () => Kind = HTMLElement as unknown as abstract new () => Kind,
): Kind {
  const element = document.getElementById(id)
  if (!(element instanceof kind)) throw new Error(`the page has no ${id}`)
  return element
}

/**
 * Sets text only if it differs, so that screen readers do not repeat it and a selection stays.
 */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  text = '',
  className = '',
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag)
  element.textContent = text
  if (className !== '') element.className = className
  return element
}

/** Content of a cell: text, and the target of a link. */
export type Cell = { readonly text: string; readonly class?: string; readonly href?: string }

/** Shows rows in a table's body. Reuses existing cells, so that a focused link keeps the focus. */
export function fillTable(table: HTMLTableElement, rows: readonly (readonly Cell[])[]): void {
  const body = table.tBodies[0] ?? table.createTBody()
  while (body.rows.length > rows.length) body.deleteRow(-1)
  for (const [n, cells] of rows.entries()) {
    const row = body.rows[n] ?? body.insertRow()
    for (const [m, cell] of cells.entries()) fillCell(row.cells[m] ?? row.insertCell(), cell)
  }
}

function fillCell(
  element: HTMLTableCellElement,
  { text, class: className = '', href }: Cell,
): void {
  if (href === undefined) {
    if (element.className !== className) element.className = className
    setText(element, text)
    return
  }
  let link = element.querySelector('a')
  if (!link) {
    link = make('a', '', className)
    element.replaceChildren(link)
  }
  setText(link, text)
  if (link.getAttribute('href') !== href) link.href = href
}

/** Adds or removes items until a list has `count` of them, and returns the items. */
export function listItems(list: HTMLElement, count: number, create: () => HTMLLIElement) {
  while (list.children.length > count) list.lastElementChild?.remove()
  while (list.children.length < count) list.append(create())
  return [...list.children]
}

let settle: ((isConfirmed: boolean) => void) | undefined

/** Asks for confirmation in a dialog. Cancel has the initial focus. */
export function confirmed(question: string, verb: string): Promise<boolean> {
  const dialog = byId('confirm', HTMLDialogElement)
  const answer = () => settle?.(dialog.returnValue === 'yes')
  // The close event comes later, when the dialog may already show the next question.
  answer()
  dialog.onclose = () => {
    if (!dialog.open) answer()
  }
  setText(byId('confirm-text'), question)
  setText(byId('confirm-yes'), verb)
  dialog.returnValue = ''
  dialog.showModal()
  byId('confirm-no').focus()
  return new Promise(resolve => {
    settle = resolve
  })
}
