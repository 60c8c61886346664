/** Work on items, so many at once; results in the order of the items, and never more of them waiting than are worked on. */
export async function* eachOf<T, R>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const waiting: Promise<R>[] = []
  const next = () => {
    const first = waiting.shift()!
    // Whoever is not awaited because an earlier one failed must not end the process.
    for (const other of waiting) other.catch(() => {})
    return first
  }
  for (const item of items) {
    waiting.push(work(item))
    if (waiting.length === atOnce) yield await next()
  }
  while (waiting.length > 0) yield await next()
}

/** The next value is made while the last one is worked on. */
export async function* ahead<T>(values: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = values[Symbol.asyncIterator]()
  let coming = iterator.next()
  for (;;) {
    const { done, value } = await coming
    if (done) return
    coming = iterator.next()
    coming.catch(() => {})
    yield value
  }
}
