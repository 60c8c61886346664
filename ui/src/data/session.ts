import { useSyncExternalStore } from 'react'

// The tab's own storage: a token does not outlive the tab, and other tabs do not get it.
const key = 'modelwright.token'
const listeners = new Set<() => void>()

export const currentToken = (): string | undefined => sessionStorage.getItem(key) ?? undefined

export function setToken(token: string | undefined): void {
  if (token) sessionStorage.setItem(key, token)
  else sessionStorage.removeItem(key)
  for (const tell of listeners) tell()
}

const subscribe = (tell: () => void) => {
  listeners.add(tell)
  return () => listeners.delete(tell)
}

/** The token that was entered in this tab, if any. */
export const useToken = (): string | undefined => useSyncExternalStore(subscribe, currentToken)
