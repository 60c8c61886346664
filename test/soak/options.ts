/** `--name value` pairs of numbers, and nothing else. */
export function numbersOf<Name extends string>(defaults: Record<Name, number>): Record<Name, number> {
  const read = { ...defaults }
  const words = process.argv.slice(2)
  for (let at = 0; at < words.length; at += 2) {
    const name = words[at]!.replace(/^--/, '').replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase()) as Name
    const value = Number(words[at + 1])
    if (!(name in defaults) || !Number.isFinite(value) || value <= 0) {
      const flags = Object.keys(defaults).map(
        (one) => `--${one.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} N`,
      )
      console.error(`"${words[at]} ${words[at + 1] ?? ''}" is not understood; there are: ${flags.join(', ')}.`)
      process.exit(2)
    }
    read[name] = value
  }
  return read
}
