/** What work costs this process in milliseconds of a processor: unlike the clock's it does not count what others take of the machine. */
export async function processorMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}
