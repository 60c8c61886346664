import type pc from 'picocolors'

type Colors = ReturnType<typeof pc.createColors>

/** How a command speaks. Results go to `out`, everything else to `err`; both take text as it is, line ends included. */
export type CliIo = {
  out: (text: string) => void
  err: (text: string) => void
  isTty: boolean
  /** Without effect where colours are off. */
  color: Colors
  /** One JSON value on `out` in place of text for people. */
  json: boolean
}
