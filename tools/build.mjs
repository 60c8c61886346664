// Bundles server and CLI into dist/ (one file per command that is loaded when needed), and the pages into ui/dist.
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { build as buildPages } from 'vite'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
rmSync(join(root, 'dist'), { recursive: true, force: true })
// Packages stay where npm put them: only our own sources are bundled.
const bundle = await rolldown({
  // A thread begins with a file of its own.
  input: {
    main: join(root, 'src/main.ts'),
    'onnx-thread-main': join(root, 'src/serving/models/onnx-thread-main.ts'),
    'read-graph-main': join(root, 'src/serving/explain/read-graph-main.ts'),
  },
  platform: 'node',
  external: [/^node:/, /^[@a-z]/],
  cwd: root,
  logLevel: 'warn',
})
await buildPages({ root: join(root, 'ui'), logLevel: 'warn' })
await bundle.write({
  dir: join(root, 'dist'),
  format: 'esm',
  sourcemap: true,
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
})
console.log('Built.')
