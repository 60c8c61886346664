import { describe, expect, it } from 'vitest'
import { Turns } from './turns.ts'

describe('turns', () => {
  it('come one after the other for one name, in the order of asking, and at once for another name', async () => {
    const turns = new Turns()
    const seen: string[] = []
    const first = await turns.take('a')
    const second = turns.take('a').then((end) => {
      seen.push('second')
      end()
    })
    const third = turns.take('a').then((end) => {
      seen.push('third')
      end()
    })
    ;(await turns.take('b'))()
    seen.push('first ends')
    first()
    await Promise.all([second, third])
    expect(seen).toEqual(['first ends', 'second', 'third'])
  })

  it('may be ended twice without giving a turn to two', async () => {
    const turns = new Turns()
    const first = await turns.take('a')
    first()
    const second = await turns.take('a')
    first()
    let thirdCame = false
    const third = turns.take('a').then(() => {
      thirdCame = true
    })
    await Promise.resolve()
    expect(thirdCame).toBe(false)
    second()
    await third
  })
})
