/** The element of the page with this id, which has to be of this kind. */
export function byId<Kind extends HTMLElement = HTMLElement>(
  id: string,
  kind: abstract new () => Kind = HTMLElement as unknown as abstract new () => Kind,
): Kind {
  const element = document.getElementById(id)
  if (!(element instanceof kind)) throw new Error(`the page has no ${id}`)
  return element
}

/** Sets text only where it differs, so that nothing is read out again and no selection is lost. */
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

/** What a cell shows: text, and for a link where it leads. */
export type Cell = { readonly text: string; readonly class?: string; readonly href?: string }

/**
 * Makes a table's body show these rows. Cells that are there are used again, so that whoever is on one of their links with the keyboard stays
 * there.
 */
export function fillTable(table: HTMLTableElement, rows: readonly (readonly Cell[])[]): void {
  const body = table.tBodies[0] ?? table.createTBody()
  while (body.rows.length > rows.length) body.deleteRow(-1)
  for (const [n, cells] of rows.entries()) {
    const row = body.rows[n] ?? body.insertRow()
    for (const [m, cell] of cells.entries()) fillCell(row.cells[m] ?? row.insertCell(), cell)
  }
}

function fillCell(place: HTMLTableCellElement, { text, class: className = '', href }: Cell): void {
  if (href === undefined) {
    if (place.className !== className) place.className = className
    setText(place, text)
    return
  }
  let link = place.querySelector('a')
  if (!link) {
    link = make('a', '', className)
    place.replaceChildren(link)
  }
  setText(link, text)
  if (link.getAttribute('href') !== href) link.href = href
}

/** Makes a list have this many items, and returns them. */
export function listItems(list: HTMLElement, count: number, create: () => HTMLLIElement) {
  while (list.children.length > count) list.lastElementChild?.remove()
  while (list.children.length < count) list.append(create())
  return [...list.children]
}

let settle: ((isConfirmed: boolean) => void) | undefined

/** Asks in a dialog whether to go on; the way out is chosen unless the other is. */
export function confirmed(question: string, verb: string): Promise<boolean> {
  const dialog = byId('confirm', HTMLDialogElement)
  const answer = () => settle?.(dialog.returnValue === 'yes')
  // A dialog tells that it closed a moment later, when it may be open again with the next question.
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
