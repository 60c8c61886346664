// What runs in the thread of a large graph: it opens the graph, then answers one message by one.
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../../kernel/errors.ts'
import { OnnxSession } from './onnx-session.ts'
import type { FromThread, ThreadData, ToThread } from './onnx-thread.ts'
import { bufferOf } from './onnx-thread-messages.ts'

const { path, threads } = workerData as ThreadData
const tell = (message: FromThread): void => parentPort!.postMessage(message)
try {
  const session = await OnnxSession.open(path, threads)
  parentPort!.on('message', ({ id, tensors }: ToThread) => {
    session.run(tensors.map(bufferOf)).then(
      (answered) => tell({ kind: 'answered', id, tensors: answered }),
      (error: unknown) => tell({ kind: 'failed', id, problem: messageOf(error) }),
    )
  })
  tell({ kind: 'ready', facts: session.facts })
} catch (error) {
  tell({ kind: 'broken', problem: messageOf(error) })
}
