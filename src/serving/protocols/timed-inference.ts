import { newId } from '../../kernel/ids.ts'
import type { ServedName } from './model-repository.ts'
import type { OipRequest } from './oip-request.ts'
import type { OipAnswer } from './oip-response.ts'

type Parts<Written> = {
  model: ServedName
  now: () => number
  signal: AbortSignal
  read: () => OipRequest
  write: (answer: OipAnswer) => Written
}

type Timed<Written> = { written: Written; id?: string; warnings: Record<string, number> }

/** Reads a question, has it answered, writes the answer, and counts it: the same for HTTP and gRPC. */
export async function timedInference<Written>(parts: Parts<Written>): Promise<Timed<Written>> {
  const { model, now, signal, read, write } = parts
  const asked = performance.now()
  const timing = { computeMs: 0, rows: 0 }
  const count = (ok: boolean) => model.stats.count(ok, { ...timing, ms: performance.now() - asked, at: now() })
  try {
    const request = read()
    timing.rows = request.tensors[0]?.shape[0] ?? 1
    const begun = performance.now()
    const { tensors, id, version = model.version, warnings = {} } = await model.infer(request, signal)
    timing.computeMs = performance.now() - begun
    const written = write({ ...request, model: model.name, version, id: request.id ?? id ?? newId(now()), tensors })
    count(true)
    return { written, warnings, ...(id === undefined ? {} : { id }) }
  } catch (error) {
    count(false)
    throw error
  }
}
