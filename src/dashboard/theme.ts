import { byId } from './dom.ts'

const THEME_PLACE = 'muster-theme'

/** Applies the chosen or the system's colours, and calls `changed` after each change. */
export function startTheme(changed: () => void): void {
  const select = byId('theme', HTMLSelectElement)
  select.value = localStorage.getItem(THEME_PLACE) ?? ''
  const show = () => {
    document.documentElement.dataset['theme'] = select.value
    changed()
  }
  select.addEventListener('change', () => {
    localStorage.setItem(THEME_PLACE, select.value)
    show()
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed)
  show()
  document.documentElement.dataset['ready'] = ''
}
