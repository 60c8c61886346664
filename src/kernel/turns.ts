/** One at a time per name, first come first served. `take` waits for the turn and gives back what ends it. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  async take(name: string): Promise<() => void> {
    const before = this.#last.get(name)
    let end = () => {}
    const mine = new Promise<void>((resolve) => {
      end = resolve
    })
    const line = (before ?? Promise.resolve()).then(() => mine)
    this.#last.set(name, line)
    await before
    return () => {
      end()
      if (this.#last.get(name) === line) this.#last.delete(name)
    }
  }
}
