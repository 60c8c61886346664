import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../support/family.ts'

/** Packages of each peer, in an environment of its own, made once. `python` makes the models, converts and serves them as well. */
const packages = {
  python: ['mlflow', 'scikit-learn', 'skl2onnx', 'onnx', 'onnxruntime', 'fastapi', 'uvicorn[standard]'],
  mlserver: ['mlserver', 'mlserver-mlflow', 'mlserver-sklearn'],
}

/** The folder of its programs; undefined where it cannot be had, which is said. */
export function programsOf(name: keyof typeof packages, say: (line: string) => void): string | undefined {
  const folder = join(root, 'node_modules', '.cache', `bench-serving-${name}`)
  const marker = join(folder, 'complete')
  if (existsSync(marker)) return join(folder, 'bin')
  say(`installing ${packages[name].join(', ')} …`)
  mkdirSync(folder, { recursive: true })
  const made =
    spawnSync('python3', ['-m', 'venv', folder]).status === 0 &&
    spawnSync(join(folder, 'bin', 'pip'), ['install', '-q', ...packages[name]], { stdio: 'inherit' }).status === 0
  if (!made) {
    say(`${name} could not be installed: measured without it`)
    return undefined
  }
  writeFileSync(marker, '')
  return join(folder, 'bin')
}
