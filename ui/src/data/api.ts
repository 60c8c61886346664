import { QueryClient } from '@tanstack/react-query'
import { type Client, createClient } from '../../../src/kernel/client.ts'
import { isAppError } from '../../../src/kernel/errors.ts'
import { currentToken } from './session.ts'

// Without `omit` the browser would answer a 401 with a password box of its own, as its challenge is meant for Git.
const ownFetch: typeof fetch = (input, init) => fetch(input, { ...init, credentials: 'omit' })

/** A client of the server that this page came from. */
export const clientWith = (token: string | undefined): Client =>
  createClient({ baseUrl: '', fetch: ownFetch, ...(token ? { token } : {}) })

/** Asks with the token that was entered, if any. */
export const api: Client = (route, input) => clientWith(currentToken())(route, input)

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // What the user must mend does not mend itself by asking again.
      retry: (failures, error) => failures < 2 && !(isAppError(error) && error.culprit === 'yours'),
      retryDelay: 500,
    },
  },
})
