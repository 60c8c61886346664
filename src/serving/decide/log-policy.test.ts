import { describe, expect, it } from 'vitest'
import type { LogPolicy } from '../../projects/index.ts'
import { isKept, loggedReason, loggedRows, notInLog } from './log-policy.ts'

const hash = (text: string) => `hmac:<${text}>`
const policy = (more: Partial<LogPolicy>): LogPolicy => ({ sample: 1, hash: [], ...more })
const rows = [{ id: 7, age: 40, name: 'Ann', gone: null }]
const logged = (one: LogPolicy | undefined, keyColumn?: string) => loggedRows(rows, { policy: one, keyColumn, hash })

describe('what the log keeps of a row', () => {
  it.each<[string, LogPolicy | undefined, object]>([
    ['everything where nothing is said', undefined, { key: '7', input: rows[0] }],
    ['everything where only a share is kept', policy({ sample: 0.1 }), { key: '7', input: rows[0] }],
    ['only the columns that are allowed, so not the key either', policy({ fields: ['age'] }), { input: { age: 40 } }],
    [
      'a hash of what must not stand there, also as the key, and nothing of nothing',
      policy({ hash: ['id', 'gone'] }),
      { key: 'hmac:<7>', input: { id: 'hmac:<7>', age: 40, name: 'Ann', gone: null } },
    ],
    [
      'allowed columns and hashed ones',
      policy({ fields: ['age'], hash: ['id'] }),
      { key: 'hmac:<7>', input: { id: 'hmac:<7>', age: 40 } },
    ],
    [
      'a hash of whom it is of, even where that column is left out',
      policy({ fields: ['age'], subject: 'name' }),
      { subject: 'hmac:<Ann>', input: { age: 40 } },
    ],
    ['no subject where there is none', policy({ subject: 'gone' }), { key: '7', input: rows[0] }],
  ])('is %s', (_, one, expected) => {
    expect(logged(one, 'id')).toEqual([expected])
  })

  it('has no key where the data has none', () => {
    expect(logged(undefined)).toEqual([{ input: rows[0] }])
  })
})

it('keeps about the declared share of requests, and always the same ones', () => {
  const ids = Array.from({ length: 4_000 }, (_, index) => `prediction-${index}`)
  const kept = ids.filter((id) => isKept(policy({ sample: 0.1 }), id))
  // 99.9 % of binomial(4000, 0.1).
  expect(kept.length).toBeGreaterThan(337)
  expect(kept.length).toBeLessThan(465)
  expect(ids.filter((id) => isKept(policy({ sample: 0.1 }), id))).toEqual(kept)
  expect(kept.every((id) => isKept(policy({ sample: 0.5 }), id))).toBe(true)
  expect([policy({}), undefined].map((one) => ids.every((id) => isKept(one, id)))).toEqual([true, true])
  expect(ids.some((id) => isKept(policy({ sample: 0 }), id))).toBe(false)
})

it('tells values in reasons only where all values may be told', () => {
  const reason = 'Column "name", row 0: "Ann" is none of the allowed values.'
  expect(loggedReason(undefined, reason, 'value: name')).toBe(reason)
  expect(loggedReason(policy({ sample: 0.5 }), reason, 'value: name')).toBe(reason)
  expect(loggedReason(policy({ fields: ['age'] }), reason, 'value: name')).toBe('value: name')
  expect(loggedReason(policy({ hash: ['name'] }), reason, 'value: name')).toBe('value: name')
})

it('says why a column of the log cannot be compared with anything', () => {
  expect(notInLog(policy({ fields: ['age'] }), 'name')).toContain('does not keep name')
  expect(notInLog(policy({ hash: ['id'] }), 'id')).toContain('only a hash of id')
  expect(notInLog(policy({ fields: ['age'], hash: ['id'] }), 'age')).toBeUndefined()
})
