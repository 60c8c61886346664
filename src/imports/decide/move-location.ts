/** The folder of a run's or logged model's artifacts, where it was and where it is now. */
export type MovedFolder = { from: string; to: string }

/**
 * Where something that lay below one of the folders lies now; the location itself where it lay below none. Forms of the same place
 * (`/a`, `file:/a`, `file:///a`; with or without a slash at the end) are one.
 */
export function moveLocation(location: string, folders: readonly MovedFolder[]): string {
  const place = plain(location)
  for (const { from, to } of folders) {
    const root = plain(from)
    if (place === root) return to
    if (place.startsWith(`${root}/`)) return to + place.slice(root.length)
  }
  return location
}

/** Ids of runs and logged models that a location may lie below: every segment that could be one. */
export const idsIn = (location: string): string[] =>
  location.split('/').filter((segment) => /^(m-)?[a-zA-Z0-9][\w-]{7,255}$/.test(segment))

const plain = (location: string): string => location.replace(/^file:\/*(?=\/)/, '').replace(/\/+$/, '')
