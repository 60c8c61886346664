// What runs in the thread that reads a large graph: it tells what it read, once.
import { readFile } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../../kernel/errors.ts'
import { type FromReader, readGraph } from './read-graph.ts'

const tell = (message: FromReader): void => parentPort!.postMessage(message)
try {
  tell({ read: readGraph(await readFile(workerData as string)) })
} catch (error) {
  tell({ problem: messageOf(error) })
}
