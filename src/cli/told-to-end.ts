/**
 * Calls once at Ctrl-C or when the process is told to end; told again, it ends at once. The listener stays until all others were called:
 * with `once` it would be gone before them, and what tidies up behind atomic writes (signal-exit) would find itself alone and end the process.
 */
export function whenToldToEnd(act: () => void): void {
  const signals = ['SIGINT', 'SIGTERM'] as const
  const told = () => {
    setImmediate(() => {
      for (const signal of signals) process.off(signal, told)
    })
    act()
  }
  for (const signal of signals) process.on(signal, told)
}
