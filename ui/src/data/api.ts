import { QueryClient } from '@tanstack/react-query'
import { type Client, createClient } from '../../../src/kernel/client.ts'
import { isAppError } from '../../../src/kernel/errors.ts'
import { currentToken } from './session.ts'

/** Asks the server that this page came from, with the token that was entered, if any. */
export const api: Client = (route, input) => {
  const token = currentToken()
  return createClient({ baseUrl: '', ...(token ? { token } : {}) })(route, input)
}

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
