import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import type { Addresses, AtAddress } from '../addresses.ts'

/** A place of the adapter's kind: an address, and what changes the file there. The adapter takes at most 1 MB. */
export type AddressPlace = {
  addresses: Addresses
  address: string
  /** `settled`: as if it had been written long ago. */
  write(content: string, options: { settled: boolean }): Promise<void>
  remove(): Promise<void>
}

/** The sentences of ports/addresses.ts, for any adapter. */
export function addressesConformance(name: string, make: () => Promise<AddressPlace>): void {
  const contentOf = (answer: AtAddress) => {
    if (answer.state === 'unchanged') throw new Error('unchanged')
    return answer
  }

  describe(name, () => {
    it('gives the bytes with their number, and names a state that can be told again', async () => {
      const { addresses, address, write } = await make()
      await write('a,b\n1,2\n', { settled: true })
      const { content, size, validator } = contentOf(await addresses.open(address, {}))
      expect(size).toBe(8)
      expect(await text(content)).toBe('a,b\n1,2\n')
      expect(await addresses.open(address, { known: validator! })).toEqual({ state: 'unchanged' })
    })

    it('gives other bytes where the file changed, also to as many', async () => {
      const { addresses, address, write } = await make()
      await write('one', { settled: true })
      const { content, validator } = contentOf(await addresses.open(address, {}))
      await text(content)
      await write('two', { settled: true })
      const changed = contentOf(await addresses.open(address, { known: validator! }))
      expect(await text(changed.content)).toBe('two')
      expect(changed.validator).not.toBe(validator)
    })

    it('names no state that may change unseen', async () => {
      const { addresses, address, write } = await make()
      await write('just now', { settled: false })
      const { content, validator } = contentOf(await addresses.open(address, {}))
      expect(validator).toBeUndefined()
      content.destroy()
    })

    it('says that nothing is there, also of what was there before', async () => {
      const { addresses, address, write, remove } = await make()
      await write('here', { settled: true })
      const { content, validator } = contentOf(await addresses.open(address, {}))
      content.destroy()
      await remove()
      await expect(addresses.open(address, { known: validator! })).rejects.toMatchObject({ code: 'DataUnavailable' })
    })

    it('refuses more bytes than are allowed before it reads them', async () => {
      const { addresses, address, write } = await make()
      await write('x'.repeat(1_000_001), { settled: true })
      await expect(addresses.open(address, {})).rejects.toMatchObject({
        code: 'DataUnavailable',
        message: expect.stringContaining('at most 1.0 MB'),
        next: expect.stringContaining('--data-limit'),
      })
    })

    it('ends with the reason of its signal', async () => {
      const { addresses, address, write } = await make()
      await write('x'.repeat(900_000), { settled: true })
      const signal = AbortSignal.abort(new Error('enough'))
      await expect(addresses.open(address, { signal })).rejects.toThrow('enough')
      const stop = new AbortController()
      const { content } = contentOf(await addresses.open(address, { signal: stop.signal }))
      stop.abort(new Error('enough'))
      await expect(text(content)).rejects.toThrow('enough')
    })
  })
}
