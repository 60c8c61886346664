import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useSyncExternalStore } from 'react'
import type { EventType } from '../../../src/kernel/events.ts'
import { readEventStream } from './event-stream.ts'
import { currentToken, useToken } from './session.ts'

/** What each event makes stale: the first word of the queries' keys (queries.ts); the overview is stale after any of them. */
const staleBy: Record<EventType, readonly string[]> = {
  'project.connected': ['projects'],
  'branch.moved': ['projects', 'executions', 'promotions', 'deployments'],
  'execution.changed': ['executions', 'execution'],
  'execution.finished': ['executions', 'execution', 'models', 'runs', 'lineage'],
  'step.changed': ['execution', 'runs', 'log'],
  'gate.judged': ['verdicts', 'execution', 'models'],
  'version.registered': ['models', 'promotions', 'verdicts'],
  'model.registered': ['models'],
  'model.tagged': ['models'],
  'model.untagged': ['models'],
  'version.tagged': ['models'],
  'version.untagged': ['models'],
  'alias.set': ['models'],
  'alias.deleted': ['models'],
  'promotion.changed': ['promotions', 'deployments', 'lineage'],
  'desired.changed': ['deployments', 'promotions'],
  'rollout.changed': ['deployments', 'lineage'],
  'deployment.observed': ['deployments'],
  'labels.received': ['monitoring'],
  'drift.judged': ['monitoring', 'deployments', 'retraining'],
  'reproduction.changed': ['models', 'lineage', 'reproductions'],
  'retraining.decided': ['executions', 'monitoring', 'retraining'],
}

export type Live = 'live' | 'paused'

let state: Live = 'paused'
const listeners = new Set<() => void>()

function setLive(next: Live): void {
  if (next === state) return
  state = next
  for (const tell of listeners) tell()
}

export const useLive = (): Live =>
  useSyncExternalStore(
    (tell) => {
      listeners.add(tell)
      return () => listeners.delete(tell)
    },
    () => state,
  )

/** Queries refresh by events; while the stream is down they ask every five seconds instead. */
export const refetchWhilePaused = (): number | false => (state === 'live' ? false : 5_000)

/** Keeps one stream of the project's events open and marks what they change as stale. */
export function useLiveProject(project: string | undefined): void {
  const queries = useQueryClient()
  const token = useToken()
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new token means a new stream
  useEffect(() => {
    if (!project) return
    const stop = new AbortController()
    // Events come in bursts (a plan's twenty boxes): one refetch per burst and query, not one per event.
    const stale = new Set<string>()
    let timer: ReturnType<typeof setTimeout> | undefined
    const flush = () => {
      timer = undefined
      for (const first of stale) void queries.invalidateQueries({ queryKey: [first] })
      stale.clear()
    }
    void readEventStream({
      url: `/api/v1/events?project=${encodeURIComponent(project)}`,
      token: currentToken,
      signal: stop.signal,
      onOpen: () => {
        setLive('live')
        // What happened while the stream was down is caught up at once.
        void queries.invalidateQueries()
      },
      onDown: () => setLive('paused'),
      onEvent: (type) => {
        stale.add('overview')
        for (const first of staleBy[type as EventType] ?? []) stale.add(first)
        timer ??= setTimeout(flush, 120)
      },
    })
    return () => {
      stop.abort()
      clearTimeout(timer)
      setLive('paused')
    }
  }, [project, token, queries])
}
