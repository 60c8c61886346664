import { readdir, readFile } from 'node:fs/promises'

/** Whether a process of this machine was started from the folder or finds programs in it. Those of others cannot be looked into. */
export async function isInUse(folder: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  for (const pid of pids)
    for (const file of ['cmdline', 'environ']) {
      const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
      if (text.includes(`${folder}/`)) return true
    }
  return false
}
