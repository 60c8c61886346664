import pc from 'picocolors'
import { describe, expect, it } from 'vitest'
import type { ServedEndpoint } from '../rollouts/served-words-contract.ts'
import { gatewayLines, type Overview, overviewLines } from './status.ts'

const now = 10 * 3_600_000
const color = pc.createColors(false)
const name = { digest: 'sha256:3', version: 3 }

function lines(endpoint: ServedEndpoint | undefined, more: Partial<Overview['deployments'][number]> = {}): string[] {
  const overview: Overview = {
    project: { name: 'tumour-classifier', branch: 'main', createdAt: 0 },
    deployments: [
      {
        ...{ project: 'tumour-classifier', environment: 'production', state: 'serving', since: now - 3_600_000 },
        serving: { model: 'tumour-classifier', ...name },
        weights: [{ ...name, weight: 1 }],
        ...(endpoint ? { endpoint } : {}),
        ...more,
      },
    ],
    ...{ promotions: [], alerts: [], scheduled: [], next: { sentence: 'All is well.', who: 'nobody' } },
  }
  return overviewLines(overview, now, color).slice(1, -1)
}

const version = (more: Partial<ServedEndpoint['versions'][number]>): ServedEndpoint['versions'][number] => ({
  ...{ ...name, weight: 1, state: 'ready', computes: 'onnx' },
  ...more,
})
const serving = '  production  ● serving  tumour-classifier  v3 100 %  since 1 h ago'

describe('status of a deployment', () => {
  it('says that it is in memory and what computes it, and nothing of requests where all is quiet', () => {
    const quiet = {
      ...{ countedSince: 0, versions: [version({ computesReason: 'parity on 5 rows' })] },
      requests: { inside: 1, waiting: 0, turnedAway: 0 },
      inputs: { refused: {}, warned: {}, imputed: 0 },
    }
    expect(lines(quiet)).toEqual([serving, '              ● ready    v3  ONNX'])
  })

  it('says nothing of memory where the gateway does not answer', () => {
    expect(lines(undefined)).toEqual([serving])
  })

  it('says why a version sleeps and since when, why Python computes it, and what its processes take together', () => {
    const workers = [
      { pid: 1, state: 'ready' as const, memoryBytes: 200_000_000 },
      { pid: 2, state: 'loading' as const },
      { pid: 3, state: 'ready' as const, memoryBytes: 250_000_000 },
    ]
    const computesReason = 'not converted: its flavour is pytorch.'
    const told = lines({
      countedSince: 0,
      versions: [
        version({
          ...{ state: 'asleep', cause: 'idle', since: now - 2 * 3_600_000 },
          reason: 'Nobody asked for a while; a request loads it.',
        }),
        version({ version: 4, computes: 'python', computesReason, workers, replacedForMemory: 2 }),
      ],
    })
    expect(told.slice(1).map((line) => line.trim().replace(/ {2,}/g, ' | '))).toEqual([
      '○ asleep, idle | v3 | ONNX | since 2 h ago',
      'Nobody asked for a while; a request loads it.',
      '● ready | v4 | Python, 3 processes | 450.0 MB',
      computesReason,
      '2 processes were replaced because they took more memory than they may',
    ])
  })

  it('tells who waits and who was turned away, and what was wrong with inputs, most first', () => {
    const told = lines({
      ...{ countedSince: now - 2 * 3_600_000, versions: [] },
      requests: { inside: 1, waiting: 2, turnedAway: 12 },
      inputs: { refused: { missing: 3, range: 1200 }, warned: { 'unknown-column': 1 }, imputed: 1 },
    })
    expect(told.slice(1).map((line) => line.trim())).toEqual([
      'requests: 1 inside, 2 waiting, 12 turned away  since 2 h ago',
      'inputs refused: range 1,200, missing 3',
      'answered with warnings: unknown-column 1',
      '1 value imputed',
    ])
  })
})

it('does not tell the reason of a deployment again beside its version', () => {
  const reason = 'It takes 5.2 GB of memory.'
  const endpoint = { countedSince: 0, versions: [version({ state: 'failed', cause: 'too large', reason })] }
  const told = lines(endpoint, { state: 'mismatch', reason: `version 3 is failed (${reason})` })
  expect(told.slice(1).map((line) => line.trim())).toEqual([
    `version 3 is failed (${reason})`,
    '✗ failed, too large  v3  ONNX',
  ])
})

describe('status of the gateway', () => {
  it('tells what all models take together, and warns of predictions that are lost', () => {
    const memory = { used: 1_250_000_000, budget: 4_000_000_000 }
    const journal = { written: 12_345, dropped: 2 }
    expect(gatewayLines({ answers: true, startedAt: now - 60_000, memory, journal }, now, color)).toEqual([
      '  gateway: models take 1.3 GB of 4.0 GB of memory, 12,345 predictions written down, began 1 min ago\n',
      '  ! 2 predictions could not be written down\n',
    ])
  })

  it('warns where some of its processes do not answer', () => {
    const some = (answering: number[]) =>
      gatewayLines({ answers: true, processes: { of: 3, answering } }, now, color).join('')
    expect(some([1, 2, 3])).toBe('  gateway: 3 processes\n')
    expect(some([1, 3])).toBe('  ! 2 of 3 processes answer\n')
  })

  it('says nothing more of one that does not answer', () => {
    expect(gatewayLines({ answers: false }, now, color)).toEqual([])
  })
})
