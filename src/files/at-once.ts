const longestMs = 3
let began: number | undefined

/**
 * Whether a few calls to the disk may be made at once, instead of by a thread: the ways there and back take several times as long as what
 * is done there with a small file. Only for a moment between two looks at what has arrived: then whoever has many of them goes by threads,
 * and others get their turn.
 */
export function mayDoAtOnce(): boolean {
  const now = performance.now()
  if (began === undefined) {
    began = now
    setImmediate(() => {
      began = undefined
    })
  }
  return now - began < longestMs
}
