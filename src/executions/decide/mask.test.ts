import { describe, expect, it } from 'vitest'
import { Mask } from './mask.ts'

const secret = 'hf_s3cr3t/Token+Ä"7'
const mask = new Mask([secret])
const hidden = (text: string) => mask.hide(Buffer.from(text)).toString()
const wrapped = (text: string, width: number) => text.replace(new RegExp(`(.{${width}})`, 'g'), '$1\n')

describe('a secret in a log', () => {
  const forms: [string, string][] = [
    ['in clear', secret],
    ['URL-encoded', encodeURIComponent(secret)],
    ['URL-encoded in small letters', encodeURIComponent(secret).replace(/%../g, (code) => code.toLowerCase())],
    ['as JSON', JSON.stringify(secret)],
    ['as JSON by Python', '"hf_s3cr3t/Token+\\u00c4\\"7"'],
    ['URL-encoded by Python, which leaves slashes', 'hf_s3cr3t/Token%2B%C3%84%227'],
    ['in hex', Buffer.from(secret).toString('hex')],
    ['in big hex', Buffer.from(secret).toString('hex').toUpperCase()],
    ['in Base64', Buffer.from(secret).toString('base64')],
    ['in Base64 for URLs', Buffer.from(secret).toString('base64url')],
    ['in Base64 behind one byte', Buffer.from(`x${secret}`).toString('base64')],
    ['in Base64 behind two bytes', Buffer.from(`:)${secret} and more`).toString('base64')],
    ['in Base64 over several lines', wrapped(Buffer.from(`user:${secret}`).toString('base64'), 10)],
    ['in hex over several lines', wrapped(Buffer.from(secret).toString('hex'), 7)],
  ]
  it.each(forms)('is masked %s', (_, form) => {
    const seen = hidden(`before ${form} after`)
    expect(seen).toMatch(/^before .*\*{4}.* after$/s)
    const decodings = [seen, Buffer.from(seen.slice(7, -6).replaceAll('\n', ''), 'base64').toString()]
    for (const text of decodings) expect(text).not.toContain(secret.slice(2, -2))
    expect(Buffer.byteLength(seen)).toBe(Buffer.byteLength(`before ${form} after`))
  })

  it.each(['', 'x', 'u:'].flatMap((before) => ['', 'y', ' zz'].map((after) => [before, after])))(
    'is told by no digit of Base64 that it shares with "%s" before or "%s" after it',
    (before, after) => {
      for (const [one, other] of [
        ['a-first-token', 'Z~other~toke='],
        ['a-first-token1', 'Z~other~token='],
        ['a-first-token12', 'Z~other~token1='],
      ] as const) {
        const seen = [one, other].map((known) => {
          const text = Buffer.from(before + known + after).toString('base64')
          return new Mask([known]).hide(Buffer.from(`> ${text}`)).toString()
        })
        expect(seen[0]).toBe(seen[1])
      }
    },
  )

  it('leaves everything else as it is', () => {
    expect(hidden('hf_s3cr3 Token and more')).toBe('hf_s3cr3 Token and more')
  })

  it('is masked as Python and forms encode blanks and quotes', () => {
    const odd = new Mask(["it's (a) key!"])
    for (const form of ['it%27s%20%28a%29%20key%21', 'it%27s+%28a%29+key%21', "it's+(a)+key!"])
      expect(odd.hide(Buffer.from(`> ${form}`)).toString()).toMatch(/^> \*+$/)
  })

  it('masks each line of a key of several lines', () => {
    const key = '-----BEGIN-----\nabcdefghijkl\nmnopqrstuvwx\n-----END-----'
    expect(new Mask([key]).hide(Buffer.from('> mnopqrstuvwx')).toString()).toBe('> ************')
  })

  it('masks nothing where there is no secret', () => {
    const none = new Mask([])
    expect(none.reach).toBe(0)
    expect(none.hide(Buffer.from('text')).toString()).toBe('text')
    expect(none.safeEnd(Buffer.from('text'))).toBe(4)
  })
})

describe('a secret that is still being written', () => {
  it.each([
    ['half of it', 'line\nhf_s3c', 'line\n'],
    ['half of its Base64', `> ${Buffer.from(secret).toString('base64').slice(0, 9)}`, '> '],
    ['nothing of it', 'line\nfine', 'line\nfine'],
  ])('is held back: %s', (_, text, safe) => {
    expect(text.slice(0, mask.safeEnd(Buffer.from(text)))).toBe(safe)
  })
})
