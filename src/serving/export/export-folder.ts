import { cpSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readMlmodel } from '../models/mlmodel-file.ts'
import { OnnxSession } from '../models/onnx-session.ts'
import { readInputExample } from '../serve/input-example.ts'
import { exampleFeeds, pythonExample, typescriptExample } from './example-code.ts'

/**
 * A folder for other software: the model's graph as `model.onnx`, its signature in `MLmodel`, and examples in Python and TypeScript that run as they stand.
 * @param model a folder of the ONNX flavour @param target not there yet; its parent is @throws AppError ModelUnusable, NotFound
 */
export async function exportFolder(model: string, target: string): Promise<void> {
  const mlmodel = readMlmodel(model)
  const file = mlmodel.onnxFile ?? 'model.onnx'
  const session = await OnnxSession.open(join(model, file), 1)
  const feeds = exampleFeeds(session.facts.inputs, readInputExample(model, mlmodel))
  await session.close()
  const beside = `${target}.partial`
  rmSync(beside, { recursive: true, force: true })
  cpSync(model, beside, { recursive: true })
  // The examples name it so.
  if (basename(file) !== 'model.onnx') cpSync(join(model, file), join(beside, 'model.onnx'))
  writeFileSync(join(beside, 'example.py'), pythonExample(feeds))
  writeFileSync(join(beside, 'example.ts'), typescriptExample(feeds))
  renameSync(beside, target)
}
