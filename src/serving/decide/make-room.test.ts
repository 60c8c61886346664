import { describe, expect, it } from 'vitest'
import { makeRoom, type Tenant } from './make-room.ts'

const tenant = (name: string, bytes: number, lastUsedAt: number, more: Partial<Tenant> = {}): Tenant => ({
  name,
  bytes,
  lastUsedAt,
  maySleep: true,
  leavingBytes: 0,
  ...more,
})
const [young, middle, old] = [tenant('young', 30, 3), tenant('middle', 30, 2), tenant('old', 30, 1)]

describe('makeRoom', () => {
  it('asks nobody to sleep where there is room', () => {
    expect(makeRoom(100, 10, [young, middle, old])).toEqual({ outcome: 'fits' })
    expect(makeRoom(100, 500, [])).toEqual({ outcome: 'fits' })
  })
  it('lets those sleep that were used least recently, and no more of them than it takes', () => {
    expect(makeRoom(100, 40, [young, middle, old])).toEqual({ outcome: 'after', names: ['old'] })
    expect(makeRoom(100, 41, [young, middle, old])).toEqual({ outcome: 'after', names: ['old', 'middle'] })
  })
  it('passes over those that may not sleep', () => {
    expect(makeRoom(100, 40, [young, middle, { ...old, maySleep: false }])).toEqual({
      outcome: 'after',
      names: ['middle'],
    })
  })
  it('waits, and lets nobody sleep, where that would not be enough', () => {
    const computing = { ...young, maySleep: false }
    expect(makeRoom(100, 80, [computing, middle, old])).toEqual({ outcome: 'wait' })
  })
  it('waits for those that are on the way out before others are sent after them', () => {
    const leaving = { ...old, maySleep: false, leavingBytes: 30 }
    expect(makeRoom(100, 40, [young, middle, leaving])).toEqual({ outcome: 'wait' })
    expect(makeRoom(100, 70, [young, middle, leaving])).toEqual({ outcome: 'after', names: ['middle'] })
  })
  it('gives what is larger than everything all there is, once the others sleep', () => {
    expect(makeRoom(100, 500, [young])).toEqual({ outcome: 'after', names: ['young'] })
  })
  it('takes back what a model took beyond its measure', () => {
    expect(makeRoom(80, 0, [young, middle, old])).toEqual({ outcome: 'after', names: ['old'] })
  })
})
