import type { Readable } from 'node:stream'

/** The name of one state of what is at an address, given by the adapter; equal names mean the same bytes. */
export type Validator = string

/** `size` where it is known before the bytes are read; without a `validator` nobody can tell later whether they are the same. */
export type AtAddress =
  | { state: 'unchanged' }
  | { state: 'content'; content: Readable; size?: number; validator?: Validator }

export type Asking = {
  /** The state whose bytes are known already. */
  known?: Validator
  /** Sent to the address itself, and to nobody whom it names instead. */
  secret?: string
  signal?: AbortSignal
}

/**
 * Files that lie elsewhere, by address (`https://…`, `file:///…`).
 * - `open` is `unchanged` only where what is there has exactly the bytes that `known` named; a state that may have changed unseen is
 *   given no validator.
 * - `content` streams: memory does not grow with its size. Whoever does not read it to its end destroys it. It fails, and never
 *   just ends, where the bytes break off, nothing comes for long, or they become more than is allowed.
 * - DataUnavailable: not there, not allowed, too large. DataUnreachable: no answer, or a broken one; another try may help. Both from
 *   `open` and from the stream. An aborted signal ends both with its own reason.
 */
export interface Addresses {
  open(address: string, asking: Asking): Promise<AtAddress>
}
