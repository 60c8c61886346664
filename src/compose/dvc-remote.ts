import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenDvcObject } from '../planning/index.ts'

/** A DVC remote that is a folder: DVC 3 keeps `files/md5/ab/cdef…`, DVC 2 kept `ab/cdef…`. */
export const openDvcObject: OpenDvcObject = async (folder, md5) => {
  for (const layout of [join('files', 'md5'), '']) {
    const path = join(folder, layout, md5.slice(0, 2), md5.slice(2))
    if ((await stat(path).catch(() => undefined))?.isFile()) return createReadStream(path)
  }
  return undefined
}
