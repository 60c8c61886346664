import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const key = 'modelwright.theme'
const listeners = new Set<() => void>()
const next: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' }

const chosen = (): Theme => (document.documentElement.dataset.theme as Theme | undefined) ?? 'system'

function choose(theme: Theme): void {
  if (theme === 'system') {
    delete document.documentElement.dataset.theme
    localStorage.removeItem(key)
  } else {
    document.documentElement.dataset.theme = theme
    localStorage.setItem(key, theme)
  }
  for (const tell of listeners) tell()
}

const systemIsDark = matchMedia('(prefers-color-scheme: dark)')

const subscribe = (tell: () => void) => {
  listeners.add(tell)
  systemIsDark.addEventListener('change', tell)
  return () => {
    listeners.delete(tell)
    systemIsDark.removeEventListener('change', tell)
  }
}

/** The theme as the system or the viewer wants it; `turn` goes to the next choice. */
export function useTheme(): { theme: Theme; dark: boolean; turn: () => void } {
  const theme = useSyncExternalStore(subscribe, chosen)
  const dark = useSyncExternalStore(
    subscribe,
    () => chosen() === 'dark' || (chosen() === 'system' && systemIsDark.matches),
  )
  return { theme, dark, turn: () => choose(next[theme]) }
}
