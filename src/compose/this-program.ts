import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pythonFolder } from '../serving/index.ts'

/** How this program is started again, as it runs here: from its sources, or bundled. */
export function thisProgram(): { node: string; main: string; root: string } {
  const root = dirname(pythonFolder())
  const isSource = relative(root, fileURLToPath(import.meta.url)).startsWith('src')
  return { node: process.execPath, main: join(root, ...(isSource ? ['src', 'main.ts'] : ['dist', 'main.js'])), root }
}
