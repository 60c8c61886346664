/** Calls once at Ctrl-C or when the process is told to end; told again, it ends at once. */
export function whenToldToEnd(act: () => void): void {
  const signals = ['SIGINT', 'SIGTERM'] as const
  const told = () => {
    // After all others who listen: what packages do where nobody else does (signal-exit ends the process) is not for us.
    setImmediate(() => {
      for (const signal of signals) process.off(signal, told)
    })
    act()
  }
  for (const signal of signals) process.on(signal, told)
}
