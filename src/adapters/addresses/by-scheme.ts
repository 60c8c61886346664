import type { Addresses } from '../../ports/addresses.ts'

/** Files of the server's machine from one adapter, everything else from the other. */
export const byScheme = (files: Addresses, web: Addresses): Addresses => ({
  open: (address, asking) => (address.startsWith('file:') ? files : web).open(address, asking),
})
