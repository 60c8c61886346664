import { fileURLToPath } from 'node:url'

export const launcherScript = fileURLToPath(
  new URL('../../../../../python/launcher/modelwright_launcher.py', import.meta.url),
)
