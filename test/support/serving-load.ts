// Clients of one endpoint, each request with an id of its own: some ask again as soon as they are answered, others come at a fixed
// rate whatever happens. What each was told, and how long it waited, is kept.
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export type LoadReport = {
  sent: number
  answered: number
  failed: string[]
  longestMs: number
  meanMs: number
  ids: Set<string>
  /** How many were answered by whom. */
  answers: Map<string, number>
}

export type Load = { report: LoadReport; end: () => Promise<LoadReport> }

export function startLoad(
  url: string,
  shape: {
    closed: number
    perSecond: number
    deadlineMs: number
    name: string
    row?: (id: string) => object
    /** False where they would be too many. */
    keepIds?: boolean
  },
): Load {
  const report: LoadReport = {
    sent: 0,
    answered: 0,
    failed: [],
    longestMs: 0,
    meanMs: 0,
    ids: new Set(),
    answers: new Map(),
  }
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  let goesOn = true
  let total = 0
  const underWay = new Set<Promise<void>>()

  async function ask(): Promise<void> {
    const id = `${shape.name}-${report.sent++}`
    if (shape.keepIds !== false) report.ids.add(id)
    const begun = performance.now()
    try {
      const body = JSON.stringify({ dataframe_records: [shape.row?.(id) ?? { id }] })
      const { status, text } = await post(url, body, { agent, timeoutMs: shape.deadlineMs })
      const ms = performance.now() - begun
      total += ms
      report.longestMs = Math.max(report.longestMs, ms)
      if (status !== 200) report.failed.push(`${id}: ${status} ${text.slice(0, 300)}`)
      else {
        report.answered++
        const { predictions } = JSON.parse(text) as { predictions: unknown[] }
        const told = String(predictions[0])
        report.answers.set(told, (report.answers.get(told) ?? 0) + 1)
      }
    } catch (error) {
      report.failed.push(`${id}: ${String(error)} after ${Math.round(performance.now() - begun)} ms`)
    }
  }

  const closed = Array.from({ length: shape.closed }, async () => {
    while (goesOn) await ask()
  })
  const open = (async () => {
    const startedAt = performance.now()
    for (let n = 1; goesOn && shape.perSecond > 0; n++) {
      const one = ask().finally(() => underWay.delete(one))
      underWay.add(one)
      await sleep(Math.max(0, startedAt + (n * 1000) / shape.perSecond - performance.now()))
    }
  })()
  return {
    report,
    end: async () => {
      goesOn = false
      await Promise.all([...closed, open])
      await Promise.all(underWay)
      agent.destroy()
      report.meanMs = total / Math.max(1, report.answered)
      return report
    },
  }
}

export function post(
  url: string,
  body: string,
  { agent, timeoutMs = 60_000 }: { agent?: Agent; timeoutMs?: number } = {},
): Promise<{ status: number; text: string; retryAfter: string | undefined }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        signal: AbortSignal.timeout(timeoutMs),
        ...(agent ? { agent } : {}),
      },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            text: Buffer.concat(chunks).toString(),
            retryAfter: answer.headers['retry-after'],
          }),
        )
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
}
