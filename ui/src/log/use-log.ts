import { useEffect, useState } from 'react'
import { readLog } from '../../../src/executions/executions-contract.ts'
import { api } from '../data/api.ts'

export type Log = { lines: string[]; dropped: number; ended: boolean; error?: unknown; loaded: boolean }

const pieceBytes = 1_000_000
const pollMs = 1_000
/** Beyond it the browser, not the server, would be the one that suffers: the oldest lines go. */
const keptLines = 400_000

const empty: Log = { lines: [], dropped: 0, ended: false, loaded: false }

/** A step's log, read piece by piece to its end and followed while it grows. */
export function useLog(execution: string, node: string, attempt: number): Log {
  const [log, setLog] = useState<Log>(empty)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt has another log
  useEffect(() => {
    let stopped = false
    let timer: ReturnType<typeof setTimeout> | undefined
    let offset = 0
    let lines: string[] = []
    let dropped = 0
    let rest = ''
    setLog(empty)
    const read = async () => {
      try {
        const piece = await api(readLog, { params: { id: execution, node }, query: { offset, limit: pieceBytes } })
        if (stopped) return
        const grew = piece.offset > offset
        offset = piece.offset
        const over = piece.ended && !grew
        const parts = (rest + piece.text).split('\n')
        rest = parts.pop()!
        if (parts.length > 0) lines = lines.concat(parts)
        if (lines.length > keptLines) {
          dropped += lines.length - keptLines
          lines = lines.slice(-keptLines)
        }
        setLog({ lines: rest ? [...lines, rest] : lines, dropped, ended: over, loaded: true })
        if (!over) timer = setTimeout(() => void read(), grew ? 0 : pollMs)
      } catch (error) {
        if (stopped) return
        setLog({ lines, dropped, ended: false, error, loaded: true })
        timer = setTimeout(() => void read(), pollMs * 5)
      }
    }
    void read()
    return () => {
      stopped = true
      clearTimeout(timer)
    }
  }, [execution, node, attempt])
  return log
}
